//! This machine's clock. What decides takes the time as an argument; only edges read it.

/// Microseconds since the epoch, UTC.
pub fn now_us() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_micros() as i64)
}
