use retail_api::source::{Compression, FileFormat, SourceLocation};
use serde_json::json;

use super::*;
use crate::testing::{project, shown};

mod laws;
mod yaml;

fn fails(files: &[(&str, &str)]) -> String {
    shown(&project(files, json!({})).unwrap_err())
}

const ORDERS: (&str, &str) = ("models/staging/stg_orders.sql", "select 1 as order_id");

#[test]
fn a_project_is_read_with_its_settings_columns_and_tests() {
    let project = project(
        &[
            (
                "dbt_project.yml",
                "name: shop\nvars:\n  day: 1\n  shop: {day: 2}\nmodels:\n  shop:\n    +materialized: table\n    marts:\n      \
                 schema: marts\n      +tags: [daily]\n    staging:\n      +schema: staging\n",
            ),
            ORDERS,
            (
                "models/marts/fact_orders.sql",
                "{{ config(tags=['hot'], partition_by='day(order_ts)', materialized='view') }}\nselect {{ var('day') }} as d\n\
                 from {{ ref('stg_orders') }} join {{ source('raw', 'items') }} on {{ is_incremental() }} -- {{ this }}\n",
            ),
            (
                "models/schema.yml",
                "models:\n  - name: fact_orders\n    description: One row per order.\n    columns:\n      - name: d\n        \
                 data_type: INT\n        tests:\n          - not_null\n          - unique\n          - accepted_values:\n              \
                 values: [1, 2]\n              quote: false\n          - relationships:\n              to: ref('stg_orders')\n              \
                 field: order_id\n              config: {severity: warn}\n          - dbt_utils.at_least_one\nsources:\n  - name: raw\n    \
                 schema: landing\n    tables:\n      - name: items\n        identifier: items_v2\n",
            ),
            ("analyses/top.sql", "select * from {{ ref('fact_orders') }}"),
        ],
        json!({"day": 3}),
    )
    .unwrap();
    let fact = project.model(&"fact_orders".into()).unwrap();
    assert_eq!(fact.table.to_string(), "marts.fact_orders");
    assert_eq!(fact.materialized.to_string(), "view");
    assert_eq!(fact.tags, ["daily", "hot"]);
    assert_eq!(fact.config.partition_by, ["day(order_ts)"]);
    assert_eq!(
        fact.sql,
        "\nselect 3 as d\nfrom \"staging\".\"stg_orders\" join \"landing\".\"items_v2\" on False -- \"marts\".\"fact_orders\"\n"
    );
    assert_eq!(fact.depends_on, ["stg_orders".into()]);
    assert_eq!(fact.sources[0].to_string(), "raw.items");
    assert_eq!(fact.description, "One row per order.");
    let kinds: Vec<&str> = project.tests.iter().map(|t| t.kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "not_null",
            "unique",
            "accepted_values",
            "relationships",
            "dbt_utils.at_least_one"
        ]
    );
    assert_eq!(project.tests[3].config.severity, Severity::Warn);
    assert!(project.warnings.is_empty());
    let items = &project.sources[0];
    assert_eq!(
        items.location,
        SourceLocation::Iceberg {
            table: items.table.clone()
        }
    );
    assert_eq!(items.defined_at.to_string(), "models/schema.yml:22");
    assert_eq!(
        project.model(&"stg_orders".into()).unwrap().materialized,
        Materialized::Table
    );
    assert_eq!(project.analyses[0].depends_on, ["fact_orders".into()]);
}

#[test]
fn macros_are_there_for_models_and_for_each_other() {
    let project = project(
        &[
            (
                "macros/a.sql",
                "{% macro cents(x, unit='EUR') %}({{ x }} * {{ hundred() }}) /* {{ unit }} */{% endmacro %}",
            ),
            ("macros/b.sql", "{%- macro hundred() -%}100{%- endmacro -%}"),
            (
                "models/m.sql",
                "select {{ cents('price', unit='USD') }} as c",
            ),
        ],
        json!({}),
    );
    assert_eq!(
        project.unwrap().models[0].sql,
        "select (price * 100) /* USD */ as c"
    );
}

#[test]
fn a_mistyped_ref_is_shown_with_the_nearest_model() {
    let text = fails(&[
        ORDERS,
        (
            "models/fact.sql",
            "select *\nfrom {{ ref('stg_ordesr') }}\n",
        ),
    ]);
    assert_eq!(
        text,
        "cannot render model main.fact\n-> models/fact.sql:2:14\n| from {{ ref('stg_ordesr') }}\n|              ^^^^^^^^^^\n\
         there is no model stg_ordesr; did you mean stg_orders?"
    );
}

#[test]
fn a_mistyped_source_is_shown_with_the_nearest_table() {
    let yaml = (
        "models/s.yml",
        "sources:\n  - name: raw\n    tables: [{name: orders}]\n",
    );
    let text = fails(&[
        yaml,
        (
            "models/fact.sql",
            "select * from {{ source('raw', 'order') }}",
        ),
    ]);
    assert_eq!(
        text,
        "cannot render model main.fact\n-> models/fact.sql:1:33\n| select * from {{ source('raw', 'order') }}\n\
         |                                 ^^^^^\nsource raw has no table order; did you mean orders?"
    );
    let text = fails(&[
        yaml,
        (
            "models/fact.sql",
            "select * from {{ source('rwa', 'orders') }}",
        ),
    ]);
    assert!(
        text.ends_with("there is no source rwa; did you mean raw?"),
        "{text}"
    );
}

#[test]
fn a_variable_without_value_states_how_to_pass_it() {
    let text = fails(&[("models/a.sql", "select {{ var('day') }}")]);
    assert_eq!(
        text,
        "cannot render model a\n-> models/a.sql:1:16\n| select {{ var('day') }}\n|                ^^^\nvariable day is not set\n\
         = pass it with --vars day=…, or give a default: var('day', …)"
    );
}

#[test]
fn an_undefined_name_is_empty_and_reported_and_cannot_be_called() {
    let files = [("models/a.sql", "select 1 as x,\n  {{ dya }}2 as y\n")];
    let read = project(&files, json!({})).unwrap();
    assert_eq!(read.models[0].sql, "select 1 as x,\n  2 as y\n");
    let reported: Vec<String> = read.warnings.iter().map(Warning::to_string).collect();
    assert_eq!(
        reported,
        ["models/a.sql:2: dya is not defined and stands for nothing"]
    );
    // It is reported wherever it counts for something, and not where its presence is checked.
    let template = "{% if dya == 1 %}select 0 as x{% endif %}\n{% for c in cloumns %}{% endfor %}\n{% set t = 'a' ~ tial %}\n\
                    {% if known is defined or other %}{% endif %}select 1 as x";
    let read = project(&[("models/a.sql", template)], json!({})).unwrap();
    let reported: Vec<String> = read.warnings.iter().map(Warning::to_string).collect();
    assert_eq!(
        reported,
        [
            "models/a.sql:1: dya is not defined and stands for nothing",
            "models/a.sql:2: cloumns is not defined and stands for nothing",
            "models/a.sql:3: tial is not defined and stands for nothing",
        ]
    );
    let text = fails(&[("models/a.sql", "select\n {{ dbt_utils.star('x') }}")]);
    assert_eq!(
        text,
        "cannot render model a\n-> models/a.sql:2:15\n|  {{ dbt_utils.star('x') }}\n|               ^^^^\ndbt_utils.star needs the \
         database while templates are rendered, which is before anything runs\n= write the columns, or * EXCLUDE (a, b)"
    );
    let text = fails(&[("models/a.sql", "select {{ dbt_utils.gruop_by(2) }}")]);
    assert!(
        text.contains("dbt_utils.gruop_by is not built in; did you mean group_by?"),
        "{text}"
    );
    let text = fails(&[("models/a.sql", "select {{ elementary.x() }}")]);
    assert!(
        text.ends_with("package elementary is not supported"),
        "{text}"
    );
    let text = fails(&[(
        "models/a.sql",
        "{% if execute %}{% set r = run_query('select 1') %}{% endif %}select 1",
    )]);
    assert!(
        text.contains("models/a.sql:1:28")
            && text.contains(
                "run_query needs rows or columns of the database while templates are rendered"
            ),
        "{text}"
    );
    let text = fails(&[("models/a.sql", "select {{ sorce('x', 'y') }}")]);
    assert!(
        text.ends_with("sorce is not defined; did you mean source?"),
        "{text}"
    );
    let text = fails(&[("models/a.sql", "select {{ env_var('HOME') }}")]);
    assert!(
        text.contains(
            "env_var is refused: a job sees of the environment only what begins with DBT_"
        ),
        "{text}"
    );
}

#[test]
fn an_error_in_a_macro_is_reported_in_the_macro() {
    let text = fails(&[
        (
            "macros/m.sql",
            "{% macro f(x) %}\n  {{ y() }}\n{% endmacro %}",
        ),
        ("models/a.sql", "select\n{{ f(1) }}"),
    ]);
    assert_eq!(
        text,
        "cannot render model a\n-> macros/m.sql:2:6\n|   {{ y() }}\n|      ^\ny is not defined\n= macro f is called in models/a.sql:2"
    );
}

#[test]
fn a_broken_template_has_file_and_line() {
    let text = fails(&[("models/a.sql", "select 1\n{% if true %}\nfrom x\n")]);
    assert!(
        text.starts_with("cannot render model a\n-> models/a.sql:"),
        "{text}"
    );
    assert!(
        text.ends_with("if is not closed with {% endif %}"),
        "{text}"
    );
    let text = fails(&[(
        "models/a.sql",
        "{% snapshot x %}\nselect 1\n{% endsnapshot %}",
    )]);
    assert!(
        text.ends_with("a snapshot block does not belong here"),
        "{text}"
    );
}

#[test]
fn a_wrong_setting_is_reported_at_its_key() {
    let text = fails(&[(
        "models/a.sql",
        "{{ config(\n  materialised='table'\n) }}\nselect 1",
    )]);
    assert_eq!(
        text,
        "cannot render model a\n-> models/a.sql:2:3\n|   materialised='table'\n|   ^^^^^^^^^^^^\n\
         there is no setting materialised; did you mean materialized?"
    );
    let text = fails(&[(
        "models/a.sql",
        "{{ config(materialized='incremental') }} select 1",
    )]);
    assert!(
        text.ends_with(
            "materialized incremental is not supported yet; use table, view or ephemeral"
        ),
        "{text}"
    );
    let text = fails(&[(
        "models/a.sql",
        "{{ config(materialized='tabel') }} select 1",
    )]);
    assert!(
        text.ends_with("there is no materialization tabel; did you mean table?"),
        "{text}"
    );
}

#[test]
fn two_models_of_one_name_are_both_named() {
    let text = fails(&[
        ("models/a/orders.sql", "select 1"),
        ("models/b/orders.sql", "select 2"),
    ]);
    assert_eq!(
        text,
        "there are two models orders\n-> models/b/orders.sql\nthe other is models/a/orders.sql\n\
         = names are unique in a project: rename one of the files"
    );
}

#[test]
fn yaml_for_a_model_that_is_not_there_is_reported() {
    let files = [
        ORDERS,
        ("models/s.yml", "version: 2\nmodels:\n  - name: stg_order\n"),
    ];
    assert_eq!(
        reported(&files),
        ["models/s.yml:3: there is no model stg_order; did you mean stg_orders?"]
    );
}

/// The warnings of a project that loads.
fn reported(files: &[(&str, &str)]) -> Vec<String> {
    let read = project(files, json!({}));
    let read = read.unwrap_or_else(|failure| panic!("{}", shown(&failure)));
    read.warnings.iter().map(Warning::to_string).collect()
}

#[test]
fn what_has_no_effect_is_reported_with_its_line() {
    let files = [
        (
            "dbt_project.yml",
            "name: shop\nrequire-dbt-version: '>=1.0'\nflags: {x: 1}\nseeds:\n  +schema: x\non-run-end: []\nmodels:\n  dbt_artifacts: {+schema: y}\n  \
             shop: {+persist_docs: {relation: true}, +owner: me}\n",
        ),
        (
            "models/a.sql",
            "{{ config(unique_key='id', materialized='table') }} select 1 as id",
        ),
        (
            "models/s.yml",
            "models:\n  - name: a\n    access: public\nunit_tests:\n  - name: t\nsources:\n  - name: raw\n    database: db\n    freshness: {warn_after: 1}\n    \
             tables:\n      - name: off\n        enabled: false\n      - name: on\n        config: {enabled: true}\n",
        ),
        ("models/b.csv", "a\n"),
        ("data/x.csv", "a\n"),
        (
            "packages.yml",
            "packages:\n  - package: dbt-labs/dbt_utils\n  - git: https://x/y/our-kit.git\n",
        ),
        (
            "selectors.yml",
            "selectors:\n  - name: nightly\n    default: true\n",
        ),
    ];
    assert_eq!(
        reported(&files),
        [
            "dbt_project.yml:2: require-dbt-version has no effect",
            "dbt_project.yml:3: flags has no effect",
            "dbt_project.yml:4: seeds has no effect",
            "dbt_project.yml:8: models of dbt_artifacts: this project is shop",
            "models/b.csv: a CSV file among the models is not read",
            "packages.yml:2: of package dbt_utils, the macros that are built in are used, and nothing else",
            "packages.yml:3: package https://x/y/our-kit.git is not read: its models, macros and tests are not there",
            "selectors.yml:3: the default selector is not used: a run without --select runs all models",
            "models/s.yml:4: unit_tests are not supported and have no effect",
            "models/s.yml:3: access of a model has no effect",
            "models/s.yml:8: database has no effect: a source is found by its schema and table",
            "models/s.yml:9: freshness of sources is not checked",
            "models/a.sql: setting owner of a has no effect",
            "models/a.sql: setting persist_docs of a has no effect",
            "models/a.sql: setting unique_key of a has no effect",
        ]
    );
    let read = project(&files, json!({})).unwrap();
    let sources: Vec<&str> = read.sources.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(sources, ["on"]);
}

#[test]
fn what_is_not_supported_is_named_with_its_file() {
    let text = fails(&[(
        "dbt_project.yml",
        "name: shop\non-run-start: \"select 1\"\n",
    )]);
    assert_eq!(
        text,
        "cannot read dbt_project.yml\n-> dbt_project.yml:2:1\n| on-run-start: \"select 1\"\n| ^^^^^^^^^^^^\n\
         on-run-start is not supported yet"
    );
    let text = fails(&[("dbt_project.yml", "name: shop\nmodel-path: [x]\n")]);
    assert!(
        text.ends_with("dbt_project.yml has no key model-path; did you mean model-paths?"),
        "{text}"
    );
    let text = fails(&[("seeds/countries.csv", "a\n1\n")]);
    assert_eq!(
        text,
        "cannot read seeds/countries.csv\n-> seeds/countries.csv\nseeds are not supported yet\n\
         = read the file as a source with external_location"
    );
    assert!(fails(&[("snapshots/s.sql", "x")]).contains("snapshots are not supported yet"));
    let text = fails(&[("models/m.py", "def model(dbt, session): pass")]);
    assert!(text.contains("Python models are not supported"), "{text}");
    let text = fails(&[("models/a.sql", "{{ config(post_hook='grant x') }} select 1")]);
    assert!(text.ends_with("post_hook is not supported yet"), "{text}");
    let text = fails(&[("dependencies.yml", "projects:\n  - name: other\n")]);
    assert!(
        text.contains("-> dependencies.yml:1:1")
            && text.contains("other projects are not supported"),
        "{text}"
    );
}

#[test]
fn settings_for_a_folder_without_models_are_reported() {
    let manifest = "name: shop\nmodels:\n  shop:\n    stagin:\n      +schema: staging\n";
    assert_eq!(
        reported(&[("dbt_project.yml", manifest), ORDERS]),
        ["dbt_project.yml:4: no model is in stagin; did you mean staging?"]
    );
}

#[test]
fn options_of_other_readers_in_meta_are_refused_with_ours() {
    for (option, reported) in [
        (
            "sep: ';'",
            "sep is no option of a source's files\n= say delimiter",
        ),
        (
            "null_value: NA",
            "null_value is no option of a source's files\n= say null_values",
        ),
        (
            "Encoding: latin-1",
            "Encoding is no option of a source's files\n= files are read as UTF-8: save them so",
        ),
        (
            "delimeter: ';'",
            "delimeter is no option of a source's files; did you mean delimiter?",
        ),
    ] {
        for place in ["meta", "config: {meta"] {
            let end = place.replace(|c| c != '{', "").replace('{', "}");
            let yaml = format!(
                "sources:\n  - name: raw\n    tables:\n      - name: orders\n        external_location: /d/o.csv\n        {place}: {{owner: sales, location: Ulm, {option}}}{end}\n"
            );
            let failure = project(&[("models/s.yml", &yaml)], json!({})).unwrap_err();
            let shown = shown(&failure);
            assert!(
                shown.contains("models/s.yml:6") && shown.ends_with(reported),
                "{shown}"
            );
        }
    }
    let of_table = "sources:\n  - name: raw\n    tables:\n      - {name: orders, meta: {sep: x}}\n";
    project(&[("models/s.yml", of_table)], json!({})).unwrap();
}

#[test]
fn external_locations_are_rendered_and_filled_in() {
    let yaml = "sources:\n  - name: raw\n    meta:\n      external_location: \"{{ var('input') }}/day=*/{name}.csv.gz\"\n      \
                options: {delimiter: ';', null_values: [NA]}\n    tables:\n      - name: orders\n      - name: items\n        config:\n          \
                external_location: s3://lake/{identifier}\n          format: jsonl\n        identifier: items_v2\n";
    let project = project(&[("models/s.yml", yaml)], json!({"input": "/data"})).unwrap();
    let SourceLocation::Files {
        pattern,
        format,
        options,
    } = &project.sources[0].location
    else {
        panic!("files")
    };
    assert_eq!(
        (pattern.as_str(), *format),
        ("/data/day=*/orders.csv.gz", FileFormat::Csv)
    );
    assert_eq!(
        (options.delimiter, options.compression),
        (b';', Compression::Gzip)
    );
    let SourceLocation::Files {
        pattern, format, ..
    } = &project.sources[1].location
    else {
        panic!("files")
    };
    assert_eq!(
        (pattern.as_str(), *format),
        ("s3://lake/items_v2", FileFormat::Json)
    );
}

#[test]
fn a_relative_location_states_how_to_make_it_absolute() {
    let yaml = "sources:\n  - name: raw\n    tables:\n      - name: orders\n        external_location: data/orders.csv\n";
    assert_eq!(
        fails(&[("models/s.yml", yaml)]),
        "cannot read models/s.yml\n-> models/s.yml:5:9\n|         external_location: data/orders.csv\n|         ^^^^^^^^^^^^^^^^^\n\
         data/orders.csv is relative, and the cluster does not know your folder\n\
         = give an absolute path or s3://…, e.g. \"{{ var('input') }}/orders.csv\" with --vars input=…"
    );
    let yaml = "sources:\n  - name: raw\n    tables:\n      - name: orders\n        external_location: \"{{ var('input') }}/x.csv\"\n";
    assert!(
        fails(&[("models/s.yml", yaml)])
            .contains("variable input is not set; pass it with --vars input=…")
    );
    let yaml = "sources:\n  - name: raw\n    tables:\n      - name: orders\n        external_locaton: /x.csv\n";
    assert!(
        fails(&[("models/s.yml", yaml)])
            .ends_with("a source has no key external_locaton; did you mean external_location?")
    );
}

#[test]
fn switched_off_models_are_left_out_and_say_so_when_named() {
    let files = [
        ("models/a.sql", "{{ config(enabled=false) }} select 1"),
        ("models/b.sql", "select * from {{ ref('a') }}"),
    ];
    assert!(fails(&files).ends_with("model a is switched off (enabled: false in models/a.sql)"));
    assert_eq!(project(&files[..1], json!({})).unwrap().models.len(), 0);
}

#[test]
fn a_place_in_rendered_sql_is_found_in_the_template() {
    let template = "{{ config(materialized='table') }}\nselect\n{% for c in ['a', 'b'] %}\n  sum({{ c }}) as total_{{ c }},\n{% endfor %}\n  \
                    x.wrong\nfrom {{ ref('stg_orders') }} as x where x.y = 1\n";
    let project = project(&[ORDERS, ("models/m.sql", template)], json!({})).unwrap();
    let model = project.model(&"m".into()).unwrap();
    let at = |token: &str| {
        let (line, text) = model
            .sql
            .lines()
            .enumerate()
            .find(|(_, l)| l.contains(token))
            .unwrap();
        model.locate(line as u32 + 1, text.find(token).unwrap() as u32 + 1, token)
    };
    assert_eq!(at("x.wrong"), (6, 3));
    assert_eq!(at("x.y"), (7, 41));
    assert_eq!(at("stg_orders"), (7, 14));
    assert_eq!(at("total_b"), (4, 19));
    assert_eq!(at("sum(b)"), (4, 3));
}

#[test]
fn a_template_that_measures_its_own_text_is_still_found_by_text() {
    let template =
        "{% set q %}a b{% endset %}select {{ q | length }} as n,\n  wrong_column\nfrom t\n";
    let project = project(&[("models/m.sql", template)], json!({})).unwrap();
    let model = &project.models[0];
    assert_eq!(model.sql, "select 3 as n,\n  wrong_column\nfrom t\n");
    assert_eq!(model.locate(2, 3, "wrong_column"), (2, 3));
}

#[test]
fn a_folder_is_read_without_what_tools_leave_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "x").unwrap();
    };
    for path in [
        "dbt_project.yml",
        "models/a.sql",
        "models/b/c.yml",
        "target/x.sql",
        "dbt_packages/p/x.sql",
        "logs/l.md",
        ".git/x.sql",
        "models/.hidden.sql",
        "models/x.py",
        "profiles.yml",
        "venv/lib/x.sql",
    ] {
        write(path);
    }
    let paths: Vec<String> = read_dir(folder.path())
        .unwrap()
        .into_iter()
        .map(|f| f.path)
        .collect();
    assert_eq!(
        paths,
        [
            "dbt_project.yml",
            "models/a.sql",
            "models/b/c.yml",
            "models/x.py"
        ]
    );
}

#[test]
fn a_link_out_of_the_project_is_refused_and_its_target_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    std::fs::create_dir_all(at("shop/models")).unwrap();
    std::fs::create_dir_all(at("home")).unwrap();
    std::fs::write(at("shop/dbt_project.yml"), "name: shop").unwrap();
    std::fs::write(at("shop/models/a.sql"), "select 1 as x").unwrap();
    std::fs::write(at("home/key.sql"), "hunter2").unwrap();
    std::os::unix::fs::symlink("a.sql", at("shop/models/b.sql")).unwrap();
    assert_eq!(
        read_dir(&at("shop")).unwrap().len(),
        3,
        "a link within it is read"
    );
    let whole = at("by_link");
    std::os::unix::fs::symlink(at("shop"), &whole).unwrap();
    assert_eq!(
        read_dir(&whole).unwrap().len(),
        3,
        "as is a project behind one"
    );

    std::os::unix::fs::symlink(at("home/key.sql"), at("shop/models/c.sql")).unwrap();
    let failure = read_dir(&at("shop")).unwrap_err();
    let (link, target) = (at("shop/models/c.sql"), at("home/key.sql"));
    let target = target.canonicalize().unwrap();
    assert_eq!(
        failure.cause,
        format!(
            "{} is a link to {}, outside of the project's folder",
            link.display(),
            target.display()
        )
    );
    std::fs::remove_file(link).unwrap();
    std::os::unix::fs::symlink(at("home"), at("shop/macros")).unwrap();
    let failure = read_dir(&at("shop")).unwrap_err();
    assert!(
        failure.cause.contains("macros/key.sql is a link to"),
        "{}",
        failure.cause
    );
}

#[test]
fn a_folder_without_a_project_states_where_the_nearest_one_is() {
    let folder = tempfile::tempdir().unwrap();
    let shop = folder.path().join("jobs/shop");
    std::fs::create_dir_all(&shop).unwrap();
    std::fs::write(shop.join("dbt_project.yml"), "name: shop").unwrap();
    let root = folder.path().display();
    assert_eq!(
        shown(&read_dir(folder.path()).unwrap_err()),
        format!(
            "cannot read project {root}\n{root} has no dbt_project.yml\n\
             = the nearest one is in {root}/jobs/shop: use --project {root}/jobs/shop"
        )
    );
    let failure = read_dir(&folder.path().join("jobs/shpo")).unwrap_err();
    assert_eq!(
        failure.cause,
        format!("there is no folder {root}/jobs/shpo; did you mean {root}/jobs/shop?")
    );
}
