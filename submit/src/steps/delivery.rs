//! Deliveries of the synthetic marketplace: how far they are made, what landed, and their errors.

use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use retail_api::Failure;
use retail_datagen::DaySummary;
use retail_datagen::Progress;

use crate::error::SubmitError;
use crate::format;
use crate::progress::terminal;
use crate::term::Console;

/// `day=1  5 files  301,113 rows  12 MB  in ./retail-data/input/day=1`
pub(crate) fn day_line(day: &DaySummary) -> String {
    format!(
        "day={}  {}  {}  {}  in {}",
        day.day,
        format::plural(day.sources.len() as u64, "file"),
        format::plural(day.rows(), "row"),
        format::size(day.bytes()),
        day.folder.display()
    )
}

/// Files that cannot be written are a setting gone wrong; nothing was sent anywhere.
pub(crate) fn failed(failure: Failure) -> SubmitError {
    SubmitError::Project {
        failure: Box::new(failure),
        project_dir: None,
    }
}

/// Whether the delivery of `day` has landed in `input`.
pub(crate) fn landed(input: &Path, day: u32) -> bool {
    input.join(format!("day={day}")).is_dir()
}

/// How far the generator is, on terminals only.
pub(crate) struct Bar(Option<ProgressBar>);

impl Bar {
    pub(crate) fn new(console: &Console) -> Self {
        Self(console.animates().then(|| {
            let bar = terminal::bar(Some(1));
            let style = ProgressStyle::with_template("{spinner} {msg}  {bar:24}  {percent} %");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        }))
    }

    pub(crate) fn show(&self, progress: Progress) {
        if let Some(bar) = &self.0 {
            bar.set_length(progress.total.max(1));
            bar.set_position(progress.done);
            bar.set_message(progress.day.map_or("counting the truth".into(), |day| {
                format!("writing day {day}")
            }));
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
