//! An error names the place in the text that it is about, whatever stands before it.

use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// Statements, with semicolons that end none.
static STATEMENTS: [&str; 6] = [
    "select 1",
    "values (';', 'é')",
    "select x as \"a;b\" from t",
    "select /* ; é */ 2",
    "select $$ ; $$ as a",
    "select -- ;\n x from t",
];
/// What stands between statements.
static GAPS: [&str; 7] = [
    "",
    " ",
    "\n",
    "\t\n  ",
    "-- not; é\n",
    "/* nor; /* this; */ é */",
    ";",
];

/// The 1-based line and column at which a text ends.
fn end_of(text: &str) -> (u64, u64) {
    let line = text.rsplit('\n').next().unwrap_or_default();
    let lines = text.matches('\n').count() as u64;
    (lines + 1, line.chars().count() as u64 + 1)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn of_several_statements_the_second_one_is_named(
        before in vec(select(&GAPS[..]), 0..4),
        first in select(&STATEMENTS[..]),
        between in vec(select(&GAPS[..]), 0..5),
        others in vec(select(&STATEMENTS[..]), 0..4),
    ) {
        static STATE: LazyLock<SessionState> = LazyLock::new(|| session().state());
        let mut sql = format!("{}{first}\n;{}", before.concat(), between.concat());
        let second = (!others.is_empty()).then(|| end_of(&sql));
        sql.push_str(&others.join(";"));
        let place = match parse(&STATE, &sql) {
            Ok(_) => None,
            Err(error) => {
                let span = error.diagnostic().and_then(|diagnostic| diagnostic.span);
                Some(span.map_or((0, 0), |span| (span.start.line, span.start.column)))
            }
        };
        prop_assert_eq!(place, second, "{}", sql);
    }
}
