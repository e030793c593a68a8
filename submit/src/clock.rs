//! This machine's clock; everything that decides takes the time as an argument.

/// Microseconds since the epoch, UTC.
pub fn now_us() -> i64 {
    chrono::Utc::now().timestamp_micros()
}
