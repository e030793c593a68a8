//! Looks for queries that give other rows on a cluster than in one process, or than in DuckDB. See `--help`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use retail_tests::fuzz::claims::run_claims;
use retail_tests::fuzz::features::{Feature, Features, LEFT_OUT};
use retail_tests::fuzz::run::{Fleet, Plan, run, shown};
use retail_tests::fuzz::systems::{Answer, shapes};
use retail_tests::fuzz::{choices::Choices, generate, rows};

const HELP: &str = "\
Makes SQL from seeds, asks it in one process, on clusters of several shapes and in DuckDB, and compares the rows.

  tests/fuzz_sql                        500 seeds, from 1 on
  tests/fuzz_sql --for 30m              as many as it can in half an hour, from a seed that the clock gives
  tests/fuzz_sql --seed 42              one seed, on every shape, with its statements; shrunk if they disagree
  tests/fuzz_sql --sql 'select 1'       what every engine answers to a statement over the tables shop.sales and so on; may be repeated
  tests/fuzz_sql --queries 2000 --from 1000 --json

  tests/fuzz_sql --claims --for 10m     without clusters: whether what plans claim of their rows is true of them

  --queries N, --from SEED   how many seeds, and the first
  --for TIME                 90s, 30m or 2h
  --shapes A,B               only these clusters; --list names them
  --everywhere               every seed on every shape, not on each in turn
  --with A,B --without A,B   constructs of SQL, or all; --list names them
  --no-duckdb                without DuckDB (also when RETAIL_TEST_PYTHON names no Python that has it)
  --shrink TIME              per finding, 40s when left out
  --most N                   stop after so many findings, 20 when left out
  --json                     the summary as JSON on standard output; progress is on standard error
  --list                     shapes and constructs

Exit codes: 0 all agree, 1 something was found, 64 the command line is wrong, 70 an engine could not be queried.
";

enum Wish {
    Run,
    Seed(u64),
    Sql(Vec<String>),
    Claims,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|a| a == "--help" || a == "-h") {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    if arguments.iter().any(|a| a == "--list") {
        print!("{}", list());
        return ExitCode::SUCCESS;
    }
    let (plan, wish, json) = match read(&arguments) {
        Ok(read) => read,
        Err(error) => {
            eprintln!("fuzz_sql: {error} (see --help)");
            return ExitCode::from(64);
        }
    };
    match work(&plan, wish, json).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("fuzz_sql: {error:#}");
            ExitCode::from(70)
        }
    }
}

/// Whether everything agreed.
async fn work(plan: &Plan, wish: Wish, json: bool) -> Result<bool> {
    if matches!(wish, Wish::Claims) {
        let summary = run_claims(plan, |line| eprintln!("{line}")).await?;
        println!("{}", summary.line());
        return Ok(summary.found.is_empty());
    }
    let fleet = Fleet::start(plan).await?;
    let outcome = match wish {
        Wish::Sql(statements) => {
            for sql in statements {
                println!("{sql}");
                for (who, answer) in fleet.answers(&sql).await? {
                    println!("  {who}: {}", answered(&answer));
                }
            }
            Ok(true)
        }
        Wish::Run | Wish::Seed(_) | Wish::Claims => {
            if let Wish::Seed(seed) = wish {
                let case = generate::case(&mut Choices::seeded(seed), &plan.features);
                eprintln!("{}", shown(&case));
            }
            let summary = run(&fleet, plan, |line| eprintln!("{line}")).await?;
            for line in summary.refusals() {
                eprintln!("{line}");
            }
            if json {
                println!("{}", summary.json());
            } else {
                println!("{}", summary.line());
            }
            Ok(summary.findings.is_empty())
        }
    };
    fleet.stop().await;
    outcome
}

fn read(arguments: &[String]) -> Result<(Plan, Wish, bool)> {
    let mut plan = Plan::default();
    let (mut wish, mut json, mut from, mut queries) = (Wish::Run, false, None, None);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut value = || {
            rest.next()
                .with_context(|| format!("{argument} needs a value"))
        };
        match argument.as_str() {
            "--seed" => wish = Wish::Seed(number(value()?)?),
            "--sql" => {
                let mut statements = match wish {
                    Wish::Sql(statements) => statements,
                    _ => vec![],
                };
                statements.push(value()?.clone());
                wish = Wish::Sql(statements);
            }
            "--queries" => queries = Some(number(value()?)?),
            "--from" => from = Some(number(value()?)?),
            "--for" => plan.time = Some(time(value()?)?),
            "--shrink" => plan.shrink = time(value()?)?,
            "--most" => plan.most_findings = number(value()?)? as usize,
            "--shapes" => plan.shapes = value()?.split(',').map(str::to_owned).collect(),
            "--with" => each(value()?, |name| plan.features.with(name))?,
            "--without" => each(value()?, |name| plan.features.without(name))?,
            "--claims" => wish = Wish::Claims,
            "--everywhere" => plan.everywhere = true,
            "--no-duckdb" => plan.duckdb = false,
            "--json" => json = true,
            other => bail!("unknown option {other}"),
        }
    }
    if plan.time.is_some() {
        plan.cases = queries;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        plan.first = from.unwrap_or(now.as_secs() * 1000);
        eprintln!("seeds from {} on", plan.first);
    } else {
        plan.cases = queries.or(plan.cases);
        plan.first = from.unwrap_or(plan.first);
    }
    if let Wish::Seed(seed) = wish {
        (plan.first, plan.cases, plan.everywhere) = (seed, Some(1), true);
    }
    Ok((plan, wish, json))
}

fn each(names: &str, mut set: impl FnMut(&str) -> Result<()>) -> Result<()> {
    names.split(',').try_for_each(&mut set)
}

fn number(text: &str) -> Result<u64> {
    text.parse().with_context(|| format!("{text} is no number"))
}

fn time(text: &str) -> Result<Duration> {
    let (digits, unit) = text.split_at(text.trim_end_matches(char::is_alphabetic).len());
    let seconds = match unit {
        "s" | "" => 1,
        "m" => 60,
        "h" => 3600,
        _ => bail!("{text} is no time; write 90s, 30m or 2h"),
    };
    Ok(Duration::from_secs(number(digits)? * seconds))
}

fn answered(answer: &Answer) -> String {
    match answer {
        Answer::Refused(why) => format!("refused: {why}"),
        Answer::Failed(why) => format!("failed: {why}"),
        Answer::Rows(found) => {
            let lines: Vec<String> = found.rows.iter().map(|row| rows::shown(row)).collect();
            format!(
                "{} rows of {}: {}",
                lines.len(),
                found.types.join(", "),
                lines.join(" ")
            )
        }
    }
}

fn list() -> String {
    let default = Features::default();
    let mut text = "shapes:\n".to_owned();
    for shape in shapes() {
        text += &format!(
            "  {} ({} executors, {:?})\n",
            shape.name, shape.executors, shape.engine
        );
    }
    text += "constructs:\n";
    for feature in Feature::ALL {
        let reason = LEFT_OUT
            .iter()
            .find(|(out, _)| out == feature)
            .map_or("", |(_, reason)| reason);
        let out = if default.on(*feature) {
            String::new()
        } else {
            format!("   left out: {reason}")
        };
        text += &format!("  {}{out}\n", feature.name());
    }
    text
}
