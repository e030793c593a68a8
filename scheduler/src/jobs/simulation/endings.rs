//! How processes end: they die, hang, or stop, and what the next one and the clients find then.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::Rng;
use rand::seq::IteratorRandom;
use rand_chacha::ChaCha8Rng;

use super::super::lifecycle::Event;
use super::super::recover::recover;
use super::history::stored;
use super::process::Process;
use super::world::{ALL, World, reported};

/// Enough rounds for everything to end that can.
const ROUNDS: usize = 40;

impl World {
    /// The process dies or hangs; the next one recovers the store, as soon as that works.
    pub(super) async fn next_process(&mut self, rng: &mut ChaCha8Rng, hangs: bool) {
        let now_us = self.clock.lock().wall_us;
        if self.store_refuses {
            let unfinished = self.store.unfinished().await.unwrap().len();
            let recovered = recover(&self.store, &self.lake, now_us).await;
            assert_eq!(recovered.is_err(), unfinished > 0, "{recovered:?}");
            self.store_refuses(false).await;
        }
        let mut kept = BTreeMap::new();
        for id in self.histories.keys() {
            kept.insert(id.clone(), stored(id, &self.store).await.len() as u64);
        }
        recover(&self.store, &self.lake, now_us).await.unwrap();
        for history in self.histories.values_mut() {
            history.is_recovered(&self.store).await;
        }
        for client in &mut self.clients {
            client.watcher = None;
            client.is_ahead |= client.last_seq > kept[&client.job];
        }
        let next = Process::new(&self.store, &self.clock, rng);
        let before = std::mem::replace(&mut self.process, next);
        if hangs {
            self.hung.push(before);
        }
        self.shown().await;
    }

    /// What a replaced process still does is seen by its own clients only.
    pub(super) async fn hung_process_goes_on(&mut self, rng: &mut ChaCha8Rng) {
        let Some(process) = self.hung.iter_mut().choose(rng) else {
            return;
        };
        if rng.random_bool(0.2) {
            process.happens(Event::TakenOver).await;
            assert!(process.lifecycle.refusal().is_some());
        }
        let Some(id) = process.jobs.keys().choose(rng).cloned() else {
            return;
        };
        process.task_runs(&id, false).await;
        let task = process.jobs.get_mut(&id).unwrap();
        if let Some(driver) = &mut task.driver {
            let cancel = task.cancel.clone();
            let did = driver.goes_on(&id, &self.lake, 1, &cancel, rng).await;
            if let Some(event) = reported(&id, did) {
                process.happens(event).await;
            }
        }
        process.holds();
    }

    /// Lets everything end, by itself or by a stop, and holds that nothing is left.
    pub(super) async fn ends(mut self, by_stop: bool) {
        self.store_refuses(false).await;
        self.executors = 1;
        if by_stop {
            self.process.happens(Event::Stop).await;
            self.process.happens(Event::GraceOver).await;
        }
        for _ in 0..ROUNDS {
            self.pass_time(Duration::from_secs(3));
            let ids: Vec<_> = self.process.jobs.keys().cloned().collect();
            for id in ids {
                while self.task_runs(&id).await {}
                while self.driver_goes_on(&id).await {}
                self.forget(&id).await;
            }
            while !self.process.statements.is_empty() {
                self.process.statement_reads(0);
                self.process.statements.remove(0);
            }
            self.process.holds();
        }
        assert_eq!(self.process.lifecycle.live(), 0, "a job never ended");
        self.shown().await;
        for history in self.histories.values() {
            history.is_stored(&self.store).await;
        }
        for at in 0..self.clients.len() {
            if self.clients[at].watcher.is_none() {
                self.reconnect(at);
            }
            self.client_reads(at, ALL).await;
            assert!(self.clients[at].has_ended, "a client did not see the end");
        }
        let jobs = self.histories.len() as u64;
        let now_us = self.clock.lock().wall_us;
        assert_eq!(self.store.prune(0, now_us).await.unwrap(), jobs);
    }
}
