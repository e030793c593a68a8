//! All that a seed drives: one scheduler, the ones before it that hang, clients, executors, and what was promised.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rand::seq::IteratorRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use retail_api::JobId;
use retail_api::events::EventKind;
use retail_lakehouse::Lakehouse;

use super::super::feed::Watcher;
use super::super::lifecycle::Event;
use super::Step;
use super::client::Client;
use super::driver::{Did, Driver};
use super::history::{History, is_final};
use super::process::{Process, Task};
use crate::clock::Moment;
use crate::store::{JobStore, NewJob};

/// As if the disk were full: nothing is inserted while `refuses` is 1, everything can be read.
const DISK: [&str; 4] = [
    "CREATE TABLE disk (refuses BIGINT NOT NULL)",
    "INSERT INTO disk VALUES (0)",
    "CREATE TRIGGER full_for_events BEFORE INSERT ON retail_job_events \
     WHEN (SELECT refuses FROM disk) = 1 BEGIN SELECT RAISE(ABORT, 'full'); END",
    "CREATE TRIGGER full_for_jobs BEFORE INSERT ON retail_jobs \
     WHEN (SELECT refuses FROM disk) = 1 BEGIN SELECT RAISE(ABORT, 'full'); END",
];
pub(super) const ALL: usize = usize::MAX;

pub(super) struct World {
    pub(super) lake: Lakehouse,
    pub(super) store: JobStore,
    pub(super) clock: Arc<Mutex<Moment>>,
    pub(super) process: Process,
    /// Processes that lost the ownership and do not know it yet.
    pub(super) hung: Vec<Process>,
    pub(super) clients: Vec<Client>,
    pub(super) histories: BTreeMap<JobId, History>,
    pub(super) executors: u32,
    pub(super) store_refuses: bool,
    pub(super) steps: usize,
    pub(super) rng: ChaCha8Rng,
}

/// The store of all worlds, whose disk can be full.
pub(super) async fn store(lake: &Lakehouse) -> JobStore {
    let store = JobStore::open(lake.pool()).await.unwrap();
    for statement in DISK {
        sqlx::query(statement).execute(lake.pool()).await.unwrap();
    }
    store
}

impl World {
    pub(super) fn new(lake: &Lakehouse, store: &JobStore, rng: &mut ChaCha8Rng) -> Self {
        let clock = Arc::new(Mutex::new(Moment {
            at: Instant::now(),
            wall_us: 1_795_000_000_000_000,
        }));
        Self {
            process: Process::new(store, &clock, rng),
            lake: lake.clone(),
            store: store.clone(),
            clock,
            hung: vec![],
            clients: vec![],
            histories: BTreeMap::new(),
            executors: rng.random_range(0..=2),
            store_refuses: false,
            steps: 0,
            rng: ChaCha8Rng::seed_from_u64(rng.random()),
        }
    }

    pub(super) async fn step(&mut self, step: Step, rng: &mut ChaCha8Rng) {
        self.steps += 1;
        self.pass_time(Duration::from_millis(rng.random_range(1..300)));
        match step {
            // A process that has stopped is followed by the next one.
            Step::Submit if self.has_stopped() => self.next_process(rng, false).await,
            Step::Submit => self.submit().await,
            Step::Task => {
                if let Some(id) = self.job(rng, |task| task.driver.is_none() && !task.has_ended) {
                    self.task_runs(&id).await;
                }
            }
            Step::Driver => {
                if let Some(id) = self.job(rng, |task| task.driver.is_some()) {
                    for _ in 0..rng.random_range(1..=3) {
                        self.driver_goes_on(&id).await;
                    }
                    self.at_a_bad_moment(&id, rng).await;
                }
            }
            Step::Cancel => {
                if let Some(id) = self.job(rng, |_| true) {
                    self.happens(&id.clone(), Event::Cancel { id }).await;
                }
            }
            Step::StatementEnters => self.process.statement_enters(),
            Step::StatementReads => {
                if let Some(at) = (0..self.process.statements.len()).choose(rng) {
                    self.process.statement_reads(at);
                }
            }
            Step::StatementEnds => {
                if let Some(at) = (0..self.process.statements.len()).choose(rng) {
                    self.process.statements.remove(at);
                }
            }
            Step::ExecutorJoins => self.executors += 1,
            Step::ExecutorIsLost => self.executor_is_lost().await,
            Step::TimePasses => self.pass_time(Duration::from_secs(3)),
            Step::StoreRefuses => self.store_refuses(true).await,
            Step::StoreWorks => self.store_refuses(false).await,
            Step::ClientWatches => {
                if let Some(id) = self.histories.keys().choose(rng).cloned() {
                    self.watch(&id, rng).await;
                }
            }
            Step::ClientReads => {
                if let Some(at) = (0..self.clients.len()).choose(rng) {
                    let steps_max = *[1, 2, ALL].iter().choose(rng).unwrap();
                    self.client_reads(at, steps_max).await;
                }
            }
            Step::ClientReconnects => {
                if let Some(at) = (0..self.clients.len()).choose(rng) {
                    self.reconnect(at);
                }
            }
            Step::Forget => {
                if let Some(id) = self.job(rng, |task| task.has_ended) {
                    self.forget(&id).await;
                }
            }
            Step::Stop => {
                self.process.happens(Event::Stop).await;
                assert!(self.process.lifecycle.refusal().is_some());
            }
            // Only whoever stops ends the grace.
            Step::GraceOver => {
                if self.process.lifecycle.refusal().is_some() {
                    self.process.happens(Event::GraceOver).await;
                }
            }
            Step::Crash => self.next_process(rng, false).await,
            Step::Hang => self.next_process(rng, true).await,
            Step::HungProcessGoesOn => self.hung_process_goes_on(rng).await,
        }
    }

    /// What matters most when it comes at a certain moment comes then more often than by chance.
    async fn at_a_bad_moment(&mut self, id: &JobId, rng: &mut ChaCha8Rng) {
        if self.store_refuses && rng.random_bool(0.5) {
            self.watch(id, rng).await;
            for at in 0..self.clients.len() {
                self.client_reads(at, ALL).await;
            }
        }
        let task = self.process.jobs.get(id);
        let driver = task.and_then(|task| task.driver.as_ref());
        if driver.is_some_and(Driver::has_just_published) && rng.random_bool(0.2) {
            let hangs = rng.random_bool(0.5);
            self.next_process(rng, hangs).await;
        }
    }

    fn has_stopped(&self) -> bool {
        self.process.lifecycle.refusal().is_some() && self.process.lifecycle.live() == 0
    }

    /// A job of the process, one of those that are as `is` wants them.
    fn job(&self, rng: &mut ChaCha8Rng, is: impl Fn(&Task) -> bool) -> Option<JobId> {
        let jobs = self.process.jobs.iter().filter(|(_, task)| is(task));
        jobs.map(|(id, _)| id).choose(rng).cloned()
    }

    pub(super) fn pass_time(&self, by: Duration) {
        let mut now = self.clock.lock();
        now.at += by;
        now.wall_us += by.as_micros() as i64;
    }

    async fn submit(&mut self) {
        if self.process.lifecycle.refusal().is_some() {
            return;
        }
        let new = NewJob {
            project: "shop".to_owned(),
            submitted_by: "simulation".to_owned(),
            models_total: 1,
        };
        let now_us = self.clock.lock().wall_us;
        let created = self.store.create(&new, now_us).await;
        assert_eq!(created.is_err(), self.store_refuses, "{created:?}");
        let Ok(job) = created else { return };
        self.histories
            .insert(job.id.clone(), History::of(job.id.clone()));
        // Stopping may begin while the job is stored.
        if self.rng.random_bool(0.02) {
            self.process.happens(Event::Stop).await;
        }
        let recorded = self.process.accept(&job.id).await;
        self.remember(&job.id, recorded);
    }

    fn remember(&mut self, id: &JobId, recorded: Vec<EventKind>) {
        for kind in recorded {
            self.histories.get_mut(id).unwrap().record(kind);
        }
    }

    async fn happens(&mut self, id: &JobId, event: Event) {
        let recorded = self.process.happens(event).await;
        self.remember(id, recorded);
    }

    /// Whether there was something to do.
    pub(super) async fn task_runs(&mut self, id: &JobId) -> bool {
        let reads_its_turn_first = self.rng.random_bool(0.2);
        let recorded = self.process.task_runs(id, reads_its_turn_first).await;
        let ran = recorded.is_some();
        self.remember(id, recorded.unwrap_or_default());
        ran
    }

    /// Whether there was something to do.
    pub(super) async fn driver_goes_on(&mut self, id: &JobId) -> bool {
        let task = self.process.jobs.get_mut(id).unwrap();
        let Some(driver) = &mut task.driver else {
            return false;
        };
        let did = driver
            .goes_on(id, &self.lake, self.executors, &task.cancel, &mut self.rng)
            .await;
        if let Some(event) = reported(id, did) {
            self.happens(id, event).await;
        }
        true
    }

    async fn executor_is_lost(&mut self) {
        if self.executors == 0 {
            return;
        }
        self.executors -= 1;
        let driven = self.process.jobs.iter().filter(|(_, t)| t.driver.is_some());
        let driven: Vec<_> = driven.map(|(id, _)| id.clone()).collect();
        for id in driven {
            let kind = EventKind::ExecutorLost {
                executor_id: "one".into(),
                reason: "it stopped".to_owned(),
            };
            self.happens(&id.clone(), Event::Happened { id, kind })
                .await;
        }
    }

    pub(super) async fn store_refuses(&mut self, refuses: bool) {
        if self.store_refuses != refuses {
            self.store_refuses = refuses;
            let update = sqlx::query("UPDATE disk SET refuses = $1").bind(i64::from(refuses));
            update.execute(self.lake.pool()).await.unwrap();
        }
    }

    async fn watch(&mut self, id: &JobId, rng: &mut ChaCha8Rng) {
        let seen = rng.random_range(0..=self.histories[id].recorded.len() as u64);
        // Whoever has seen the last event does not come back.
        if self.histories[id].is_finished() && seen == self.histories[id].recorded.len() as u64 {
            return;
        }
        self.clients.push(Client {
            job: id.clone(),
            watcher: None,
            last_seq: seen,
            is_ahead: false,
            has_ended: false,
        });
        self.reconnect(self.clients.len() - 1);
    }

    pub(super) fn reconnect(&mut self, at: usize) {
        let client = &mut self.clients[at];
        if client.has_ended {
            return;
        }
        let (id, after_seq) = (client.job.clone(), client.last_seq);
        client.watcher = Some(match self.process.jobs.get(&id) {
            Some(task) => task.feed.watcher(after_seq),
            None => Watcher::of_ended(self.store.clone(), id, after_seq),
        });
    }

    pub(super) async fn client_reads(&mut self, at: usize, steps_max: usize) {
        let client = &mut self.clients[at];
        let recorded = &self.histories[&client.job].recorded;
        client.read(steps_max, recorded).await;
    }

    /// As `JobManager::forget`. Whether the job is gone.
    pub(super) async fn forget(&mut self, id: &JobId) -> bool {
        let task = &self.process.jobs[id];
        let now = self.clock.lock().at;
        if !task.has_ended || !task.feed.store_rest(now).await {
            return false;
        }
        self.process.jobs.remove(id);
        self.process
            .happens(Event::Forgotten { id: id.clone() })
            .await;
        true
    }

    pub(super) async fn holds(&mut self) {
        self.process.holds();
        // Reading all jobs takes longer than a step.
        if self.steps.is_multiple_of(10) {
            self.shown().await;
        }
    }

    /// Holds what the store shows: every accepted job is there, and is final unless the process knows it.
    pub(super) async fn shown(&mut self) {
        let jobs = self.store.list(1000).await.unwrap();
        assert_eq!(jobs.len(), self.histories.len(), "every accepted job");
        for job in jobs {
            let is_known = self.process.jobs.contains_key(&job.id);
            assert!(
                is_known || is_final(job.state),
                "{}: {:?}",
                job.id,
                job.state
            );
            let history = self.histories.get_mut(&job.id).unwrap();
            history.shows(job.state, &self.lake).await;
        }
    }
}

/// What a driver's doing is to the manager.
pub(super) fn reported(id: &JobId, did: Did) -> Option<Event> {
    let id = id.clone();
    match did {
        Did::Fact(kind) => Some(Event::Happened { id, kind }),
        Did::End(outcome) => Some(Event::DriverEnded { id, outcome }),
        Did::Nothing => None,
    }
}
