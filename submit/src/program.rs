//! The program: parse, start, run, exit.

use crate::cli::Cli;
use crate::exit::ExitCode;
use clap::Parser;

/// The whole of `retail-submit`: from its arguments to its exit code.
pub fn main() -> std::process::ExitCode {
    retail_telemetry::keep_freed_pages();
    // clap prints help and mistakes itself: 0 and 2.
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() {
                ExitCode::Usage.into()
            } else {
                ExitCode::Success.into()
            };
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(retail_telemetry::program::STACK_BYTES)
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start threads: {error}");
            return ExitCode::Config.into();
        }
    };
    let code = runtime.block_on(crate::run(cli));
    // A blocked stdin or a query that is being cancelled must not hold the process.
    runtime.shutdown_background();
    code.into()
}
