//! `generate`: the daily files of a marketplace, and the truth about them.

use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use retail_api::Failure;
use retail_datagen::generate::DaySummary;
use retail_datagen::{Format, GenerateOptions, Progress, generate as make};
use serde_json::json;

use crate::cli::{FileFormat, GenerateArgs};
use crate::error::SubmitError;
use crate::format;
use crate::progress::terminal;
use crate::session::App;
use crate::term::Console;

/// `retail-submit generate`.
pub(crate) fn generate(app: &App, args: &GenerateArgs) -> Result<(), SubmitError> {
    let options = GenerateOptions {
        orders: args.orders,
        days: args.days,
        seed: args.seed,
        format: match args.format {
            FileFormat::Parquet => Format::Parquet,
            FileFormat::Csv => Format::Csv,
        },
        out: args.out.clone(),
        only_day: None,
    };
    let start = Instant::now();
    let bar = Bar::new(&app.console);
    let summary = make(&options, &mut |progress| bar.show(progress)).map_err(failed)?;
    drop(bar);
    let truth = args.out.join("truth.json");
    if app.console.json {
        let days: Vec<_> = summary.days.iter().map(|day| json!({"day": day.day, "folder": day.folder, "rows": day.rows(), "bytes": day.bytes()})).collect();
        return app.console.print_json(
            &json!({"orders": args.orders, "seed": args.seed, "days": days, "truth": truth}),
        );
    }
    app.console.print_all(summary.days.iter().map(day_line))?;
    app.console.print(&format!(
        "generated {} over {} in {} · the truth is in {}",
        format::plural(args.orders, "order"),
        format::plural(u64::from(args.days), "day"),
        format::duration(u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)),
        truth.display(),
    ))
}

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
