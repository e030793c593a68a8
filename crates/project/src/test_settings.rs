//! Where the settings of a test come from, the later over the earlier: `dbt_project.yml`, the `config(…)` of its
//! template, its use.

use serde_json::{Map, Value};

use super::data_test::TestConfig;
use super::test_maker::Maker;
use super::test_yaml::Setting;
use retail_api::Failure;
use retail_api::source::Location;

/// The settings of a test, each the last that was said.
pub(super) struct Settled {
    pub(super) config: TestConfig,
    /// As its template sees them.
    pub(super) said: Map<String, Value>,
}

/// A template's own `config(…)`.
pub(super) struct Block<'a> {
    pub(super) config: &'a [(String, Value)],
    /// A failure at the test; the cause is left to say.
    pub(super) stray: Failure,
    pub(super) file: &'a str,
}

/// The settings of `dbt_project.yml`, over them those of the template's `config(…)`, over them the test's own, as dbt
/// lays them.
pub(super) fn settings(
    make: &Maker<'_>,
    file: &str,
    block: Option<Block<'_>>,
    own: &[Setting],
) -> Result<Settled, Failure> {
    let mut settled = Settled {
        config: TestConfig::default(),
        said: Map::new(),
    };
    let mut put = |setting: &Setting| {
        let setting = Setting {
            value: make.rendered(&setting.value, &setting.stray)?,
            ..setting.clone()
        };
        if !setting.put(&mut settled.config)? {
            let at = Location {
                file: setting.stray.file.clone().unwrap_or_default(),
                line: setting.stray.line,
            };
            let text = format!(
                "a test has no setting {}; only its template can see it",
                setting.key
            );
            make.warn(text, at);
        }
        if !setting.value.is_null() {
            settled.said.insert(setting.key, setting.value);
        }
        Ok(())
    };
    (make.defaults)(file).into_iter().try_for_each(&mut put)?;
    if let Some(block) = block {
        for (key, value) in block.config {
            let stray = block
                .stray
                .clone()
                .note(format!("config(…) in {} sets it", block.file));
            put(&Setting {
                key: key.clone(),
                value: value.clone(),
                stray,
            })?;
        }
    }
    own.iter().try_for_each(put)?;
    Ok(settled)
}
