//! Tests as SQL, passes and verdicts, on a project of two tables.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use retail_api::TableName;
use serde_json::json;

use super::plan::{CheckQuery, plan};
use super::statement::{counting, failing, plain, sample};
use super::{chosen, contract, verdict};
use retail_api::job::TestState;
use retail_project::{DataTest, Project, ProjectFile, load};

mod settings;

const PROJECT: &str = "name: t\nmodels:\n  t:\n    +materialized: table\n    +schema: m\n";

fn project(yaml: &str, more: &[(&str, &str)]) -> Project {
    let mut files = vec![
        ("dbt_project.yml", PROJECT),
        ("models/orders.sql", "select 1 as id"),
        ("models/stores.sql", "select 1 as store_id"),
        ("models/s.yml", yaml),
    ];
    files.extend_from_slice(more);
    let files: Vec<ProjectFile> = files
        .iter()
        .map(|(path, text)| ProjectFile {
            path: (*path).to_string(),
            content: text.as_bytes().to_vec(),
        })
        .collect();
    let loaded = load(&files, json!({}).as_object().unwrap());
    loaded.unwrap_or_else(|failure| panic!("{failure}"))
}

fn schema_of(table: &TableName) -> Option<SchemaRef> {
    let fields = match table.name.as_str() {
        "orders" => vec![
            Field::new("id", DataType::Int64, true),
            Field::new("store_id", DataType::Int64, true),
            Field::new("price", DataType::Decimal128(12, 2), true),
            Field::new("status", DataType::Utf8View, true),
        ],
        "stores" => vec![Field::new("store_id", DataType::Int64, true)],
        _ => return None,
    };
    Some(Arc::new(Schema::new(fields)))
}

fn queries(project: &Project) -> Vec<String> {
    let tests: Vec<&DataTest> = project.tests.iter().collect();
    let planned = plan(&tests, &schema_of).unwrap();
    let sql = |query| match query {
        CheckQuery::Pass { sql, .. } | CheckQuery::One { sql, .. } => sql,
    };
    planned.into_iter().map(sql).collect()
}

const ORDERS: &str = "
models:
  - name: orders
    columns:
      - name: id
        tests: [unique, not_null]
      - name: store_id
        data_tests:
          - not_null
          - relationships: {to: ref('stores'), field: store_id}
      - name: price
        tests:
          - accepted_values: {values: [16.99, 4.07, 0.125], quote: false}
      - name: status
        tests:
          - accepted_values:
              arguments: {values: ['paid', \"it's\"]}
";

#[test]
fn tests_of_one_table_share_a_pass() {
    let project = project(ORDERS, &[]);
    let names: Vec<&str> = project.tests.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "unique_orders_id",
            "not_null_orders_id",
            "not_null_orders_store_id",
            "relationships_orders_store_id__store_id__ref_stores_",
            "accepted_values_orders_price__False__16_99__4_07__0_125",
            "accepted_values_orders_status__paid__it_s",
        ]
    );
    assert_eq!(
        queries(&project),
        [
            "select coalesce(bit_or(failed), 0) as failed, coalesce(sum(case when n > 1 and k0 is not null then 1 else 0 end), \
             0) as repeated\nfrom (\nselect \"id\" as k0, count(*) as n, bit_or(((case when \"id\" is null then 1 else 0 end\n  \
             + case when \"store_id\" is null then 2 else 0 end)\n  \
             + (case when \"price\" not in (cast('16.99' as decimal(12,2)), cast('4.07' as decimal(12,2))) then 4 else 0 end\n  \
             + case when \"status\" not in ('paid', 'it''s') then 8 else 0 end))) as failed\nfrom \"m\".\"orders\"\n\
             group by \"id\"\n) dbt_keys",
            "select count(*) as failures from (\nselect * from \"m\".\"orders\" dbt_subquery where \"store_id\" is not null \
             and not exists (select 1 from \"m\".\"stores\" parent where parent.\"store_id\" = dbt_subquery.\"store_id\")\n) \
             dbt_internal_test",
        ]
    );
}

#[test]
fn settings_change_what_is_counted_and_when_it_fails() {
    let yaml = "
models:
  - name: orders
    columns:
      - name: id
        tests:
          - unique: {config: {where: \"status = 'paid'\", limit: 3}}
          - not_null: {name: ids, severity: WARN, warn_if: '> 2'}
          - not_null: {config: {error_if: '>10', warn_if: '>0'}}
      - name: status
        tests:
          - accepted_values: {values: [paid], config: {fail_calc: sum(n_records), enabled: true}}
          - not_null: {config: {enabled: false}}
";
    let project = project(yaml, &[]);
    let tests = &project.tests;
    assert_eq!(tests.len(), 4);
    let sql = |i: usize| counting(&tests[i], &failing(&tests[i], &schema_of).unwrap());
    assert_eq!(
        sql(0),
        "select count(*) as failures from (\nselect \"id\", count(*) as n_records from (select * from \"m\".\"orders\" where \
         status = 'paid') dbt_subquery where \"id\" is not null group by \"id\" having count(*) > 1\nlimit 3\n) \
         dbt_internal_test"
    );
    assert!(
        sql(3).starts_with("select sum(n_records) as failures from"),
        "{}",
        sql(3)
    );
    let ids = &tests[1];
    assert_eq!(ids.name, "ids");
    assert_eq!(verdict::state(ids, 2), TestState::Passed);
    assert_eq!(verdict::state(ids, 3), TestState::Warned);
    let graded = &tests[2];
    assert_eq!(verdict::state(graded, 11), TestState::Failed);
    assert_eq!(verdict::state(graded, 10), TestState::Warned);
    assert_eq!(verdict::state(graded, 0), TestState::Passed);
}

#[test]
fn a_generic_test_of_the_project_is_its_macro_over_the_tested_rows() {
    let yaml = "
models:
  - name: orders
    tests:
      - rows_match: {other: ref('stores'), config: {where: id > 0}}
      - dbt_utils.unique_combination_of_columns: {combination_of_columns: [id, store_id]}
    columns:
      - name: id
        tests:
          - is_at_least: {least: 2}
          - dbt_utils.accepted_range: {min_value: 0, max_value: 10, inclusive: false}
";
    let generic = "-- how to use it\n{% test is_at_least(model, column_name, least=1) %}\nselect * from {{ model }} where \
                   {{ column_name }} < {{ least }}\n{% endtest %}\n";
    let macros = "{% test rows_match(model, other) %}select 1 from {{ model }} join {{ other }} on true{% endtest %}";
    let project = project(
        yaml,
        &[
            ("tests/generic/is_at_least.sql", generic),
            ("macros/m.sql", macros),
        ],
    );
    let of = |name: &str| {
        let test = project.tests.iter().find(|t| t.kind.as_str() == name);
        let test = test.unwrap_or_else(|| panic!("{name}"));
        plain(&failing(test, &schema_of).unwrap())
    };
    assert_eq!(of("is_at_least"), "select * from m.orders where id < 2");
    assert_eq!(
        of("rows_match"),
        "select 1 from (select * from m.orders where id > 0) dbt_subquery join m.stores on true"
    );
    assert_eq!(
        of("dbt_utils.accepted_range"),
        "select * from m.orders where false or not (id > 0) or not (id < 10)"
    );
    assert_eq!(
        of("dbt_utils.unique_combination_of_columns"),
        "select id, store_id, count(*) as n_records from m.orders group by id, store_id having count(*) > 1"
    );
    let rows_match = &project.tests[0];
    assert_eq!(rows_match.models, ["orders".into(), "stores".into()]);
    assert!(sample(rows_match, "select 1", 5).contains("limit 5"));
}

#[test]
fn a_file_below_tests_is_a_test_with_settings_of_its_own() {
    let one =
        "{{ config(severity='warn') }}\n-- why\nselect * from {{ ref('orders') }} where id < 0;\n";
    let yaml = "data_tests:\n  - name: two\n    config: {error_if: '> 5'}\n";
    let project = project(
        yaml,
        &[
            ("tests/one.sql", one),
            (
                "tests/deep/er/two.sql",
                "select * from {{ ref('stores') }} where store_id is null",
            ),
        ],
    );
    let names: Vec<&str> = project.tests.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["two", "one"]);
    assert_eq!(verdict::state(&project.tests[1], 1), TestState::Warned);
    assert_eq!(verdict::state(&project.tests[0], 5), TestState::Warned);
    assert_eq!(verdict::state(&project.tests[0], 6), TestState::Failed);
    let sql = failing(&project.tests[1], &schema_of).unwrap();
    assert_eq!(plain(&sql), "select * from m.orders where id < 0");
    // It runs with a run that builds what it reads.
    let of = |selected: &str| {
        let tests = chosen(&project, &[selected.into()], &HashSet::new());
        tests
            .iter()
            .map(|t| t.name.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!((of("orders"), of("stores")), ("one".into(), "two".into()));
}

#[test]
fn what_is_shown_of_a_failure_is_enough_to_act_on() {
    let project = project(ORDERS, &[]);
    let unique = &project.tests[0];
    let sql = failing(unique, &schema_of).unwrap();
    let rows = ["id  n_records".to_string(), "4   2".to_string()];
    let look = verdict::Look::Query {
        sql: &sql,
        staged: false,
        unkept: None,
    };
    let failure = verdict::failure(unique, TestState::Failed, 1, &rows, &look);
    assert_eq!(
        failure.message,
        "test unique_orders_id failed: 1 value of id is there more than once"
    );
    assert_eq!(
        (
            failure.file.as_deref(),
            failure.line,
            failure.snippet.as_str()
        ),
        (Some("models/s.yml"), 6, "        tests: [unique, not_null]")
    );
    assert_eq!(
        failure.notes,
        [
            "model m.orders, column id",
            "they are:\nid  n_records\n4   2",
            "see them: select id, count(*) as n_records from m.orders where id is not null group by id having count(*) > 1",
            "fix the rows, or let it warn: config: {severity: warn}",
        ]
    );
}

#[test]
fn a_column_that_is_not_there_is_reported_at_the_line_that_tests_it() {
    let yaml = "models:\n  - name: orders\n    columns:\n      - name: stor_id\n        tests: [not_null]\n";
    let project = project(yaml, &[]);
    let tests: Vec<&DataTest> = project.tests.iter().collect();
    let failure = plan(&tests, &schema_of).unwrap_err();
    assert_eq!(
        failure.to_string(),
        "cannot plan test not_null_orders_stor_id at models/s.yml:5: m.orders has no column stor_id; did you mean store_id?"
    );
}

#[test]
fn a_contract_names_every_column_that_is_not_as_promised() {
    let yaml = "models:
  - name: orders
    config: {contract: {enforced: true}}
    columns:
      - {name: order_id, data_type: varchar}
      - {name: amount, data_type: \"decimal(12,2)\"}
      - {name: currency, data_type: text}
      - {name: tax, data_type: numeric}
";
    let project = project(yaml, &[]);
    let model = project.model(&"orders".into()).unwrap();
    let planned = Schema::new(vec![
        Field::new("order_id", DataType::Int64, true),
        Field::new("amount", DataType::Float64, true),
        Field::new("extra", DataType::Utf8, true),
        Field::new("tax", DataType::Decimal128(22, 4), true),
    ]);
    let failure = contract::hold(model, &planned).unwrap_err();
    assert_eq!(
        failure.to_string(),
        "model m.orders breaks its contract at models/s.yml:2: 4 columns are not as promised:\n\
         order_id varchar (models/s.yml:5): the model has bigint\n\
         amount decimal(12,2) (models/s.yml:6): the model has double\n\
         currency varchar (models/s.yml:7): the model has no such column\n\
         extra varchar: the contract has no such column"
    );
    // An inherited contract is switched off.
    let off = yaml.replace("enforced: true", "enforced: false");
    let inherited = PROJECT.replace(
        "    +schema: m",
        "    +schema: m\n    +contract: {enforced: true}",
    );
    let project = project_with(&off, &inherited);
    let model = project.model(&"orders".into()).unwrap();
    assert!(contract::hold(model, &planned).is_ok());
    let stores = project.model(&"stores".into()).unwrap();
    assert!(contract::hold(stores, &planned).is_err());
}

fn project_with(yaml: &str, manifest: &str) -> Project {
    let files = [
        ("dbt_project.yml", manifest),
        ("models/orders.sql", "select 1 as id"),
        ("models/stores.sql", "select 1 as store_id"),
        ("models/s.yml", yaml),
    ];
    let files = files.map(|(path, text)| ProjectFile {
        path: path.to_string(),
        content: text.as_bytes().to_vec(),
    });
    load(&files, json!({}).as_object().unwrap()).unwrap_or_else(|failure| panic!("{failure}"))
}

#[test]
fn constraints_of_a_contract_are_held_as_tests() {
    let yaml = "models:
  - name: orders
    config: {contract: {enforced: true}}
    constraints:
      - {type: primary_key, columns: [id, store_id]}
      - {type: check, name: cheap, expression: price < 1000}
    columns:
      - {name: id, data_type: bigint}
      - name: store_id
        data_type: bigint
        constraints: [{type: foreign_key, to: ref('stores'), to_columns: [store_id]}]
      - {name: price, data_type: \"decimal(12,2)\"}
      - {name: status, data_type: text, constraints: [{type: not_null}]}
";
    let project = project(yaml, &[]);
    let names: Vec<&str> = project.tests.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "constraint_not_null_orders_id",
            "constraint_not_null_orders_store_id",
            "constraint_unique_orders_id_store_id",
            "cheap",
            "constraint_foreign_key_orders_store_id",
            "constraint_not_null_orders_status",
        ]
    );
    // A foreign key is an edge of the graph.
    let orders = project.model(&"orders".into()).unwrap();
    assert_eq!(orders.depends_on, ["stores".into()]);
    assert!(queries(&project)[0].contains("case when not (price < 1000) then"));
    // Without a contract they are not held, and that is said.
    let open = yaml.replace("enforced: true", "enforced: false");
    let project = project_with(&open, PROJECT);
    assert!(project.tests.is_empty());
    assert_eq!(project.warnings.len(), 1);
}
