//! What every server's `main` does alike: the environment it reads, the signals it stops at, the code it ends with.

use std::fmt::Display;
use std::io;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

/// Wrong usage or configuration, as in sysexits.h.
pub const EX_USAGE: u8 = 64;

/// The exit code of a program that prints its usage: on `--help`, or after wrong arguments.
pub fn usage(wrong: bool) -> ExitCode {
    ExitCode::from(if wrong { EX_USAGE } else { 0 })
}

/// The environment's variables that are text.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// The first SIGTERM or SIGINT from now on, by its name.
///
/// # Errors
/// Signals cannot be listened for.
pub fn stop_signal() -> io::Result<impl Future<Output = &'static str>> {
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = tokio::signal::ctrl_c() => "SIGINT",
        }
    })
}

/// Bytes of a thread's stack. Plans are trees that are walked by recursion: the usual 2 MiB are too few for a query of a hundred
/// steps, and a stack that overflows ends the process. What is not used takes no memory.
pub const STACK_BYTES: usize = 32 << 20;

/// Runs a program's future on threads with room for deep plans.
///
/// # Errors
/// No thread can be started, or the program's own.
pub fn block_on<E: From<io::Error>>(program: impl Future<Output = Result<(), E>>) -> Result<(), E> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK_BYTES)
        .build()?
        .block_on(program)
}

/// Prints why a program failed, if it did, and returns its exit code.
pub fn ended<E: Display>(outcome: Result<(), E>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
