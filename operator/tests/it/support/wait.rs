//! Waiting for what others bring about.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// The longest that anything here may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Polls until `good` holds, and returns what was seen then.
pub async fn until<T: Debug, F: Future<Output = T>>(
    what: &str,
    mut poll: impl FnMut() -> F,
    good: impl Fn(&T) -> bool,
) -> T {
    let start = Instant::now();
    loop {
        let seen = poll().await;
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

/// Polls for a while, and fails when `good` does not hold all the time.
pub async fn always<T: Debug, F: Future<Output = T>>(
    what: &str,
    span: Duration,
    mut poll: impl FnMut() -> F,
    good: impl Fn(&T) -> bool,
) {
    let start = Instant::now();
    while start.elapsed() < span {
        let seen = poll().await;
        assert!(good(&seen), "not always: {what}; saw {seen:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
