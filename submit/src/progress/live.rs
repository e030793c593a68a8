//! The moving part of the screen: a line per running model, why others wait, drawn anew each tick. Pure.

use retail_api::events::StageProgress;

use super::view::{Phase, Row, View};
use crate::format;
use crate::term::Paint;

const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
/// Microseconds a spinner's picture stands.
const FRAME_US: i64 = 100_000;
/// Cells of the widest bar, and the narrowest worth drawing.
const BAR: usize = 24;
const NARROWEST_BAR: usize = 6;

impl View {
    /// At most `height` lines, none wider than the view's width.
    pub(crate) fn live(&self, now_us: i64, height: usize) -> Vec<String> {
        if self.outcome().is_some() {
            return vec![];
        }
        let spinner = SPINNER[usize::try_from(now_us / FRAME_US).unwrap_or(0) % SPINNER.len()];
        let mut out = vec![];
        if let Some((reason, since_us)) = &self.waiting {
            let waited = format::ticking(u64::try_from((now_us - since_us) / 1000).unwrap_or(0));
            let text =
                format!("waiting: {reason} · {waited} · Ctrl-C stops watching, the job stays");
            out.extend(
                format::wrap(&text, self.width, "  ")
                    .into_iter()
                    .map(|line| self.paint.yellow(&line)),
            );
        }
        let (running, waiting): (Vec<&Row>, Vec<&Row>) = self
            .rows
            .iter()
            .filter(|row| matches!(row.phase, Phase::Waiting | Phase::Running { .. }))
            .partition(|row| matches!(row.phase, Phase::Running { .. }));
        out.extend(running.iter().map(|row| self.running(row, spinner, now_us)));
        if let Some((tests, since_us)) = self.testing {
            let elapsed = format::ticking(u64::try_from((now_us - since_us) / 1000).unwrap_or(0));
            let text = format!("{}   {elapsed}", format::plural(u64::from(tests), "test"));
            out.push(format!(
                "  {} {text}",
                self.paint.cyan(&spinner.to_string())
            ));
        }
        // Waiting models that wait for running ones come next; the rest is a number.
        let room = height.saturating_sub(out.len() + 1);
        let shown = if waiting.len() <= room {
            waiting.len()
        } else {
            room.saturating_sub(1)
        };
        out.extend(waiting.iter().take(shown).map(|row| self.waits(row)));
        if waiting.len() > shown {
            out.push(
                self.paint
                    .dim(&format!("  · {} more wait", waiting.len() - shown)),
            );
        }
        out.truncate(height);
        out
    }

    fn waits(&self, row: &Row) -> String {
        let unfinished: Vec<&str> = row
            .planned
            .depends_on
            .iter()
            .filter(|name| {
                self.rows
                    .iter()
                    .any(|other| is_named(other, name) && other.phase != Phase::Done)
            })
            .map(|name| name.rsplit('.').next().unwrap_or(name))
            .collect();
        let reason = match unfinished.as_slice() {
            [] => "waits for a free slot".to_string(),
            [one] => format!("waits for {one}"),
            [first, rest @ ..] => format!("waits for {first} and {} more", rest.len()),
        };
        self.paint.dim(&format::fit(
            &format!("  · {}  {reason}", self.name(&row.planned.model)),
            self.width,
        ))
    }

    /// `  ⠸ marts.fact_order_items  stage 2 of 3   ━━━━━━╸━━━━   61 %   1.9 M rows/s`
    fn running(&self, row: &Row, spinner: char, now_us: i64) -> String {
        let Phase::Running {
            since_us,
            progress,
            rows_per_second,
            ..
        } = &row.phase
        else {
            return String::new();
        };
        let elapsed = format::ticking(u64::try_from((now_us - since_us) / 1000).unwrap_or(0));
        let head = format!("{}  ", self.name(&row.planned.model));
        let (stage, tail) = if progress.stages == 0 {
            ("running".to_string(), elapsed)
        } else {
            let stage = format!("stage {} of {}", progress.stage, progress.stages);
            let speed = if *rows_per_second >= 1.0 {
                format::rate(*rows_per_second)
            } else {
                elapsed
            };
            (stage, speed)
        };
        let used = 4 + head.chars().count() + 12 + 2 + 6 + 3 + 12;
        let cells = self.width.saturating_sub(used).min(BAR);
        let percent = (done(progress) * 100.0).floor();
        let mut out = format!("{head}{stage:<12}");
        if progress.stages > 0 {
            if cells >= NARROWEST_BAR {
                out.push_str("  ");
                out.push_str(&bar(done(progress), cells, self.paint));
            }
            out.push_str(&format!("{percent:>4.0} %"));
        }
        out.push_str(&format!("   {tail}"));
        if progress.tasks_retried > 0 && cells == BAR {
            out.push_str(&format!("   {} again", progress.tasks_retried));
        }
        format!("  {} {out}", self.paint.cyan(&spinner.to_string()))
    }
}

fn is_named(row: &Row, name: &str) -> bool {
    row.planned.model == name || row.planned.model.rsplit('.').next() == Some(name)
}

/// The part of a query that is done, 0 to 1: whole stages, and the tasks of the current one.
fn done(progress: &StageProgress) -> f64 {
    if progress.stages == 0 {
        return 0.0;
    }
    let stage = f64::from(progress.stage.saturating_sub(1));
    let tasks = if progress.tasks == 0 {
        0.0
    } else {
        f64::from(progress.tasks_done) / f64::from(progress.tasks)
    };
    ((stage + tasks) / f64::from(progress.stages)).clamp(0.0, 1.0)
}

fn bar(part: f64, cells: usize, paint: Paint) -> String {
    let full = ((part * cells as f64).floor() as usize).min(cells);
    if full == cells {
        return paint.green(&"━".repeat(cells));
    }
    format!(
        "{}{}",
        paint.green(&format!("{}╸", "━".repeat(full))),
        paint.dim(&"━".repeat(cells - full - 1))
    )
}
