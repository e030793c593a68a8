//! A [`Failure`] as people read it: what, where with a caret, why, what is unchanged, what to do.

use retail_api::Failure;
use retail_api::job::JobState;

use crate::term::Paint;

/// Columns between tab stops when a source line is shown.
const TAB: usize = 4;

/// How file names of a failure are written for the person at this terminal.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    /// The project folder as it was given on the command line; prefixed to the project's files.
    pub project_dir: Option<String>,
    /// The current folder; cut from absolute paths below it.
    pub current_dir: Option<String>,
}

impl Places {
    /// The places of a project as seen from the current folder.
    pub(crate) fn of_project(project_dir: Option<String>) -> Self {
        let current_dir = std::env::current_dir()
            .ok()
            .map(|path| path.display().to_string());
        Self {
            project_dir,
            current_dir,
        }
    }

    /// `models/x.sql` as `jobs/retail/models/x.sql`; `/here/data/a.csv` as `data/a.csv`.
    pub(crate) fn show(&self, file: &str) -> String {
        let file = file.strip_prefix("file://").unwrap_or(file);
        if file.contains("://") {
            return file.to_string();
        }
        if file.starts_with('/') {
            let below = self
                .current_dir
                .as_deref()
                .and_then(|dir| file.strip_prefix(dir))
                .and_then(|rest| rest.strip_prefix('/'));
            return below.unwrap_or(file).to_string();
        }
        match self
            .project_dir
            .as_deref()
            .map(|dir| dir.trim_end_matches('/'))
        {
            None | Some("" | ".") => file.to_string(),
            Some(dir) => format!("{dir}/{file}"),
        }
    }
}

/// The lines of a failure, without the one about how the job ended.
///
/// `chain` adds the causes one by one, outermost first.
pub(crate) fn lines(failure: &Failure, places: &Places, paint: Paint, chain: bool) -> Vec<String> {
    let mut out = vec![format!(
        "{} {}",
        paint.red("error:"),
        paint.bold(&failure.message)
    )];
    let gutter = if failure.line > 0 && !failure.snippet.is_empty() {
        failure.line.to_string().len().max(2)
    } else {
        2
    };
    let pad = " ".repeat(gutter);
    let mut cause = failure.cause.as_str();
    if let Some(file) = failure.file.as_deref().filter(|file| !file.is_empty()) {
        let mut place = places.show(file);
        if failure.line > 0 {
            place.push_str(&format!(":{}", failure.line));
            if failure.column > 0 {
                place.push_str(&format!(":{}", failure.column));
            }
        }
        out.push(format!("{pad}{} {place}", paint.blue("┌─")));
        if failure.line > 0 && !failure.snippet.is_empty() {
            let bar = paint.blue("│");
            let (text, start, width) = underline(&failure.snippet, failure.column, failure.span);
            out.push(format!("{pad}{bar}"));
            out.push(format!(
                "{}{bar}{text}",
                paint.blue(&format!("{:>gutter$}", failure.line))
            ));
            if failure.column > 0 {
                let mut texts = cause.lines();
                let carets = paint.red(&"^".repeat(width));
                let first = texts.next().unwrap_or_default();
                let line = format!(
                    "{pad}{bar}{}{carets} {}",
                    " ".repeat(start),
                    paint.red(first)
                );
                out.push(line.trim_end().to_string());
                out.extend(texts.map(|line| {
                    format!(
                        "{pad}{bar}{}{}",
                        " ".repeat(start + width + 1),
                        paint.red(line)
                    )
                }));
                cause = "";
            }
            out.push(format!("{pad}{bar}"));
        }
    }
    let equals = paint.blue("=");
    let note = |text: &str| {
        let mut parts = text.lines();
        let first = format!("{pad}{equals} {}", parts.next().unwrap_or_default());
        std::iter::once(first)
            .chain(parts.map(|line| format!("{pad}  {line}")))
            .collect::<Vec<_>>()
    };
    if !cause.is_empty() {
        out.extend(note(cause));
    }
    for text in failure.all_notes() {
        out.extend(note(&text));
    }
    if chain {
        out.extend(
            failure
                .chain
                .iter()
                .enumerate()
                .flat_map(|(i, cause)| note(&format!("cause {}: {cause}", i + 1))),
        );
    }
    out
}

/// How a job ended, the last line of its failure: `  job 7f3a failed (exit 1)`.
pub(crate) fn ending(job_id: &str, state: JobState, exit: crate::exit::ExitCode) -> String {
    format!("  job {job_id} {state} (exit {})", exit.code())
}

/// The source line with tabs as spaces, and where the carets start and how many there are, in characters.
fn underline(snippet: &str, column: u32, span: u32) -> (String, usize, usize) {
    let first = column.saturating_sub(1) as usize;
    let last = first + span.max(1) as usize;
    let (mut text, mut start, mut end) = (String::new(), None, None);
    let mut shown = 0;
    for (i, c) in snippet.trim_end().chars().enumerate() {
        if i == first {
            start = Some(shown);
        }
        if i == last {
            end = Some(shown);
        }
        if c == '\t' {
            let width = TAB - shown % TAB;
            text.push_str(&" ".repeat(width));
            shown += width;
        } else {
            text.push(c);
            shown += 1;
        }
    }
    // A place behind the line's end is where something is missing.
    let start = start.unwrap_or(shown);
    let end = end.unwrap_or(shown).max(start + 1);
    (text, start, end - start)
}

#[cfg(test)]
mod tests {
    use retail_api::{FailureKind, Unpublished};

    use super::*;

    fn plain(failure: &Failure) -> String {
        let places = Places {
            project_dir: Some("jobs/retail".into()),
            current_dir: Some("/home/ada/shop".into()),
        };
        lines(failure, &places, Paint::OFF, false).join("\n")
    }

    #[test]
    fn a_failure_in_sql_shows_the_line_with_carets_and_what_is_unchanged() {
        let failure = Failure::new(FailureKind::Project, "cannot plan model marts.fact_order_items")
            .at("models/marts/fact_order_items.sql", 14, 8)
            .cause("stg_order_items has no column order_dat; did you mean order_date?")
            .note("3 models after it were not run: fact_order_summary, obt_sellers_reporting, top_products")
            .unpublished(Unpublished::Everything);
        let failure = Failure {
            snippet: "   AND oi.order_dat >= p.valid_from".into(),
            span: 12,
            ..failure
        };
        let expected = "\
error: cannot plan model marts.fact_order_items
  ┌─ jobs/retail/models/marts/fact_order_items.sql:14:8
  │
14│   AND oi.order_dat >= p.valid_from
  │       ^^^^^^^^^^^^ stg_order_items has no column order_dat; did you mean order_date?
  │
  = 3 models after it were not run: fact_order_summary, obt_sellers_reporting, top_products
  = nothing was published; the tables are as they were";
        assert_eq!(plain(&failure), expected);
        assert_eq!(
            ending("7f3a", JobState::Failed, crate::exit::ExitCode::Failed),
            "  job 7f3a failed (exit 1)"
        );
    }

    #[test]
    fn a_bad_cell_of_a_file_shows_its_place_and_the_way_out() {
        let failure = Failure::new(
            FailureKind::Source,
            "source raw.orders, row 81,202: order_purchase_date is not a timestamp: \"2024-13-01\"",
        )
        .at("/home/ada/shop/data/day=2/orders.csv", 81_203, 0)
        .note("fix the file, or set on_error: quarantine in models/sources.yml:31 and the row goes to quarantine.orders");
        let expected = "\
error: source raw.orders, row 81,202: order_purchase_date is not a timestamp: \"2024-13-01\"
  ┌─ data/day=2/orders.csv:81203
  = fix the file, or set on_error: quarantine in models/sources.yml:31 and the row goes to quarantine.orders";
        assert_eq!(plain(&failure), expected);
    }

    #[test]
    fn tabs_and_wide_line_numbers_keep_the_caret_below_its_word() {
        let failure = Failure::new(
            FailureKind::Project,
            "cannot parse model staging.stg_orders",
        )
        .at("models/staging/stg_orders.sql", 1207, 9)
        .cause("expected FROM");
        let failure = Failure {
            snippet: "\tsélect fron orders".into(),
            span: 4,
            ..failure
        };
        let expected = "\
error: cannot parse model staging.stg_orders
    ┌─ jobs/retail/models/staging/stg_orders.sql:1207:9
    │
1207│    sélect fron orders
    │           ^^^^ expected FROM
    │";
        assert_eq!(plain(&failure), expected);
    }

    #[test]
    fn a_place_behind_the_end_of_its_line_gets_one_caret() {
        let failure = Failure::new(FailureKind::Project, "cannot parse model a.b")
            .at("b.sql", 3, 9)
            .cause("expected )");
        let failure = Failure {
            snippet: "SELECT (".into(),
            span: 5,
            ..failure
        };
        assert!(
            plain(&failure).contains("\n 3│SELECT (\n  │        ^ expected )\n"),
            "{}",
            plain(&failure)
        );
    }

    #[test]
    fn without_a_place_the_cause_stands_below_the_message() {
        let failure = Failure::new(FailureKind::NoExecutor, "no executor came within 60 s")
            .cause("0 executors are registered")
            .note("start one with retail-executor");
        assert_eq!(
            plain(&failure),
            "error: no executor came within 60 s\n  = 0 executors are registered\n  = start one with retail-executor"
        );
    }

    #[test]
    fn the_chain_is_shown_only_when_requested() {
        let failure = Failure {
            chain: vec!["cannot write file".into(), "disk full".into()],
            ..Failure::new(FailureKind::Storage, "cannot write")
        };
        assert_eq!(plain(&failure), "error: cannot write");
        let verbose = lines(&failure, &Places::default(), Paint::OFF, true);
        assert_eq!(
            verbose,
            [
                "error: cannot write",
                "  = cause 1: cannot write file",
                "  = cause 2: disk full"
            ]
        );
    }

    #[test]
    fn colour_paints_but_never_moves() {
        let failure = Failure::new(FailureKind::Project, "bad")
            .at("a.sql", 1, 1)
            .snippet_of("x", 1);
        let painted = lines(&failure, &Places::default(), Paint::ON, false).join("\n");
        assert!(
            painted.starts_with("\u{1b}[1m\u{1b}[31merror:\u{1b}[0m \u{1b}[1mbad\u{1b}[0m"),
            "{painted:?}"
        );
    }
}
