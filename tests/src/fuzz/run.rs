//! Runs many cases and reports the outcomes.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::StreamExt;
use serde_json::{Value, json};

use super::check::{Engines, Verdict, check};
use super::choices::Choices;
use super::features::Features;
use super::generate::{self, Case};
use super::shrink::{Small, shrink};
use super::systems::{Answer, DuckDb, Lake, Shape, System, python, shapes};
use super::text::{Dialect, Rows, render};

/// Cases that run at once.
const AT_ONCE: usize = 3;

/// What to run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The first seed; those after it follow.
    pub first: u64,
    /// None: until the time is over.
    pub cases: Option<u64>,
    pub time: Option<Duration>,
    pub features: Features,
    /// Names of shapes; empty: all.
    pub shapes: Vec<String>,
    /// Ask every shape each case, not one after the other in turn.
    pub everywhere: bool,
    pub duckdb: bool,
    /// How long one finding may be shrunk.
    pub shrink: Duration,
    /// Findings after which it stops.
    pub most_findings: usize,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            first: 1,
            cases: Some(500),
            time: None,
            features: Features::default(),
            shapes: vec![],
            everywhere: false,
            duckdb: true,
            shrink: Duration::from_secs(40),
            most_findings: 20,
        }
    }
}

/// What came of a run.
#[derive(Debug, Default)]
pub struct Summary {
    pub cases: u64,
    /// Statements that ran: a case may have several forms that mean the same.
    pub statements: usize,
    /// Cases that were refused everywhere, by the words of the refusal.
    pub refused: BTreeMap<String, Vec<u64>>,
    /// Cases that gave at least one row.
    pub with_rows: u64,
    pub findings: Vec<Found>,
    pub elapsed: Duration,
    /// Whether DuckDB answered, too.
    pub duckdb: bool,
}

/// A finding and how to see it again.
#[derive(Debug)]
pub struct Found {
    pub seed: u64,
    pub small: Small,
}

/// The systems that a plan asks.
pub struct Fleet {
    lake: Lake,
    reference: System,
    clusters: Vec<System>,
    duckdb: Option<DuckDb>,
}

impl Fleet {
    /// Publishes the tables and starts what the plan asks.
    ///
    /// # Errors
    /// A system cannot be started, or a shape is unknown.
    pub async fn start(plan: &Plan) -> Result<Self> {
        let lake = Lake::publish().await?;
        let mut all = shapes();
        let reference = all.remove(0);
        if !plan.shapes.is_empty() {
            let known: Vec<&str> = all.iter().map(|s| s.name).collect();
            for name in &plan.shapes {
                anyhow::ensure!(
                    known.contains(&name.as_str()),
                    "no shape is called {name}; there are {}",
                    known.join(", ")
                );
            }
            all.retain(|shape: &Shape| plan.shapes.iter().any(|name| name == shape.name));
        }
        let reference = lake.start(&reference).await?;
        let mut clusters = vec![];
        for shape in &all {
            clusters.push(lake.start(shape).await?);
        }
        let duckdb = match python().filter(|_| plan.duckdb) {
            Some(python) => Some(DuckDb::start(&python, &lake).await?),
            None => None,
        };
        Ok(Self {
            lake,
            reference,
            clusters,
            duckdb,
        })
    }

    /// Ends all of them.
    pub async fn stop(self) {
        self.reference.stop().await;
        for cluster in self.clusters {
            cluster.stop().await;
        }
        drop(self.lake);
    }

    /// The engines that a seed's case runs on.
    fn engines(&self, seed: u64, everywhere: bool) -> Engines<'_> {
        let clusters = if everywhere {
            self.clusters.iter().collect()
        } else {
            let at = seed as usize % self.clusters.len().max(1);
            self.clusters.get(at).into_iter().collect()
        };
        Engines {
            reference: &self.reference,
            clusters,
            duckdb: self.duckdb.as_ref(),
        }
    }

    /// What every engine answers to a statement, for a person to see.
    ///
    /// # Errors
    /// An engine cannot be queried at all.
    pub async fn answers(&self, sql: &str) -> Result<Vec<(String, Answer)>> {
        let mut answers = vec![(
            self.reference.name.to_owned(),
            self.reference.ask(sql).await?,
        )];
        for cluster in &self.clusters {
            answers.push((cluster.name.to_owned(), cluster.ask(sql).await?));
        }
        if let Some(duckdb) = &self.duckdb {
            answers.push(("duckdb".to_owned(), duckdb.ask(sql).await?));
        }
        Ok(answers)
    }
}

/// Runs a plan. `report` gets a line now and then.
///
/// # Errors
/// An engine cannot be queried at all.
pub async fn run(fleet: &Fleet, plan: &Plan, report: impl Fn(&str)) -> Result<Summary> {
    let started = Instant::now();
    let mut summary = Summary {
        duckdb: fleet.duckdb.is_some(),
        ..Summary::default()
    };
    let last = plan
        .cases
        .map_or(u64::MAX, |cases| plan.first.saturating_add(cases));
    let ends = plan.time.map(|time| started + time);
    let seeds = (plan.first..last).take_while(|_| ends.is_none_or(|ends| Instant::now() < ends));
    let mut verdicts = futures::stream::iter(seeds)
        .map(|seed| async move {
            let mut choices = Choices::seeded(seed);
            let case = generate::case(&mut choices, &plan.features);
            let engines = fleet.engines(seed, plan.everywhere);
            let verdict = check(&case, &Rows::new(), &engines).await;
            let verdict = verdict.with_context(|| format!("seed {seed}: {}", shown(&case)))?;
            anyhow::Ok((seed, case.forms.len(), choices.made(), verdict))
        })
        .buffered(AT_ONCE);
    let mut reported = Instant::now();
    while let Some(verdict) = verdicts.next().await {
        let (seed, statements, made, verdict) = verdict?;
        summary.cases += 1;
        summary.statements += statements;
        match verdict {
            Verdict::Same { rows } => summary.with_rows += u64::from(rows > 0),
            Verdict::Refused(why) => summary.refused.entry(why).or_default().push(seed),
            Verdict::Finding(finding) => {
                let engines = fleet.engines(seed, plan.everywhere);
                let small = shrink(made, finding, &plan.features, &engines, plan.shrink).await?;
                let found = Found { seed, small };
                report(&found.text());
                summary.findings.push(found);
                if summary.findings.len() >= plan.most_findings {
                    report(&format!(
                        "stopped after {} findings",
                        summary.findings.len()
                    ));
                    break;
                }
            }
        }
        if reported.elapsed() > Duration::from_secs(10) {
            reported = Instant::now();
            summary.elapsed = started.elapsed();
            report(&summary.line());
        }
    }
    summary.elapsed = started.elapsed();
    Ok(summary)
}

/// The statements of a seed's case, for us.
pub fn shown(case: &Case) -> String {
    let forms: Vec<String> = case
        .forms
        .iter()
        .map(|form| {
            format!(
                "-- {}: {}\n{}",
                case.kind,
                form.what,
                render(&form.sql, Dialect::Ours, &Rows::new())
            )
        })
        .collect();
    forms.join(";\n")
}

impl Found {
    /// What a person needs to look into it.
    pub fn text(&self) -> String {
        let Small {
            case,
            finding,
            tries,
            ..
        } = &self.small;
        let mut text = format!(
            "FINDING seed {} ({}, {:?}):",
            self.seed, case.kind, finding.sort
        );
        let [one, two] = &finding.statements;
        let _ = write!(text, "\n  {} ran {one}", finding.between[0]);
        if one != two {
            let _ = write!(text, "\n  {} ran {two}", finding.between[1]);
        }
        let _ = write!(
            text,
            "\n  {} against {}: {}\n  again: tests/fuzz_sql --seed {}   (shrunk in {tries} tries)",
            finding.between[0], finding.between[1], finding.difference, self.seed
        );
        text
    }

    fn json(&self) -> Value {
        let finding = &self.small.finding;
        json!({
            "seed": self.seed, "case": self.small.case.kind, "sort": format!("{:?}", finding.sort),
            "between": finding.between, "statements": finding.statements, "difference": finding.difference,
        })
    }
}

impl Summary {
    /// In one line.
    pub fn line(&self) -> String {
        let refused: usize = self.refused.values().map(Vec::len).sum();
        format!(
            "{} cases, {} statements in {:.0} s: {} gave rows, {refused} refused, {} findings{}",
            self.cases,
            self.statements,
            self.elapsed.as_secs_f64(),
            self.with_rows,
            self.findings.len(),
            if self.duckdb { "" } else { " (without DuckDB)" },
        )
    }

    /// The refusals, most frequent first, with a seed each.
    pub fn refusals(&self) -> Vec<String> {
        let mut refused: Vec<_> = self.refused.iter().collect();
        refused.sort_by_key(|(_, seeds)| std::cmp::Reverse(seeds.len()));
        let line = |(why, seeds): (&String, &Vec<u64>)| {
            format!(
                "refused {} times, seed {}: {why}",
                seeds.len(),
                seeds.first().copied().unwrap_or_default()
            )
        };
        refused.into_iter().map(line).collect()
    }

    /// For a program.
    pub fn json(&self) -> Value {
        json!({
            "cases": self.cases, "statements": self.statements, "seconds": self.elapsed.as_secs_f64(), "with_rows": self.with_rows, "duckdb": self.duckdb,
            "refused": self.refused, "findings": self.findings.iter().map(Found::json).collect::<Vec<_>>(),
        })
    }
}
