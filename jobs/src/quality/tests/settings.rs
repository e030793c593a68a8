//! Where the settings of a test come from, and what Jinja in them becomes.

use super::*;
use retail_project::Severity;

fn of<'a>(project: &'a Project, name: &str) -> &'a DataTest {
    let test = project.tests.iter().find(|t| t.name == name);
    test.unwrap_or_else(|| panic!("{name}"))
}

fn sql(test: &DataTest) -> String {
    plain(&counting(test, &failing(test, &schema_of).unwrap()))
}

fn refused(yaml: &str, more: &[(&str, &str)]) -> String {
    let mut files = vec![
        ("dbt_project.yml", PROJECT),
        ("models/orders.sql", "select 1 as id"),
        ("models/s.yml", yaml),
    ];
    files.extend_from_slice(more);
    if !more.iter().any(|(path, _)| *path == "models/stores.sql") {
        files.push(("models/stores.sql", "select 1 as store_id"));
    }
    let files = files.into_iter().map(|(path, text)| ProjectFile {
        path: path.to_string(),
        content: text.as_bytes().to_vec(),
    });
    let files: Vec<ProjectFile> = files.collect();
    load(&files, json!({}).as_object().unwrap())
        .unwrap_err()
        .to_string()
}

const GENERIC: &str = "{% test is_ok(model, column_name) %}
{{ config(severity='warn', where='id > 1', limit=7, error_if='> 5', tags='block') }}
select * from {{ model }} where {{ column_name }} = 'lost' -- {{ config.get('severity') }}
{% endtest %}
{% test is_off(model) %}{{ config(enabled=false) }}select * from {{ model }}{% endtest %}
{% macro test_by_macro(model) %}{{ config(fail_calc='sum(id)') }}select * from {{ model }}{% endmacro %}
";

#[test]
fn settings_of_a_test_block_hold_until_its_use_sets_others() {
    let yaml = "
models:
  - name: orders
    tests: [is_off, by_macro]
    columns:
      - name: status
        tests:
          - is_ok
          - is_ok: {name: strict, config: {severity: error, where: id > 2, limit: 3}}
          - is_ok: {name: same, config: {where: null}}
";
    let project = project(yaml, &[("tests/generic/g.sql", GENERIC)]);
    assert_eq!(project.tests.len(), 4);
    let plainly = of(&project, "is_ok_orders_status");
    assert_eq!(
        sql(plainly),
        "select count(*) as failures from ( select * from (select * from m.orders where id > 1) dbt_subquery where status = \
         'lost' limit 7 ) dbt_internal_test"
    );
    assert_eq!(plainly.config.severity, Severity::Warn);
    assert_eq!(plainly.config.tags, ["block"]);
    let strict = of(&project, "strict");
    assert_eq!(
        sql(strict),
        "select count(*) as failures from ( select * from (select * from m.orders where id > 2) dbt_subquery where status = \
         'lost' limit 3 ) dbt_internal_test"
    );
    assert_eq!(verdict::state(strict, 6), TestState::Failed);
    assert_eq!(verdict::state(strict, 5), TestState::Warned);
    // Null sets nothing, as in dbt.
    assert!(sql(of(&project, "same")).contains("where id > 1"));
    assert!(sql(of(&project, "by_macro_orders_")).starts_with("select sum(id) as failures"));
    // What the block sets wrongly is refused where the test is used.
    let wrong = GENERIC.replace("severity='warn'", "severity='loud'");
    let text = refused(yaml, &[("tests/generic/g.sql", &wrong)]);
    assert!(
        text.contains("models/s.yml:8") && text.contains("not loud"),
        "{text}"
    );
}

#[test]
fn jinja_in_the_settings_and_arguments_of_a_test_is_rendered() {
    let yaml = "
models:
  - name: orders
    columns:
      - name: status
        tests:
          - accepted_values:
              name: known
              values: \"{{ var('known', ['paid', 'open']) }}\"
              config: {severity: \"{{ 'warn' if true else 'error' }}\", limit: \"{{ 1 + 1 }}\", error_if: \"> {{ var('n', 3) }}\"}
          - accepted_values: {name: each, values: [\"{{ 'pa' ~ 'id' }}\"], config: {where: \"id > {{ var('from', 9) }}\"}}
          - not_null: {name: off, config: {enabled: \"{{ false }}\"}}
          - relationships: {name: to_stores, to: \"{{ ref('stores') }}\", field: \"{{ 'store_id' }}\"}
";
    let manifest = format!("{PROJECT}tests:\n  +limit: \"{{{{ 40 + 2 }}}}\"\n");
    let project = project_with(yaml, &manifest);
    let known = of(&project, "known");
    assert!(sql(known).contains("status not in ('paid', 'open')"));
    assert_eq!(known.config.severity, Severity::Warn);
    assert_eq!(known.config.limit, Some(2));
    assert_eq!(known.config.error_if.to_string(), "> 3");
    let each = of(&project, "each");
    assert!(sql(each).contains(
        "(select * from m.orders where id > 9) dbt_subquery where status not in ('paid')"
    ));
    assert_eq!(each.config.limit, Some(42));
    assert!(sql(of(&project, "to_stores")).contains("parent.store_id"));
    assert!(project.tests.iter().all(|t| t.name != "off"));
    // What is not defined would cut a condition short.
    let text = refused(&yaml.replace("var('from', 9)", "form"), &[]);
    assert!(
        text.contains("models/s.yml:11") && text.contains("form is not defined"),
        "{text}"
    );
}

#[test]
fn failing_rows_are_kept_in_tables_named_as_in_dbt() {
    let yaml = "
models:
  - name: orders
    config: {meta: {a: 1}}
    columns:
      - name: status
        tests:
          - unique: {config: {store_failures: true}}
          - not_null: {config: {store_failures_as: table, alias: no_status, schema: aud}}
          - not_null: {name: n, config: {store_failures: true, store_failures_as: ephemeral}}
          - accepted_values: {values: [placed, shippedshippedshippedshippedshippedshipped, lostlostlostlostlostlostlostlostlostlostlostlost], config: {store_failures: true}}
          - relationships: {to: ref('stores'), field: store_id, config: {store_failures: true}}
";
    let project = project(yaml, &[]);
    let tables: Vec<String> = project
        .tests
        .iter()
        .map(|t| t.stored_in.as_ref().map_or("-".into(), |t| t.to_string()))
        .collect();
    assert_eq!(
        tables,
        [
            "dbt_test__audit.unique_orders_status",
            "aud.no_status",
            "-",
            // The digest that dbt 1.10 gives this name.
            "dbt_test__audit.accepted_values_orders_697e38b02bc95c8bbdaeb4522d2ae867",
            "dbt_test__audit.relationships_orders_status__store_id__ref_stores_",
        ]
    );
    // They have dbt's columns.
    let rows = |i: usize| plain(&failing(&project.tests[i], &schema_of).unwrap());
    assert!(rows(0).starts_with("select status as unique_field, count(*) as n_records"));
    assert!(rows(4).starts_with("select status as from_field from"));
    // The project's own rule names their schema too.
    let rule = "{% macro generate_schema_name(custom, node) %}{{ target.schema }}_{{ custom }}{% endmacro %}";
    let named = super::project(yaml, &[("macros/n.sql", rule)]);
    let named = named.tests[0].stored_in.as_ref().unwrap().to_string();
    assert_eq!(named, "main_dbt_test__audit.unique_orders_status");
    // Two tests never share a table, and none takes a model's.
    let twice = yaml.replace(
        "alias: no_status, schema: aud",
        "alias: unique_orders_status",
    );
    let stores = "{{ config(alias='no_status', schema='aud') }}select 1 as store_id";
    for (yaml, more, table) in [
        (
            twice.as_str(),
            vec![],
            "dbt_test__audit.unique_orders_status",
        ),
        (yaml, vec![("models/stores.sql", stores)], "aud.no_status"),
    ] {
        let text = refused(yaml, &more);
        assert!(
            text.contains("models/s.yml:9") && text.contains(table),
            "{text}"
        );
    }
}

#[test]
fn macros_that_go_over_dbts_tests_are_taken_and_those_that_cannot_be_are_refused() {
    let yaml = "
models:
  - name: orders
    columns:
      - name: id
        tests: [unique, {not_null: {config: {where: __recent__}}}]
";
    let macros = "{% macro default__test_unique(model, column_name) %}select 1 from {{ model }}{% endmacro %}
{% macro get_where_subquery(relation) %}{% if config.get('where') == '__recent__' %}(select * from {{ relation }} where id > 5) \
                  r{% else %}{{ relation }}{% endif %}{% endmacro %}";
    let project = project(yaml, &[("macros/m.sql", macros)]);
    let sql = |i: usize| plain(&failing(&project.tests[i], &schema_of).unwrap());
    assert_eq!(sql(0), "select 1 from m.orders");
    assert_eq!(
        sql(1),
        "select * from (select * from (select * from m.orders where id > 5) r) dbt_subquery where id is null"
    );
    for name in [
        "get_test_sql",
        "default__get_test_sql",
        "should_store_failures",
    ] {
        let text = refused(
            yaml,
            &[(
                "macros/m.sql",
                &format!("\n{{% macro {name}() %}}{{% endmacro %}}"),
            )],
        );
        assert!(
            text.contains(name) && text.contains("macros/m.sql:2"),
            "{text}"
        );
    }
    let read = super::project(
        yaml,
        &[(
            "macros/m.sql",
            "{% macro postgres__create_table_as() %}{% endmacro %}",
        )],
    );
    assert!(
        read.warnings[0]
            .text
            .contains("postgres__create_table_as goes over dbt's own")
    );
}

#[test]
fn settings_that_are_merged_in_count_and_expressions_that_nobody_holds_are_refused() {
    let yaml = "
common: &common {severity: warn, limit: 5}
models:
  - name: orders
    columns:
      - name: id
        tests:
          - unique: {config: {<<: *common, limit: 9}}
";
    let merged = project(yaml, &[]);
    let config = &merged.tests[0].config;
    assert_eq!((config.severity, config.limit), (Severity::Warn, Some(9)));
    let yaml = "
models:
  - name: orders
    columns:
      - name: id
        constraints: [{type: unique, expression: nulls not distinct}]
";
    let text = refused(yaml, &[]);
    assert!(
        text.contains("models/s.yml:6") && text.contains("for checks only"),
        "{text}"
    );
}

#[test]
fn a_file_may_end_as_it_likes_and_have_a_limit_of_its_own() {
    let file = "{{ config(limit=2) }}select * from {{ ref('orders') }} order by id limit 3 ; -- the first\n";
    let project = project("models: []", &[("tests/first.sql", file)]);
    assert_eq!(
        sql(&project.tests[0]),
        "select count(*) as failures from ( select * from ( select * from m.orders order by id limit 3 ) dbt_internal_rows \
         limit 2 ) dbt_internal_test"
    );
}

#[test]
fn a_hundred_tests_of_one_table_are_two_passes() {
    let tests: String = (0..100)
        .map(|i| format!("          - not_null: {{name: n{i}}}\n"))
        .collect();
    let yaml = format!(
        "models:\n  - name: orders\n    columns:\n      - name: id\n        tests:\n{tests}          - unique\n          - \
         unique: {{name: again}}\n          - unique: {{name: once_more}}\n"
    );
    let queries = queries(&project(&yaml, &[]));
    assert_eq!(queries.len(), 3);
    // Additions of additions of additions: a plan that is sent must not be deep.
    assert!(
        queries[0].contains("bit_or((((((case when"),
        "{}",
        queries[0]
    );
}
