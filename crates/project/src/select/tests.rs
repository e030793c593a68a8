use serde_json::json;

use super::*;
use crate::testing::{project, shown};

fn shop() -> Project {
    let manifest = "name: shop\nmodels:\n  shop:\n    staging: {+schema: staging, +tags: raw}\n    marts: {+schema: marts}\n";
    project(
        &[
            ("dbt_project.yml", manifest),
            ("models/staging/stg_orders.sql", "select * from {{ source('raw', 'orders') }}"),
            ("models/staging/stg_items.sql", "select 1"),
            ("models/marts/fact.sql", "{{ config(tags=['hot']) }} select * from {{ ref('stg_orders') }}, {{ ref('stg_items') }}"),
            ("models/marts/wide/top.sql", "{{ config(tags=['hot']) }} select * from {{ ref('fact') }}"),
            ("analyses/report.sql", "select * from {{ ref('top') }}"),
            ("models/s.yml", "sources:\n- name: raw\n  tables:\n  - name: orders\n"),
        ],
        json!({}),
    )
    .unwrap()
}

fn picks(select: &[&str], exclude: &[&str]) -> Result<String, String> {
    let own = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    let chosen =
        super::select(&shop(), &own(select), &own(exclude)).map_err(|failure| shown(&failure))?;
    Ok(chosen
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" "))
}

#[test]
fn selectors_pick_what_dbt_would() {
    for (selector, expected) in [
        ("fact", "fact"),
        ("marts.fact", "fact"),
        ("+fact", "stg_items stg_orders fact"),
        ("stg_orders+", "stg_orders fact top"),
        ("1+top", "fact top"),
        ("stg_items+1", "stg_items fact"),
        ("+fact+", "stg_items stg_orders fact top"),
        ("tag:hot", "fact top"),
        ("tag:raw+1", "stg_items stg_orders fact"),
        ("path:models/marts", "fact top"),
        ("path:models/marts/wide/top.sql", "top"),
        ("stg_*", "stg_items stg_orders"),
        ("staging.*", "stg_items stg_orders"),
        ("staging", "stg_items stg_orders"),
        ("source:raw.orders+", "stg_orders fact top"),
        ("fact top", "fact top"),
        ("+fact,tag:raw", "stg_items stg_orders"),
        ("source:raw.orders+1", "stg_orders"),
        ("source:raw+,tag:hot", "fact top"),
        ("source:shop.raw.orders+", "stg_orders fact top"),
        ("@stg_orders", "stg_items stg_orders fact top"),
        ("marts", "fact top"),
        ("marts.wide", "top"),
        ("shop.marts", "fact top"),
        ("shop", "stg_items stg_orders fact top"),
        ("shop.*", "stg_items stg_orders fact top"),
        ("marts.*", "fact top"),
        ("wide", "top"),
        ("models/marts", "fact top"),
        ("top.sql", "top"),
        ("file:fact.sql", "fact"),
        ("config.materialized:view", "stg_items stg_orders fact top"),
        ("config.schema:staging", "stg_items stg_orders"),
        ("package:shop,tag:raw", "stg_items stg_orders"),
        ("resource_type:model", "stg_items stg_orders fact top"),
        ("report", "report"),
        ("1+report", "top report"),
    ] {
        assert_eq!(
            picks(&[selector], &[]).as_deref(),
            Ok(expected),
            "{selector}"
        );
    }
}

#[test]
fn nothing_selected_means_all_models_and_no_analysis() {
    assert_eq!(
        picks(&[], &[]).as_deref(),
        Ok("stg_items stg_orders fact top")
    );
    assert_eq!(picks(&[], &["tag:raw", "top"]).as_deref(), Ok("fact"));
    assert_eq!(
        picks(&["fact", "stg_orders"], &[]).as_deref(),
        Ok("stg_orders fact")
    );
}

#[test]
fn a_selector_that_finds_nothing_suggests_the_nearest_name() {
    let error = |selector: &str| picks(&[selector], &[]).unwrap_err();
    assert_eq!(
        error("+stg_order"),
        "--select +stg_order selects nothing\nthere is no model stg_order; did you mean stg_orders?"
    );
    assert_eq!(
        error("mart.fact"),
        "--select mart.fact selects nothing\nthere is no model mart.fact; did you mean marts.fact?"
    );
    assert_eq!(
        error("tag:hott"),
        "--select tag:hott selects nothing\nno model has tag hott; did you mean hot?"
    );
    assert_eq!(
        error("path:models/mart"),
        "--select path:models/mart selects nothing\nno model is in models/mart; did you mean models/marts?"
    );
    assert_eq!(
        error("tga:hot"),
        "--select tga:hot selects nothing\nthere is no selector tga:; tag:, path:, file:, source: and config.…: are there; did you mean tag?"
    );
    assert_eq!(
        error("source:raw.orders"),
        "--select source:raw.orders selects nothing\nraw.orders is a source, which nobody runs; source:raw.orders+ selects the models that read it"
    );
    assert_eq!(
        error("source:row.orders+"),
        "--select source:row.orders+ selects nothing\nthere is no source row.orders; did you mean raw.orders?"
    );
    assert_eq!(
        error("state:modified"),
        "--select state:modified selects nothing\nthe selector state: of dbt is not supported"
    );
    assert_eq!(
        error("config.materialised:table"),
        "--select config.materialised:table selects nothing\nthe selector config.materialised: is not supported; config.materialized:, \
         schema:, alias:, tags: and meta.…: are"
    );
    assert_eq!(
        error("dim_*"),
        "--select dim_* selects nothing\nno model matches dim_*"
    );
    assert_eq!(
        picks(&["fact"], &["fact"]).unwrap_err(),
        "nothing is selected\n--exclude takes away every model that --select gives"
    );
    assert_eq!(
        picks(&[], &["facts"]).unwrap_err(),
        "--exclude facts selects nothing\nthere is no model facts; did you mean fact?"
    );
}
