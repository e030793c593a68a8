//! Makes a failing case small: decisions are taken away or made simpler as long as it fails alike, then rows.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::check::{Engines, Finding, Verdict, check};
use super::choices::Choices;
use super::features::Features;
use super::generate::{self, Case};
use super::tables::TABLES;
use super::text;

/// A case with what is wrong with it.
#[derive(Debug, Clone)]
pub struct Small {
    pub case: Case,
    pub rows: text::Rows,
    pub finding: Finding,
    /// How many candidates ran on the way.
    pub tries: u32,
}

/// Shrinks the case of these decisions for at most `time`.
///
/// # Errors
/// An engine cannot be queried at all.
pub async fn shrink(
    made: Vec<u32>,
    finding: Finding,
    features: &Features,
    engines: &Engines<'_>,
    time: Duration,
) -> Result<Small> {
    let ends = Instant::now() + time;
    // Only those who disagree run again, unless two forms of the case do.
    let [_, who] = &finding.between;
    let only = Engines {
        reference: engines.reference,
        clusters: engines
            .clusters
            .iter()
            .copied()
            .filter(|c| c.name == who)
            .collect(),
        duckdb: engines.duckdb.filter(|_| who == "duckdb"),
    };
    let engines = &only;
    let mut search = Search {
        small: Small {
            case: generate::case(&mut Choices::given(made.clone()), features),
            rows: text::Rows::new(),
            finding,
            tries: 0,
        },
        made,
        features,
        engines,
        ends,
    };
    search.decisions().await?;
    search.rows().await?;
    Ok(search.small)
}

struct Search<'a> {
    small: Small,
    made: Vec<u32>,
    features: &'a Features,
    engines: &'a Engines<'a>,
    ends: Instant,
}

impl Search<'_> {
    async fn decisions(&mut self) -> Result<()> {
        loop {
            let before = self.made.clone();
            for size in [32, 16, 8, 4, 2, 1] {
                let mut at = 0;
                while at < self.made.len() {
                    let mut fewer = self.made.clone();
                    fewer.drain(at..(at + size).min(fewer.len()));
                    if !self.try_decisions(fewer).await? {
                        let mut zeros = self.made.clone();
                        let end = (at + size).min(zeros.len());
                        let zero = zeros[at..end].iter().all(|d| *d == 0);
                        zeros[at..end].fill(0);
                        if zero || !self.try_decisions(zeros).await? {
                            at += size;
                        }
                    }
                    if Instant::now() > self.ends {
                        return Ok(());
                    }
                }
            }
            if self.made == before {
                return Ok(());
            }
        }
    }

    async fn try_decisions(&mut self, made: Vec<u32>) -> Result<bool> {
        let mut choices = Choices::given(made);
        let case = generate::case(&mut choices, self.features);
        // The decisions that were taken: more than were given, or fewer.
        let mut made = choices.made();
        while made.last() == Some(&0) {
            made.pop();
        }
        let simpler = (weight(&case), made.len()) < (weight(&self.small.case), self.made.len());
        if made == self.made || !simpler {
            return Ok(false);
        }
        let fails = self.attempt(case, self.small.rows.clone()).await?;
        if fails {
            self.made = made;
        }
        Ok(fails)
    }

    /// Halves the rows of each table as long as it fails.
    async fn rows(&mut self) -> Result<()> {
        let named: Vec<_> = self
            .small
            .case
            .forms
            .iter()
            .flat_map(|form| text::tables(&form.sql))
            .collect();
        for table in TABLES
            .iter()
            .filter(|t| named.contains(&t.name) && !t.key.is_empty())
        {
            let (mut from, mut to) = (1, table.rows.max(1));
            while from < to && Instant::now() < self.ends {
                let middle = (from + to) / 2;
                let quarter = (to - from) / 4;
                let halves = [
                    (from, middle),
                    (middle + 1, to),
                    (from + quarter, to),
                    (from, to - quarter),
                ];
                let mut found = None;
                for half in halves.into_iter().filter(|half| *half != (from, to)) {
                    let mut rows = self.small.rows.clone();
                    rows.insert(table.name, half);
                    if self.attempt(self.small.case.clone(), rows).await? {
                        found = Some(half);
                        break;
                    }
                }
                match found {
                    Some(half) => (from, to) = half,
                    None => break,
                }
            }
        }
        Ok(())
    }

    async fn attempt(&mut self, case: Case, rows: text::Rows) -> Result<bool> {
        self.small.tries += 1;
        match check(&case, &rows, self.engines).await? {
            Verdict::Finding(finding) if alike(&finding, &self.small.finding) => {
                self.small = Small {
                    case,
                    rows,
                    finding,
                    tries: self.small.tries,
                };
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

/// Whether two findings are likely to have the same cause.
fn alike(one: &Finding, other: &Finding) -> bool {
    let words = |finding: &Finding| -> String {
        let text = finding
            .difference
            .rsplit_once(": ")
            .map_or("", |(_, last)| last);
        text.chars()
            .filter(|c| c.is_alphabetic())
            .take(24)
            .collect()
    };
    use super::check::Sort;
    one.sort == other.sort
        && one.between[1] == other.between[1]
        && (!matches!(one.sort, Sort::OneFails | Sort::WeFail) || words(one) == words(other))
}

fn weight(case: &Case) -> usize {
    case.forms.iter().map(|form| form.sql.len()).sum()
}
