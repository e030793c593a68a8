use serde_json::json;

use super::*;
use crate::testing::{project, shown};

#[test]
fn models_come_after_those_they_refer_to() {
    let project = project(
        &[
            (
                "models/a_last.sql",
                "select * from {{ ref('b') }}, {{ ref('c') }}",
            ),
            ("models/b.sql", "select * from {{ ref('d') }}"),
            ("models/c.sql", "select 1"),
            ("models/d.sql", "select 1"),
        ],
        json!({}),
    )
    .unwrap();
    let names: Vec<_> = order(&project).unwrap();
    let names: Vec<_> = names.iter().map(ModelName::as_str).collect();
    assert_eq!(names, ["c", "d", "b", "a_last"]);
    assert_eq!(ancestors(&project, &"a_last".into()).len(), 3);
    assert_eq!(
        within(&project, &"d".into(), None, true),
        ["a_last".into(), "b".into()].into()
    );
}

#[test]
fn a_cycle_names_its_path_and_files() {
    let failure = project(
        &[
            ("models/a.sql", "select * from {{ ref('b') }}"),
            ("models/b.sql", "select *\nfrom {{ ref(\"c\") }}"),
            ("models/c.sql", "select * from {{ ref('a') }}"),
            ("models/d.sql", "select * from {{ ref('a') }}"),
        ],
        json!({}),
    );
    assert_eq!(
        shown(&failure.unwrap_err()),
        "models form a cycle: a -> b -> c -> a\n-> models/a.sql:1:23\n| select * from {{ ref('b') }}\n|                       ^\n\
         a needs b\n= b needs c in models/b.sql:2\n= c needs a in models/c.sql:1\n= take one of these references away"
    );
}

#[test]
fn a_model_that_refers_to_itself_is_a_cycle() {
    let failure = project(
        &[("models/a.sql", "select * from {{ ref('a') }}")],
        json!({}),
    )
    .unwrap_err();
    assert_eq!(failure.message, "models form a cycle: a -> a");
    assert_eq!((failure.line, failure.column), (1, 23));
}
