//! What clients were promised of a job, and what the store must show of it.

use retail_api::JobId;
use retail_api::events::EventKind;
use retail_api::job::JobState;
use retail_lakehouse::Lakehouse;

use crate::store::JobStore;

/// A job whose submission was acknowledged.
#[derive(Debug)]
pub(super) struct History {
    pub(super) id: JobId,
    /// Durable events that its scheduler recorded, from number 1.
    pub(super) recorded: Vec<EventKind>,
    /// The final state that the store has shown.
    pub(super) ended_as: Option<JobState>,
}

impl History {
    pub(super) fn of(id: JobId) -> Self {
        Self {
            id,
            recorded: vec![],
            ended_as: None,
        }
    }

    pub(super) fn is_finished(&self) -> bool {
        matches!(self.recorded.last(), Some(EventKind::Finished { .. }))
    }

    pub(super) fn record(&mut self, kind: EventKind) {
        assert!(
            !self.is_finished(),
            "{} after the last event: {kind:?}",
            self.id
        );
        self.recorded.push(kind);
    }

    /// Holds a state that the store shows: a final one is never left, and is success exactly where tables were published.
    pub(super) async fn shows(&mut self, state: JobState, lake: &Lakehouse) {
        if let Some(before) = self.ended_as {
            assert_eq!(state, before, "{} left its final state", self.id);
        }
        if is_final(state) && self.ended_as.is_none() {
            self.ended_as = Some(state);
            let published = is_published(&self.id, lake).await;
            assert_eq!(
                state == JobState::Succeeded,
                published,
                "{}: {state:?}",
                self.id
            );
        }
    }

    /// Takes over what the store holds after the scheduler is gone: the beginning of what was recorded, and an end.
    pub(super) async fn is_recovered(&mut self, store: &JobStore) {
        let stored = stored(&self.id, store).await;
        let (last, before) = stored.split_last().unwrap();
        let kept = self.recorded.get(..before.len());
        assert_eq!(kept, Some(before), "{} lost or gained events", self.id);
        assert!(matches!(last, EventKind::Finished { .. }), "{last:?}");
        self.recorded = stored;
    }

    /// Holds that the store has all of it.
    pub(super) async fn is_stored(&self, store: &JobStore) {
        assert_eq!(stored(&self.id, store).await, self.recorded, "{}", self.id);
        assert!(self.is_finished(), "{} never ended", self.id);
    }
}

/// A job's stored events, which are numbered from 1 without a gap.
pub(super) async fn stored(id: &JobId, store: &JobStore) -> Vec<EventKind> {
    let events = store.events(id, 0).await.unwrap();
    let numbers: Vec<_> = events.iter().map(|event| event.seq).collect();
    assert_eq!(numbers, (1..=events.len() as u64).collect::<Vec<_>>());
    events.into_iter().map(|event| event.kind).collect()
}

pub(super) fn is_final(state: JobState) -> bool {
    !matches!(state, JobState::Queued | JobState::Running)
}

async fn is_published(id: &JobId, lake: &Lakehouse) -> bool {
    const FIND: &str =
        "SELECT publish_id FROM retail_publishes WHERE publish_id = $1 AND state = 'published'";
    let found = sqlx::query(FIND)
        .bind(id.as_str())
        .fetch_optional(lake.pool());
    found.await.unwrap().is_some()
}
