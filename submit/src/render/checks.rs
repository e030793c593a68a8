//! Each number beside the truth.

use retail_datagen::Check;

use crate::render::table::{self, Align::Left, Align::Right};
use crate::term::Paint;

/// A line per number, those that differ marked.
pub(crate) fn lines(checks: &[Check], paint: Paint) -> Vec<String> {
    let rows: Vec<Vec<String>> = checks
        .iter()
        .map(|check| {
            let mark = if check.ok { "✓" } else { "✗ differs" };
            vec![
                check.name.clone(),
                check.found.clone(),
                check.truth.clone(),
                mark.to_string(),
            ]
        })
        .collect();
    let columns = [
        ("CHECK", Left),
        ("FOUND", Right),
        ("TRUTH", Right),
        ("", Left),
    ];
    let mut out = table::lines(&columns, &rows, paint);
    for (line, check) in out.iter_mut().skip(1).zip(checks) {
        if !check.ok {
            *line = paint.red(line);
        }
    }
    out
}

/// Families of more numbers than this are one line in a summary.
const LARGE: usize = 10;

/// The checks with large families as one line where all of it is right: `revenue by state: 49 numbers`.
pub(crate) fn summarised(checks: &[Check]) -> Vec<Check> {
    let mut out: Vec<Check> = vec![];
    for group in checks.chunk_by(|a, b| family(a) == family(b)) {
        let family = family(&group[0]);
        if group.len() <= LARGE || family == "rows" || differing(group) > 0 {
            out.extend_from_slice(group);
            continue;
        }
        let equal = format!("{} equal", group.len());
        let truth = format!("{} numbers", group.len());
        out.push(Check {
            name: family.to_string(),
            found: equal,
            truth,
            ok: true,
        });
    }
    out
}

/// `revenue by state` of `revenue by state: TX`; what must be zero is one family.
fn family(check: &Check) -> &str {
    match check.name.split_once(": ") {
        Some((family, _)) => family,
        None if check.truth == "0" => "what must never be",
        None => &check.name,
    }
}

/// `all 71 numbers are the truth`, or how many are not.
pub(crate) fn verdict(checks: &[Check], paint: Paint) -> String {
    match differing(checks) {
        0 => paint.green(&format!(
            "all {} numbers are as the truth has them",
            checks.len()
        )),
        n => paint.red(&format!(
            "{n} of {} numbers differ from the truth",
            checks.len()
        )),
    }
}

/// How many numbers are wrong.
pub(crate) fn differing(checks: &[Check]) -> usize {
    checks.iter().filter(|check| !check.ok).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, found: &str, truth: &str) -> Check {
        Check {
            name: name.into(),
            found: found.into(),
            truth: truth.into(),
            ok: found == truth,
        }
    }

    #[test]
    fn a_summary_keeps_what_differs_and_folds_large_families() {
        let state = |i: usize| check(&format!("revenue by state: {i}"), "1", "1");
        let mut checks: Vec<Check> = (0..20).map(state).collect();
        checks.push(check("revenue", "20", "20"));
        let names = |checks: &[Check]| {
            let lines = summarised(checks)
                .into_iter()
                .map(|check| format!("{} {}", check.name, check.found));
            lines.collect::<Vec<_>>()
        };
        assert_eq!(names(&checks), ["revenue by state 20 equal", "revenue 20"]);
        checks[3] = check("revenue by state: 3", "2", "1");
        assert_eq!(names(&checks).len(), 21);
    }

    #[test]
    fn every_number_stands_beside_the_truth() {
        let checks = [
            check("rows: marts.fact_order_items", "300113", "300113"),
            check("revenue", "2.60", "1.00"),
        ];
        assert_eq!(
            lines(&checks, Paint::OFF),
            [
                "CHECK                          FOUND   TRUTH",
                "rows: marts.fact_order_items  300113  300113  ✓",
                "revenue                         2.60    1.00  ✗ differs",
            ]
        );
        assert_eq!(
            verdict(&checks, Paint::OFF),
            "1 of 2 numbers differ from the truth"
        );
        assert_eq!(
            verdict(&checks[..1], Paint::OFF),
            "all 1 numbers are as the truth has them"
        );
    }
}
