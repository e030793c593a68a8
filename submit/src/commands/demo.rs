//! `demo`: a marketplace's first two days, from files to checked tables, on a cluster inside this process.

use std::path::{Path, PathBuf};

use retail_api::events::PublishedTable;
use retail_api::table::Table;
use retail_datagen::DaySummary;
use retail_datagen::{Format, GenerateOptions, Truth, generate, generate_day, project_files};
use retail_project::load;
use retail_proto::v1;
use serde_json::{Map, Value, json};

use crate::cli::DemoArgs;
use crate::error::SubmitError;
use crate::format;
use crate::local::Layout;
use crate::project::submitted_by;
use crate::render::table::{self, Align::Left, Align::Right};
use crate::render::{checks, next};
use crate::session::{App, Session};
use crate::steps::delivery::{Bar, day_line, failed, landed};
use crate::steps::job::submit_and_follow;
use crate::steps::query::first_rows;
use crate::steps::truth;
use crate::term::Paint;

/// Days that land, one before each run.
const DAYS: u32 = 2;
/// Rows of each analysis that are shown.
const ANSWER_ROWS: usize = 3;
/// Orders and seed of a new folder.
const ORDERS: u64 = 100_000;
const SEED: u64 = 42;
/// The table that the advice at the end names.
const EXAMPLE: &str = "marts.fact_order_summary";

/// `retail-submit demo`.
pub(crate) async fn demo(app: &App, args: &DemoArgs) -> Result<(), SubmitError> {
    let layout = Layout::new(&args.dir)?;
    let shown_dir = args.dir.display().to_string();
    let input = Input::open(&layout, args)?;
    app.console.note(&format!(
        "demo in {shown_dir}: {}, seed {}, {} days, {}",
        format::plural(input.options.orders, "order"),
        input.options.seed,
        DAYS,
        format::plural(u64::from(args.executors), "executor"),
    ));
    let first = input.land_first(app)?;
    let session = Session::local(layout.clone(), args.executors, &[], &shown_dir).await?;
    let result = on_cluster(app, &session, &layout, &input, first, &shown_dir).await;
    session.close().await;
    result
}

async fn on_cluster(
    app: &App,
    session: &Session,
    layout: &Layout,
    input: &Input,
    reused: Reused,
    shown_dir: &str,
) -> Result<(), SubmitError> {
    let published = match reused {
        // Both deliveries are there: one run reads both, and nothing may change.
        Reused::All => run_project(app, session, input).await?,
        _ => {
            run_project(app, session, input).await?;
            input.land(app, DAYS)?;
            run_project(app, session, input).await?
        }
    };
    let console = &app.console;
    let truth = Truth::read(&input.truth()).map_err(failed)?;
    let heading = |text: &str| console.print_all([String::new(), console.out.bold(text)]);

    let tables = session.client.tables("").await?;
    if !console.json {
        heading("Published tables")?;
        console.print_all(published_lines(&published, &tables, console.out))?;
        answers(app, session, input, &heading).await?;
        heading("Every number beside the truth")?;
    }
    let compared = truth::check(app, session, &truth).await?;
    let verdict = truth::show(app, &compared, true);
    if console.json {
        console.print_json(&json!({"dir": layout.dir, "published": published, "checks": compared.len(), "differing": checks::differing(&compared)}))?;
        return verdict;
    }
    if let Some(example) = tables
        .iter()
        .find(|table| table.name == EXAMPLE)
        .or(tables.first())
    {
        heading("Next")?;
        console.print_all(next::lines(&next::Demo {
            dir: shown_dir,
            catalog: &layout.catalog(),
            warehouse: &layout.warehouse(),
            table: &example.name,
            metadata_location: &example.metadata_location,
            truth: &input.truth_shown(shown_dir),
        }))?;
    }
    verdict
}

/// One run of the embedded project; what it published.
async fn run_project(
    app: &App,
    session: &Session,
    input: &Input,
) -> Result<Vec<PublishedTable>, SubmitError> {
    let files = project_files().into_iter().map(|file| v1::ProjectFile {
        path: file.path,
        content: file.content,
    });
    let request = v1::SubmitRequest {
        files: files.collect(),
        project_dir: "jobs/retail".into(),
        vars_json: Value::Object(input.vars()).to_string(),
        submitted_by: submitted_by(),
        executor_timeout_ms: 60_000,
        // The demo's files are its own: it may have made fewer than the last time.
        allow_removed_files: true,
        ..Default::default()
    };
    Ok(submit_and_follow(app, session, request).await?.tables)
}

/// The first rows of each analysis of the project.
async fn answers(
    app: &App,
    session: &Session,
    input: &Input,
    heading: &dyn Fn(&str) -> Result<(), SubmitError>,
) -> Result<(), SubmitError> {
    let console = &app.console;
    let project = load(&project_files(), &input.vars()).map_err(failed)?;
    for analysis in &project.analyses {
        let page = first_rows(app, session, &analysis.sql, ANSWER_ROWS).await?;
        heading(&sentence(analysis.name.as_str()))?;
        let (lines, _) = page.lines(
            console.out_is_terminal.then_some(console.width),
            console.out,
        );
        console.print_all(lines)?;
    }
    Ok(())
}

/// `monthly_sales_growth` as `Monthly sales growth`, `rfm` as `RFM`.
fn sentence(name: &str) -> String {
    if name.len() <= 3 {
        return name.to_uppercase();
    }
    let words = name.replace('_', " ");
    let mut letters = words.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

/// Table, rows, snapshot, seconds.
fn published_lines(published: &[PublishedTable], tables: &[Table], paint: Paint) -> Vec<String> {
    let mut published: Vec<&PublishedTable> = published.iter().collect();
    published.sort_by(|a, b| a.table.cmp(&b.table));
    let rows: Vec<Vec<String>> = published
        .iter()
        .map(|table| {
            let view = table.materialized == "view";
            let size = tables
                .iter()
                .find(|known| known.name == table.table)
                .map_or(0, |known| known.bytes);
            vec![
                table.table.clone(),
                if view {
                    "view".into()
                } else {
                    format::count(table.rows)
                },
                if view { "-".into() } else { format::size(size) },
                table.snapshot_id.map_or("-".into(), |id| id.to_string()),
                format!("{:.1}", table.elapsed_ms as f64 / 1000.0),
            ]
        })
        .collect();
    let columns = [
        ("TABLE", Left),
        ("ROWS", Right),
        ("SIZE", Right),
        ("SNAPSHOT", Right),
        ("SECONDS", Right),
    ];
    table::lines(&columns, &rows, paint)
}

/// What was there before this demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reused {
    Nothing,
    First,
    All,
}

/// The demo's deliveries: those there, and those to come.
struct Input {
    options: GenerateOptions,
}

impl Input {
    /// Takes over what an earlier demo made in the folder; refuses to mix it with other orders or another seed.
    fn open(layout: &Layout, args: &DemoArgs) -> Result<Self, SubmitError> {
        let out = layout.input();
        let mut options = GenerateOptions {
            orders: args.orders.unwrap_or(ORDERS),
            days: DAYS,
            seed: args.seed.unwrap_or(SEED),
            format: Format::Parquet,
            out,
            only_day: None,
        };
        if options.out.join("truth.json").exists() {
            let truth = Truth::read(&options.out.join("truth.json")).map_err(failed)?;
            let same = args.orders.is_none_or(|orders| orders == truth.orders)
                && args.seed.is_none_or(|seed| seed == truth.seed);
            if !same || truth.days != DAYS {
                let shown = args.dir.display();
                let there = format!(
                    "{}, seed {}, {} days",
                    format::plural(truth.orders, "order"),
                    truth.seed,
                    truth.days
                );
                return Err(SubmitError::config_with(
                    format!("{shown} holds other input: {there}"),
                    format!(
                        "choose another --dir, the same --orders and --seed, or delete {shown}"
                    ),
                ));
            }
            if options.out.join("day=1").join("orders.csv").exists() {
                options.format = Format::Csv;
            }
            (options.orders, options.seed) = (truth.orders, truth.seed);
        }
        Ok(Self { options })
    }

    /// Lands day 1 and the truth, unless they are there.
    fn land_first(&self, app: &App) -> Result<Reused, SubmitError> {
        let out = &self.options.out;
        match (landed(out, 1) && self.truth().exists(), landed(out, DAYS)) {
            (true, true) => {
                app.console.note("reused: the deliveries of both days, so one run reads both and nothing may change");
                Ok(Reused::All)
            }
            (true, false) => {
                app.console.note("reused: the delivery of day 1");
                Ok(Reused::First)
            }
            (false, _) => {
                let bar = Bar::new(&app.console);
                let first = GenerateOptions {
                    only_day: Some(1),
                    ..self.options.clone()
                };
                let summary =
                    generate(&first, &mut |progress| bar.show(progress)).map_err(failed)?;
                drop(bar);
                summary.days.iter().for_each(|day| say_landed(app, day));
                Ok(Reused::Nothing)
            }
        }
    }

    /// Lands the delivery of `day`.
    fn land(&self, app: &App, day: u32) -> Result<(), SubmitError> {
        let bar = Bar::new(&app.console);
        let summary =
            generate_day(&self.options, day, &mut |progress| bar.show(progress)).map_err(failed)?;
        drop(bar);
        say_landed(app, &summary);
        Ok(())
    }

    fn truth(&self) -> PathBuf {
        self.options.out.join("truth.json")
    }

    fn truth_shown(&self, shown_dir: &str) -> PathBuf {
        Path::new(shown_dir).join("input").join("truth.json")
    }

    /// The project's variables.
    fn vars(&self) -> Map<String, Value> {
        Map::from_iter([
            (
                "input".to_string(),
                json!(self.options.out.display().to_string()),
            ),
            ("format".to_string(), json!(self.options.format.extension())),
        ])
    }
}

fn say_landed(app: &App, day: &DaySummary) {
    app.console.note(&format!("landed {}", day_line(day)));
}

#[cfg(test)]
mod tests {
    use retail_api::SnapshotId;

    use super::*;

    fn args(dir: &Path, orders: Option<u64>) -> DemoArgs {
        DemoArgs {
            dir: dir.to_path_buf(),
            orders,
            seed: None,
            executors: 2,
        }
    }

    #[test]
    fn a_second_demo_takes_over_the_input_and_refuses_to_mix_it() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path()).unwrap();
        let input = Input::open(&layout, &args(dir.path(), Some(50))).unwrap();
        generate(&input.options, &mut |_| {}).unwrap();
        let again = Input::open(&layout, &args(dir.path(), None)).unwrap();
        assert_eq!((again.options.orders, again.options.seed), (50, SEED));
        assert!(landed(&again.options.out, 1) && landed(&again.options.out, DAYS));
        let error = Input::open(&layout, &args(dir.path(), Some(51)))
            .err()
            .unwrap();
        assert!(
            error
                .to_string()
                .contains("holds other input: 50 orders, seed 42, 2 days"),
            "{error}"
        );
        assert_eq!(error.exit_code(), crate::exit::ExitCode::Config);
    }

    #[test]
    fn what_was_published_is_a_table_with_snapshots_and_seconds() {
        let published = |table: &str, materialized: &str, rows, snapshot_id| PublishedTable {
            table: table.into(),
            materialized: materialized.into(),
            rows,
            rows_before: None,
            snapshot_id,
            elapsed_ms: 1_240,
        };
        let lines = published_lines(
            &[
                published("marts.dim_date", "table", 3_000, Some(SnapshotId(812))),
                published("marts.obt", "view", 0, None),
            ],
            &[],
            Paint::OFF,
        );
        assert_eq!(
            lines,
            [
                "TABLE            ROWS  SIZE  SNAPSHOT  SECONDS",
                "marts.dim_date  3,000   0 B       812      1.2",
                "marts.obt        view     -         -      1.2",
            ]
        );
        assert_eq!(sentence("monthly_sales_growth"), "Monthly sales growth");
    }
}
