//! What time it is, as an argument: what decides takes a [`Moment`] or an `Instant`, and only edges read the clocks.

use std::time::Instant;

use retail_api::clock::now_us;

/// One moment on both clocks: durations are measured on one, people read the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// Never goes back.
    pub(crate) at: Instant,
    /// Microseconds since the epoch, UTC.
    pub(crate) wall_us: i64,
}

impl Moment {
    /// This machine's clocks.
    pub(crate) fn now() -> Self {
        Self {
            at: Instant::now(),
            wall_us: now_us(),
        }
    }
}
