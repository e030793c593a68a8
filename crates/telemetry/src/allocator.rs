//! The allocator's one setting that matters here.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// mimalloc reads it before `main` begins, in milliseconds.
const PURGE_DELAY: &str = "MIMALLOC_PURGE_DELAY";
const KEPT_MS: &str = "1000";

/// Starts this program again, in the same process, with an allocator that keeps freed pages for a second.
///
/// mimalloc gives pages back after 10 ms. Operators free a batch and ask for the next one right away, so the kernel
/// cleared the same pages again and again: a fifth of the time of a run over a million orders, for 15 % less memory at
/// its peak (docs/decisions/0010-freed-pages.md). Whoever sets the variable decides otherwise. First thing in `main`:
/// nothing may be open yet.
pub fn keep_freed_pages() {
    if std::env::var_os(PURGE_DELAY).is_some() {
        return;
    }
    let mut arguments = std::env::args_os();
    let (Ok(program), Some(name)) = (std::env::current_exe(), arguments.next()) else {
        return;
    };
    // Returns only when it fails; then the program runs as it was started.
    let _ = Command::new(program)
        .arg0(name)
        .args(arguments)
        .env(PURGE_DELAY, KEPT_MS)
        .exec();
}
