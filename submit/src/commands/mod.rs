//! The commands: each reads its arguments, calls the cluster, prints. What is printed is decided in `render`.

pub(crate) mod compile;
pub(crate) mod demo;
pub(crate) mod generate;
pub(crate) mod inspect;
pub(crate) mod run;
pub(crate) mod sql;
pub(crate) mod verify;

use clap::CommandFactory;
use serde_json::json;

use crate::cli::{Cli, Command};
use crate::error::SubmitError;
use crate::format;
use crate::session::{App, Session};

/// Runs the command of the command line.
pub(crate) async fn dispatch(app: &App, command: Option<Command>) -> Result<(), SubmitError> {
    match command {
        None => welcome(app),
        Some(Command::Demo(args)) => demo::demo(app, &args).await,
        Some(Command::Generate(args)) => generate::generate(app, &args),
        Some(Command::Run(args)) => run::run(app, &args, false).await,
        Some(Command::Test(args)) => run::run(app, &args, true).await,
        Some(Command::Compile(args)) => compile::compile(app, &args),
        Some(Command::Watch { job }) => run::watch(app, &job).await,
        Some(Command::Jobs { local, limit }) => inspect::jobs(app, &local, limit).await,
        Some(Command::Job { job, local }) => inspect::job(app, &local, &job).await,
        Some(Command::Cancel { job }) => inspect::cancel(app, &job).await,
        Some(Command::Executors) => inspect::executors(app).await,
        Some(Command::Tables { namespace, local }) => {
            inspect::tables(app, &local, &namespace).await
        }
        Some(Command::Snapshots { table, local }) => inspect::snapshots(app, &local, &table).await,
        Some(Command::Explain {
            model,
            project,
            local,
        }) => inspect::explain(app, &local, &project, &model).await,
        Some(Command::Sql(args)) => sql::sql(app, &args).await,
        Some(Command::Verify(args)) => verify::verify(app, &args).await,
        Some(Command::Completions { shell }) => completions(shell),
        Some(Command::Version) => version(app).await,
    }
}

/// What to try first.
fn welcome(app: &App) -> Result<(), SubmitError> {
    let paint = app.console.out;
    let line = |command: &str, what: &str| {
        format!(
            "  {}  {}",
            paint.bold(&format!("{command:<44}")),
            paint.dim(what)
        )
    };
    app.console.print_all([
        "retail-submit runs retail jobs and looks at the tables they publish.".to_string(),
        String::new(),
        "Try first, with nothing installed and nothing running:".into(),
        line(
            "retail-submit demo",
            "data, a run, and every number checked",
        ),
        String::new(),
        "With a project of SQL models:".into(),
        line(
            "retail-submit run --local --project DIR",
            "run it inside this process",
        ),
        line("retail-submit run --project DIR", "run it on a cluster"),
        line("retail-submit sql \"select 1\"", "query what was published"),
        String::new(),
        "All commands: retail-submit --help".into(),
    ])
}

fn completions(shell: clap_complete::Shell) -> Result<(), SubmitError> {
    let mut script = vec![];
    clap_complete::generate(shell, &mut Cli::command(), "retail-submit", &mut script);
    std::io::Write::write_all(&mut std::io::stdout().lock(), &script).map_err(SubmitError::stdout)
}

/// This client's version, and the scheduler's if one answers.
async fn version(app: &App) -> Result<(), SubmitError> {
    let own = env!("CARGO_PKG_VERSION");
    let scheduler = match Session::remote(app).await {
        Ok(session) => session
            .client
            .status()
            .await
            .map(|status| (status.version, status.started_at_us)),
        Err(error) => Err(error),
    };
    if app.console.json {
        let version = scheduler.as_ref().ok().map(|(version, _)| version);
        return app
            .console
            .print_json(&json!({"retail-submit": own, "scheduler": version}));
    }
    app.console.print(&format!("retail-submit {own}"))?;
    match scheduler {
        Ok((version, started)) => {
            let up = u64::try_from((retail_api::clock::now_us() - started) / 1000).unwrap_or(0);
            app.console.print(&format!(
                "scheduler     {version} at {}, up {}",
                app.global.scheduler,
                format::duration(up)
            ))
        }
        Err(_) => app
            .console
            .print(&format!("scheduler     none at {}", app.global.scheduler)),
    }
}
