//! The client of a retail cluster: submits jobs, watches them, queries what they published.
//!
//! `cli` is the command line, `commands` runs it, in `steps` that several commands share. `client` is the connection, whose
//! answers `render` and `progress` turn into text, purely. `local` starts a cluster inside this process; the client's
//! code is the same.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]
#![allow(
    clippy::result_large_err,
    reason = "a failure is what a person reads; it is made once and not on a hot path"
)]

mod cli;
mod client;
mod commands;
mod error;
mod exit;
mod format;
mod interrupt;
mod local;
pub mod program;
mod progress;
mod project;
mod render;
mod rows;
mod session;
mod steps;
mod term;
mod trace;
mod vars;

use cli::Cli;
use exit::ExitCode;
use interrupt::Interrupt;
use session::App;
use term::Console;
use tracing::Instrument;

/// Runs one command line to its end; errors are printed here and nowhere else.
async fn run(cli: Cli) -> ExitCode {
    let global = cli.global;
    let console = Console::detect(global.json, global.no_color, global.quiet, global.verbose);
    // Without -vv nobody reads the log of an in-process cluster; what matters comes as events.
    let tracing = match trace::start(console.log_level()) {
        Ok(tracing) => tracing,
        Err(reason) => {
            console.warn(&format!("error: {reason}"));
            return ExitCode::Config;
        }
    };
    let app = App {
        console,
        global,
        interrupt: Interrupt::listen(),
    };
    let span = trace::span(cli.command.as_ref());
    let outcome = commands::dispatch(&app, cli.command)
        .instrument(span.clone())
        .await;
    trace::ended(&span, outcome.as_ref().err());
    drop(span);
    let code = match outcome {
        Ok(()) => ExitCode::Success,
        Err(error) => {
            let console = &app.console;
            if console.json {
                console.warn(&render::error::json(&error).to_string());
            } else {
                render::error::lines(&error, console.err, console.verbose > 0)
                    .iter()
                    .for_each(|line| console.warn(line));
            }
            error.exit_code()
        }
    };
    let lost = tracing.flush().await;
    if lost > 0 && !app.console.json {
        let spans = format::plural(lost, "span");
        app.console
            .note(&format!("{spans} could not be sent; the trace has holes"));
    }
    code
}
