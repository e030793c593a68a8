//! Reads a job's events until it ends, and comes back when the connection breaks.

use std::time::Duration;

use retail_api::clock::now_us;
use retail_api::job::JobState;
use retail_api::{Failure, FailureKind, JobId, codec};
use retail_proto::v1;
use tonic::{Code, Status, Streaming};

use super::screen::{Screen, TICK};
use super::view::{Level, Line, Outcome, View};
use crate::client::{Client, connection_lost, status_reason};
use crate::error::SubmitError;
use crate::interrupt::Interrupt;

/// How watching ended.
#[derive(Debug)]
pub(crate) enum Watched {
    /// The job ended.
    Ended(Outcome),
    /// Ctrl-C; the job goes on.
    Left,
}

/// Waits between attempts to come back: doubling, bounded each and in total.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Backoff {
    next: Duration,
    spent: Duration,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(200);
    const LONGEST: Duration = Duration::from_secs(5);
    /// A scheduler that is restarted is back by then.
    const IN_TOTAL: Duration = Duration::from_secs(120);

    /// Nothing waited yet.
    pub(crate) fn new() -> Self {
        Self {
            next: Self::FIRST,
            spent: Duration::ZERO,
        }
    }

    /// The next wait; `None` when it is time to give up.
    pub(crate) fn step(&mut self) -> Option<Duration> {
        if self.spent >= Self::IN_TOTAL {
            return None;
        }
        let wait = self.next;
        self.next = (wait * 2).min(Self::LONGEST);
        self.spent += wait;
        Some(wait)
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

/// Watches `job_id` from its first event until it ends or Ctrl-C is pressed.
///
/// Fails when the job is unknown, or the scheduler stays away longer than [`Backoff`] allows.
pub(crate) async fn follow(
    client: &Client,
    job_id: &JobId,
    view: &mut View,
    screen: &Screen<'_>,
    interrupt: &mut Interrupt,
) -> Result<Watched, SubmitError> {
    let watched = watch(client, job_id, view, screen, interrupt).await;
    screen.clear();
    watched
}

async fn watch(
    client: &Client,
    job_id: &JobId,
    view: &mut View,
    screen: &Screen<'_>,
    interrupt: &mut Interrupt,
) -> Result<Watched, SubmitError> {
    let mut seen = 0;
    let mut backoff = Backoff::new();
    let mut lost = false;
    loop {
        let broke = tokio::select! {
            opened = client.watch(job_id.as_str(), seen) => match opened {
                Ok(mut stream) => {
                    let before = seen;
                    let read = read(&mut stream, &mut seen, view, screen, interrupt, &mut lost).await?;
                    if seen > before {
                        backoff = Backoff::new();
                    }
                    match read {
                        Read::Ended(outcome) => return Ok(Watched::Ended(outcome)),
                        Read::Left => return Ok(Watched::Left),
                        Read::Broke(status) => status,
                    }
                }
                Err(status) => status,
            },
            () = interrupt.pressed() => return Ok(Watched::Left),
        };
        if !connection_lost(&broke) {
            return Err(client.refused(&broke, None));
        }
        let reason = status_reason(&broke);
        let Some(wait) = backoff.step() else {
            return Err(SubmitError::Lost {
                url: client.url().into(),
                reason,
                notes: vec![format!(
                    "job {0} may still run; look again with: retail-submit watch {0} (exit 69)",
                    job_id.short()
                )],
            });
        };
        if !lost {
            lost = true;
            say(
                screen,
                format!(
                    "lost the scheduler at {} ({reason}); trying again",
                    client.url()
                ),
            )?;
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = interrupt.pressed() => return Ok(Watched::Left),
        }
    }
}

enum Read {
    Ended(Outcome),
    Left,
    Broke(Status),
}

async fn read(
    stream: &mut Streaming<v1::JobEvent>,
    seen: &mut u64,
    view: &mut View,
    screen: &Screen<'_>,
    interrupt: &mut Interrupt,
    lost: &mut bool,
) -> Result<Read, SubmitError> {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            message = stream.message() => {
                let wire = match message {
                    Ok(Some(wire)) => wire,
                    Ok(None) => return Ok(Read::Broke(Status::new(Code::Unavailable, "the stream ended before the job"))),
                    Err(status) => return Ok(Read::Broke(status)),
                };
                if std::mem::take(lost) {
                    say(screen, "connected again".into())?;
                }
                // Progress is not history: it may carry the number of the event before it.
                *seen = wire.seq.max(*seen);
                let Some(event) = codec::event(wire) else { continue };
                screen.event(&event)?;
                let now = now_us();
                let lines = view.on(&event, now);
                screen.print(&lines)?;
                if let Some(outcome) = view.outcome() {
                    return Ok(Read::Ended(outcome.clone()));
                }
            }
            _ = tick.tick(), if screen.moves() => screen.draw(view, now_us()),
            () = interrupt.pressed() => return Ok(Read::Left),
        }
    }
}

fn say(screen: &Screen<'_>, text: String) -> Result<(), SubmitError> {
    screen.print(&[Line {
        level: Level::Fact,
        text,
    }])
}

/// The error of a job that ended badly; failures before the last are handed to `report` first.
pub(crate) fn settle(
    job_id: &JobId,
    outcome: Outcome,
    project_dir: Option<String>,
    report: impl Fn(&Failure),
) -> Result<Outcome, SubmitError> {
    if outcome.state == JobState::Succeeded {
        return Ok(outcome);
    }
    let (last, earlier) = match outcome.failures.split_last() {
        Some((last, earlier)) => (last.clone(), earlier),
        None => (
            Failure::new(
                FailureKind::Internal,
                format!("job {} did not succeed", job_id.short()),
            ),
            &[][..],
        ),
    };
    earlier.iter().for_each(report);
    let state = match outcome.state {
        JobState::Queued | JobState::Running => JobState::Failed,
        state => state,
    };
    Err(SubmitError::Job {
        job_id: job_id.clone(),
        state,
        failure: Box::new(last),
        project_dir,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coming_back_is_tried_often_at_first_and_not_for_ever() {
        let mut backoff = Backoff::new();
        let waits: Vec<Duration> = std::iter::from_fn(|| backoff.step()).collect();
        assert_eq!(waits[..3], [200, 400, 800].map(Duration::from_millis));
        assert!(waits.iter().all(|wait| *wait <= Backoff::LONGEST));
        let total: Duration = waits.iter().sum();
        assert!(
            total >= Backoff::IN_TOTAL && total < Backoff::IN_TOTAL + Backoff::LONGEST,
            "{total:?}"
        );
    }
}
