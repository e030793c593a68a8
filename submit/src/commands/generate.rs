//! `generate`: the daily files of a marketplace, and the truth about them.

use std::time::Instant;

use retail_datagen::{Format, GenerateOptions, generate as make};
use serde_json::json;

use crate::cli::{FileFormat, GenerateArgs};
use crate::error::SubmitError;
use crate::format;
use crate::session::App;
use crate::steps::delivery::{Bar, day_line, failed};

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
