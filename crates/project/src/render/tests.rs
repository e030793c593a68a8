use serde_json::json;

use crate::testing::{project, shown};

fn sql(files: &[(&str, &str)], model: &str) -> String {
    let read = project(files, json!({"env_var:DBT_CUTOFF": "2024-01-01"}));
    let read = read.unwrap_or_else(|failure| panic!("{}", shown(&failure)));
    let model = read.model(&model.into()).unwrap();
    model.sql.trim().to_string()
}

#[test]
fn nothing_around_macros_is_run() {
    let macros = "To use: {{ cents('x') }} {% if boom %}\n{# {{ cents('y') }} #}\n{% macro cents(x) %}{{ x }} / 100{% endmacro %}";
    let files = [
        ("macros/m.sql", macros),
        ("models/a.sql", "select {{ cents('price') }} as p"),
    ];
    assert_eq!(sql(&files, "a"), "select price / 100 as p");
}

#[test]
fn a_macro_that_calls_itself_without_end_is_an_error_at_its_place() {
    let files = [
        (
            "macros/m.sql",
            "{% macro f(x) %}\n{{ f(x) }}\n{% endmacro %}",
        ),
        ("models/a.sql", "select\n {{ f(1) }}"),
    ];
    let failure = project(&files, json!({})).unwrap_err();
    assert_eq!(
        (failure.file.as_deref(), failure.line),
        (Some("macros/m.sql"), 2)
    );
    assert_eq!(failure.cause, "macro f is called more than 100 deep");
    assert_eq!(failure.message, "cannot render model a");
}

/// What a template does without end, where, and what is said of it.
#[test]
fn a_template_without_end_is_an_error_at_its_place() {
    let deep = format!(
        "select\n{{{{ {}1{} }}}}",
        "(".repeat(20_000),
        ")".repeat(20_000)
    );
    let blocks = format!(
        "{}x{}",
        "{% if 1 %}".repeat(20_000),
        "{% endif %}".repeat(20_000)
    );
    for (macros, model, place, cause) in [
        (
            "{% macro f() %}\n\n{% for i in range(10**6) %}{{ 'x' * 1000 }}{% endfor %}{% endmacro %}",
            "select '{{ f() }}'",
            ("macros/m.sql", 3),
            "the template makes a text of more than 16 MB",
        ),
        (
            "{% macro f() %}{% endmacro %}",
            "{% set x = ['a'] %}\n{% for i in range(100) %}\n{% do x.extend(x) %}{% endfor %}",
            ("models/a.sql", 3),
            "the template makes more than 256 MB of values",
        ),
        (
            "{% macro f() %}{% set ns = namespace(x='ab') %}\n{% for i in range(100) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{% endmacro %}",
            "\n{{ f() }}",
            ("macros/m.sql", 2),
            "the template makes a text of more than 16 MB",
        ),
        (
            "{% macro f() %}\n{{ g() }}{% endmacro %}\n{% macro g() %}{{ f() }}{% endmacro %}",
            "{{ f() }}",
            ("macros/m.sql", 3),
            "is called more than 100 deep",
        ),
        (
            "{% macro f() %}\n\n{{ caller() }}{% call f() %}{{ caller() }}{% endcall %}{% endmacro %}",
            "{% call f() %}x{% endcall %}",
            ("macros/m.sql", 3),
            "is called more than 100 deep",
        ),
        (
            "{% macro f() %}{% endmacro %}",
            &deep,
            ("models/a.sql", 2),
            "deep",
        ),
        (
            "{% macro f() %}{% endmacro %}",
            &blocks,
            ("models/a.sql", 1),
            "deep",
        ),
        (
            "{% macro f() %}{% endmacro %}",
            "select\n\n{{ range(10**12) | list | length }}",
            ("models/a.sql", 3),
            "the template makes more than 256 MB of values",
        ),
    ] {
        let files = [("macros/m.sql", macros), ("models/a.sql", model)];
        let failure = project(&files, json!({})).unwrap_err();
        let said = shown(&failure);
        let at = (failure.file.as_deref().unwrap(), failure.line);
        let head: String = said.chars().take(600).collect();
        assert_eq!(at, place, "{head}");
        assert!(failure.cause.contains(cause), "{head}");
    }
}

#[test]
fn two_macros_of_one_name_are_both_named() {
    let files = [
        ("macros/a.sql", "{% macro f() %}1{% endmacro %}"),
        ("macros/b.sql", "\n{% macro f() %}2{% endmacro %}"),
    ];
    let failure = project(&files, json!({})).unwrap_err();
    assert_eq!(failure.message, "there are two macros f");
    assert_eq!(
        (failure.file.as_deref(), failure.line),
        (Some("macros/b.sql"), 2)
    );
    assert_eq!(failure.cause, "the other is in macros/a.sql:1");
}

#[test]
fn dispatch_takes_ours_then_postgress_then_the_default() {
    let one = "{% macro m() %}{{ return(adapter.dispatch('m')()) }}{% endmacro %}{% macro default__m() %}default{% endmacro %}";
    let two = format!("{one}{{% macro postgres__m() %}}postgres{{% endmacro %}}");
    let three = format!("{two}{{% macro retail__m() %}}retail{{% endmacro %}}");
    for (macros, expected) in [
        (one, "default"),
        (two.as_str(), "postgres"),
        (three.as_str(), "retail"),
    ] {
        assert_eq!(
            sql(
                &[("macros/m.sql", macros), ("models/a.sql", "{{ m() }}")],
                "a"
            ),
            expected
        );
    }
    let failure = project(
        &[("models/a.sql", "{{ adapter.dispatch('nope')() }}")],
        json!({}),
    )
    .unwrap_err();
    assert_eq!(failure.cause, "there is no macro nope for this adapter");
}

#[test]
fn a_projects_own_macros_name_schemas_and_tables() {
    let files = [
        (
            "macros/names.sql",
            "{% macro generate_schema_name(custom_schema_name, node) -%}\n{%- if custom_schema_name is none -%} {{ target.schema }}_x \
             {%- else -%} {{ custom_schema_name | trim }}_{{ node.name }} {%- endif -%}\n{%- endmacro %}\n\
             {% macro generate_alias_name(custom_alias_name=none, node=none) %}{{ custom_alias_name or 't_' ~ node.name }}{% endmacro %}",
        ),
        ("models/a.sql", "{{ config(schema='marts') }} select 1 as x"),
        (
            "models/b.sql",
            "{{ config(alias='c') }} select * from {{ ref('a') }}",
        ),
    ];
    assert_eq!(sql(&files, "b"), "select * from \"marts_a\".\"t_a\"");
    let read = project(&files, json!({})).unwrap();
    assert_eq!(read.models[1].table.to_string(), "main_x.c");
}

#[test]
fn a_model_sees_itself_its_settings_and_its_environment() {
    let template = "{{ config(materialized='table', meta={'owner': 'x'}) }}select '{{ model.name }}' as n, '{{ this.schema }}' as s, \
                    '{{ config.get('materialized') }}' as m, '{{ config.get('owner', 'nobody') }}' as o, '{{ env_var('DBT_CUTOFF') }}' as c, \
                    {{ execute }} as e, '{{ model.fqn | join('.') }}' as f";
    assert_eq!(
        sql(&[("models/staging/a.sql", template)], "a"),
        "select 'a' as n, 'main' as s, 'table' as m, 'x' as o, '2024-01-01' as c, True as e, 'shop.staging.a' as f"
    );
}

#[test]
fn settings_of_the_project_may_hold_jinja() {
    let manifest = "name: shop\nvars: {s: marts}\nmodels:\n  shop:\n    +schema: \"{{ var('s') }}\"\n    +enabled: \"{{ 1 == 1 }}\"\n    \
                    +materialized: \"{{ 'tabel' }}\"\n";
    let failure = project(
        &[
            ("dbt_project.yml", manifest),
            ("models/a.sql", "select 1 as x"),
        ],
        json!({}),
    )
    .unwrap_err();
    assert_eq!(
        (failure.line, failure.cause.as_str()),
        (7, "there is no materialization tabel; did you mean table?")
    );
    let manifest = manifest.replace("tabel", "table");
    let files = [
        ("dbt_project.yml", manifest.as_str()),
        ("models/a.sql", "select 1 as x"),
    ];
    let read = project(&files, json!({})).unwrap();
    assert_eq!(
        (
            read.models[0].table.to_string().as_str(),
            read.models[0].materialized.as_str()
        ),
        ("marts.a", "table")
    );
}

#[test]
fn what_templates_say_reaches_the_person_who_runs_them() {
    let files = [
        (
            "models/a.sql",
            "{{ log('quiet') }}{{ log('hello', info=true) }}{% do exceptions.warn('old') %}\nselect '{{ target.name }}' as t",
        ),
        (
            "macros/x.sql",
            "{% materialization mine, default %}x{% endmaterialization %}",
        ),
    ];
    let reported: Vec<String> = project(&files, json!({}))
        .unwrap()
        .warnings
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        reported,
        [
            "macros/x.sql:1: a materialization block (mine) in a macro file is not read",
            "models/a.sql:1: log: hello",
            "models/a.sql:1: old",
            "models/a.sql:2: target.name is always retail, and target.schema main: profiles are not read",
        ]
    );
}

#[test]
fn macros_that_are_built_in_give_postgresqls_meaning() {
    for (template, expected) in [
        (
            "{{ dbt.type_string() }} {{ type_string() }}",
            "varchar varchar",
        ),
        (
            "{{ dbt.dateadd('week', 2, 'd') }}",
            "((d) + interval '14 day')",
        ),
        (
            "{{ dbt.dateadd('month', 'n + 1', 'd') }}",
            "((d) + (interval '1 month') * (n + 1))",
        ),
        ("{{ dbt_utils.group_by(3) }}", "group by 1,2,3"),
        (
            "{{ dbt_utils.safe_divide('a', 'b') }}",
            "(a) / nullif((b), 0)",
        ),
        ("{{ dbt_utils.slugify('1 Big-Shop!') }}", "_1_big_shop"),
        ("{{ dbt.concat(['a', 'b']) }}", "(a || b)"),
    ] {
        assert_eq!(sql(&[("models/a.sql", template)], "a"), expected);
    }
    let failure = project(
        &[("models/a.sql", "{{ dbt.datediff('a', 'b', 'moon') }}")],
        json!({}),
    )
    .unwrap_err();
    assert!(
        failure
            .cause
            .starts_with("datediff: moon is no part of a date"),
        "{}",
        failure.cause
    );
}

#[test]
fn the_page_on_the_format_names_what_there_is_and_nothing_else() {
    let page =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/project-format.md");
    let page = std::fs::read_to_string(page).unwrap();
    let names = super::packages::listed_names();
    for name in names
        .iter()
        .map(String::as_str)
        .chain(super::dbt::refused_names())
    {
        assert!(
            page.contains(&format!("`{name}`")),
            "{name} is not on the page"
        );
    }
    for key in crate::config::keys_without_effect() {
        assert!(
            page.contains(&format!("`{key}`")),
            "{key} is not on the page"
        );
    }
    let macros = page
        .split("### Macros that are built in")
        .nth(1)
        .unwrap()
        .split("Another package")
        .next()
        .unwrap();
    let lists = macros
        .split("\n\n")
        .filter_map(|part| part.split_once(":\n"))
        .map(|(_, list)| list);
    for name in lists
        .flat_map(|list| list.lines().filter(|l| l.starts_with('`')))
        .flat_map(|l| l.split('`').skip(1).step_by(2))
    {
        assert!(
            names.iter().any(|n| n == name),
            "{name} is on the page and not built in"
        );
    }
}
