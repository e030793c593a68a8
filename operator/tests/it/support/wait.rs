//! Waiting for what others bring about.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// The longest that anything here may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Looks until `good` holds, and gives what was seen then.
pub async fn until<T: Debug, F: Future<Output = T>>(
    what: &str,
    mut look: impl FnMut() -> F,
    good: impl Fn(&T) -> bool,
) -> T {
    let start = Instant::now();
    loop {
        let seen = look().await;
        if good(&seen) {
            return seen;
        }
        assert!(
            start.elapsed() < PATIENCE,
            "waited in vain until {what}; saw {seen:#?}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Looks for a while, and fails when `good` does not hold all the time.
pub async fn always<T: Debug, F: Future<Output = T>>(
    what: &str,
    span: Duration,
    mut look: impl FnMut() -> F,
    good: impl Fn(&T) -> bool,
) {
    let start = Instant::now();
    while start.elapsed() < span {
        let seen = look().await;
        assert!(good(&seen), "not always: {what}; saw {seen:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
