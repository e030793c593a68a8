//! Failpoints: named places where a test aborts the process, to prove what survives.

/// Aborts the process here when the environment variable `RETAIL_FAULT` is `name`, after one line on stderr.
///
/// Debug builds only; a release build compiles it to nothing.
pub(crate) fn failpoint(name: &'static str) {
    #[cfg(debug_assertions)]
    if std::env::var_os("RETAIL_FAULT").is_some_and(|wanted| wanted == name) {
        eprintln!("failpoint {name}: aborting");
        std::process::abort();
    }
    #[cfg(not(debug_assertions))]
    let _ = name;
}
