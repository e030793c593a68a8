//! YAML beside the models: what of it is rendered, looked up and reported.

use super::*;
use crate::Materialized;

#[test]
fn jinja_in_the_settings_and_types_of_a_model_is_rendered() {
    let yaml = "
models:
  - name: a
    config:
      materialized: \"{{ 'table' if var('day', 1) == 1 else 'view' }}\"
      tags: [\"{{ var('tag', 'late') }}\", fixed]
      meta: {rank: \"{{ 1 + 1 }}\"}
    columns:
      - {name: id, data_type: \"{{ dbt.type_bigint() }}\"}
";
    let files = [
        ("dbt_project.yml", "name: shop"),
        ("models/a.sql", "select 1 as id"),
        ("models/s.yml", yaml),
    ];
    let read = project(&files, json!({})).unwrap_or_else(|failure| panic!("{}", shown(&failure)));
    let model = &read.models[0];
    assert_eq!(model.materialized, Materialized::Table);
    assert_eq!(model.tags, ["late", "fixed"]);
    assert_eq!(model.config.meta["rank"], 2);
    assert_eq!(model.columns[0].data_type.as_deref(), Some("bigint"));
    let wrong = yaml.replace("var('day', 1)", "dya");
    let text = fails(&[files[0], files[1], ("models/s.yml", &wrong)]);
    assert!(
        text.contains("models/s.yml:5") && text.contains("dya is not defined"),
        "{text}"
    );
}

#[test]
fn blocks_that_descriptions_call_for_are_looked_for() {
    let files = [
        ("dbt_project.yml", "name: shop"),
        ("models/a.sql", "select 1 as id"),
        (
            "docs/all.md",
            "{% docs orders %}One row an order.{% enddocs %}",
        ),
        (
            "models/s.yml",
            "models:\n  - name: a\n    description: \"{{ doc('orders') }}\"\n    columns:\n      - name: id\n        \
             description: \"{{ doc('shop', 'ordres') }}\"\n",
        ),
    ];
    assert_eq!(
        reported(&files),
        ["models/s.yml:6: description: there is no docs block ordres; did you mean orders?"]
    );
}

#[test]
fn what_a_source_configures_in_vain_is_reported_and_fixtures_are_no_tests() {
    let files = [
        ("dbt_project.yml", "name: shop"),
        ("models/a.sql", "select 1 as id"),
        ("tests/fixtures/rows.sql", "select 1 as id"),
        (
            "macros/m.yml",
            "macros:\n  - name: m\nunit_tests:\n  - name: u\n",
        ),
        (
            "models/s.yml",
            "sources:\n  - name: raw\n    config:\n      freshness: {warn_after: {count: 1, period: day}}\n      event_time: at\n    \
             tables:\n      - name: orders\n",
        ),
    ];
    assert_eq!(
        reported(&files),
        [
            "macros/m.yml:3: unit_tests are not supported and have no effect",
            "models/s.yml:4: freshness of sources is not checked",
            "models/s.yml:5: setting event_time of a source has no effect",
        ]
    );
    let read = project(&files, json!({})).unwrap();
    assert!(read.tests.is_empty());
}
