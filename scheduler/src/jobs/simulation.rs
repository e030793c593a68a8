//! Everything that may happen to a scheduler's jobs, in an order that a seed draws, without a clock and without waiting.
//!
//! ```text
//!  seed ──▶ submit · cancel · a task runs · a driver goes on · a statement comes or ends · executors come and go
//!           the store refuses · a client watches, reads slowly, lags, comes back · the scheduler stops, dies, or hangs
//!                │
//!                ▼
//!  lifecycle, admission and its gate, feed and watchers, job store on SQLite, recovery: all real
//!                │  after each step
//!                ▼
//!  invariants: process.rs for what runs and waits, client.rs for what is seen, history.rs for what is stored
//! ```
//!
//! Only the job's driver is a script (driver.rs): it reports facts in the order of `run_job`, and publishes by the ledger.
//! A failure prints its seed and what happened: `RETAIL_TEST_SEED=17 cargo test -p retail-scheduler --lib simulation`.

mod client;
mod driver;
mod endings;
mod history;
mod process;
mod world;

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::store::tests::lake;
use world::World;

/// More of them: `RETAIL_TEST_SEEDS=5000`.
const SEEDS: u64 = 200;
const STEPS: usize = 40;

/// What may happen in one step, as often as it stands here.
const STEPS_DRAWN: &[Step] = &[
    Step::Submit,
    Step::Submit,
    Step::Task,
    Step::Task,
    Step::Task,
    Step::Task,
    Step::Driver,
    Step::Driver,
    Step::Driver,
    Step::Driver,
    Step::Driver,
    Step::Cancel,
    Step::StatementEnters,
    Step::StatementReads,
    Step::StatementEnds,
    Step::ExecutorJoins,
    Step::ExecutorIsLost,
    Step::TimePasses,
    Step::StoreRefuses,
    Step::StoreWorks,
    Step::ClientWatches,
    Step::ClientWatches,
    Step::ClientReads,
    Step::ClientReads,
    Step::ClientReads,
    Step::ClientReads,
    Step::ClientReconnects,
    Step::Forget,
    Step::Stop,
    Step::GraceOver,
    Step::Crash,
    Step::Crash,
    Step::Hang,
    Step::Hang,
    Step::HungProcessGoesOn,
    Step::HungProcessGoesOn,
    Step::HungProcessGoesOn,
];

#[derive(Debug, Clone, Copy)]
enum Step {
    Submit,
    /// A job's task looks whether it is stopped or its turn has come.
    Task,
    /// A job's driver does one thing.
    Driver,
    Cancel,
    StatementEnters,
    StatementReads,
    StatementEnds,
    ExecutorJoins,
    ExecutorIsLost,
    TimePasses,
    StoreRefuses,
    StoreWorks,
    ClientWatches,
    ClientReads,
    ClientReconnects,
    /// An ended job's task stores the rest of its events.
    Forget,
    Stop,
    GraceOver,
    /// The process dies, and the next one recovers the store.
    Crash,
    /// The process hangs for longer than its lease, and the next one takes over.
    Hang,
    HungProcessGoesOn,
}

/// Prints what a failing seed did.
struct Failing {
    seed: u64,
}

impl Drop for Failing {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("RETAIL_TEST_SEED={} repeats this", self.seed);
        }
    }
}

#[tokio::test]
async fn in_any_order_of_events_jobs_end_once_and_are_seen_as_they_were() {
    // In memory where the machine has a folder there: each step commits.
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let dir = dir.unwrap();
    let lake = lake(dir.path()).await;
    let store = world::store(&lake).await;
    let given = |name| std::env::var(name).ok().map(|n| n.parse::<u64>().unwrap());
    let seeds = match given("RETAIL_TEST_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..given("RETAIL_TEST_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        let _failing = Failing { seed };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut world = World::new(&lake, &store, &mut rng);
        // Each seed leaves some of it out, so that there are runs without stops, or without an end of the full disk.
        let mut drawn = STEPS_DRAWN.to_vec();
        drawn.retain(|_| rng.random_bool(0.6));
        drawn.push(Step::Submit);
        for _ in 0..STEPS {
            let step = *drawn.choose(&mut rng).unwrap();
            world.step(step, &mut rng).await;
            world.holds().await;
        }
        world.ends(rng.random_bool(0.5)).await;
    }
}
