//! Each number beside the truth.

use retail_jobs::retail::Check;

use crate::render::table::{self, Align::Left, Align::Right};
use crate::term::Paint;

/// A line per number, those that differ marked, and the verdict.
pub fn lines(checks: &[Check], paint: Paint) -> Vec<String> {
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
    out.push(verdict(checks, paint));
    out
}

/// `all 71 numbers are the truth`, or how many are not.
pub fn verdict(checks: &[Check], paint: Paint) -> String {
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
pub fn differing(checks: &[Check]) -> usize {
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
                "1 of 2 numbers differ from the truth",
            ]
        );
        assert_eq!(
            verdict(&checks[..1], Paint::OFF),
            "all 1 numbers are as the truth has them"
        );
    }
}
