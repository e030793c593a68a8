//! All programs in one, for container images: it is the one by whose name it is called.
//!
//! ```text
//! retail-scheduler --version        # a link to retail
//! retail scheduler --version        # the same
//! ```
//!
//! The four share most of what they are made of. Four files would weigh two and a half times as much as this one.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Program = fn() -> ExitCode;

const PROGRAMS: [(&str, Program); 4] = [
    ("scheduler", retail_scheduler::program::main),
    ("executor", retail_executor::program::main),
    ("operator", retail_operator::program::main),
    ("submit", retail_submit::program::main),
];
/// Wrong usage, as in sysexits.h.
const EX_USAGE: u8 = 64;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let called = arguments.next().unwrap_or_default();
    if let Some(program) = named(&called) {
        return program();
    }
    match arguments.next() {
        // Its arguments begin at the name: so it is called by that.
        Some(name) if named(&with_prefix(&name)).is_some() => {
            let error = Command::new("/proc/self/exe")
                .arg0(with_prefix(&name))
                .args(arguments)
                .exec();
            eprintln!("error: cannot start {}: {error}", name.display());
            ExitCode::FAILURE
        }
        Some(name) if name == "--version" || name == "-V" => {
            println!("retail {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        other => {
            let what = other.map_or("what to run is missing".to_owned(), |other| {
                format!("there is no program {}", other.display())
            });
            let names = PROGRAMS.map(|(name, _)| name).join(", ");
            eprintln!("error: {what}; usage: retail PROGRAM [ARGUMENT…], PROGRAM one of {names}");
            ExitCode::from(EX_USAGE)
        }
    }
}

/// The program that a path ends in the name of.
fn named(called: &OsStr) -> Option<Program> {
    let name = Path::new(called).file_name()?.to_str()?;
    let (_, program) = PROGRAMS
        .iter()
        .find(|(short, _)| name.strip_prefix("retail-") == Some(short))?;
    Some(*program)
}

fn with_prefix(name: &OsStr) -> OsString {
    let mut called = OsString::from("retail-");
    called.push(name);
    called
}
