//! The command line: every command, flag and example.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::format::parse_duration;

/// Runs retail jobs on a cluster, or inside this process, and looks at the tables they publish.
#[derive(Debug, Parser)]
#[command(
    name = "retail-submit",
    version,
    about,
    propagate_version = true,
    disable_help_subcommand = true,
    max_term_width = 100,
    after_help = "Examples:\n  retail-submit demo\n  retail-submit run --local --project jobs/retail --vars input=./data"
)]
pub(crate) struct Cli {
    #[command(flatten, next_help_heading = "Options of every command")]
    pub global: Global,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Flags of every command.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Where the scheduler listens
    #[arg(long, global = true, env = "RETAIL_SCHEDULER", default_value = DEFAULT_SCHEDULER, value_name = "URL", hide_env_values = true)]
    pub scheduler: String,
    /// Print JSON: one object per line
    #[arg(long, global = true)]
    pub json: bool,
    /// Print without colour (as NO_COLOR=1 does)
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Show causes and detail; twice for the log of this process
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Show results and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
}

/// Where a scheduler listens by default.
pub(crate) const DEFAULT_SCHEDULER: &str = "http://localhost:50050";
/// The folder of an in-process cluster: catalog, warehouse and the demo's input.
pub(crate) const DEFAULT_DIR: &str = "./retail-data";

/// Flags of commands that can bring their own cluster.
#[derive(Debug, Clone, Args)]
pub(crate) struct LocalArgs {
    /// Run scheduler and executors inside this process
    #[arg(long)]
    pub local: bool,
    /// Folder of catalog and tables for --local
    #[arg(long, requires = "local", default_value = DEFAULT_DIR, value_name = "DIR")]
    pub dir: PathBuf,
    /// Executors for --local
    #[arg(long, requires = "local", default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub executors: u16,
}

/// A project and the part of it that is meant.
#[derive(Debug, Clone, Args)]
pub(crate) struct ProjectArgs {
    /// Folder with dbt_project.yml
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub project: PathBuf,
    /// Variables of the project: name=value, or a JSON object; paths become absolute
    #[arg(long, num_args = 1.., value_name = "JSON|K=V")]
    pub vars: Vec<String>,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Command {
    /// Generate two days of retail data, run the retail project on both, and check every number
    #[command(
        after_help = "Examples:\n  retail-submit demo\n  retail-submit demo --dir /tmp/shop --orders 1000000 --executors 4"
    )]
    Demo(DemoArgs),
    /// Write the daily files of a marketplace, and the truth about them
    #[command(
        after_help = "Examples:\n  retail-submit generate --orders 100000 --days 2 --out ./retail-data/input\n  retail-submit generate --orders 1000 --out /tmp/small --format csv --seed 7"
    )]
    Generate(GenerateArgs),
    /// Run a project's models and watch
    #[command(
        after_help = "Examples:\n  retail-submit run --project jobs/retail --vars input=./retail-data/input\n  retail-submit run --local --vars input=/data --select +fact_order_items"
    )]
    Run(RunArgs),
    /// Hold the declared tests of models against what is published; writes nothing
    #[command(
        after_help = "Examples:\n  retail-submit test --project jobs/retail --vars input=./retail-data/input\n  retail-submit test --local --vars input=/data --select fact_order_items"
    )]
    Test(RunArgs),
    /// Write the SQL that a project's templates come to; needs no cluster
    #[command(
        after_help = "Examples:\n  retail-submit compile --project jobs/retail --vars input=/data --out ./sql\n  retail-submit compile --vars input=/data --select tag:staging"
    )]
    Compile(CompileArgs),
    /// Watch a job, from its beginning, until it ends
    #[command(
        after_help = "Examples:\n  retail-submit watch 7f3a\n  retail-submit watch 7f3a --json | jq -c .kind"
    )]
    Watch {
        /// The job's id, as `jobs` lists it
        job: String,
    },
    /// List the newest jobs
    #[command(
        after_help = "Examples:\n  retail-submit jobs\n  retail-submit jobs --limit 100 --json"
    )]
    Jobs {
        #[command(flatten)]
        local: LocalArgs,
        /// How many
        #[arg(long, default_value_t = 20, value_name = "N")]
        limit: u32,
    },
    /// Show one job with its models, and why it failed
    #[command(after_help = "Examples:\n  retail-submit job 7f3a\n  retail-submit job 7f3a -v")]
    Job {
        /// The job's id, as `jobs` lists it
        job: String,
        #[command(flatten)]
        local: LocalArgs,
    },
    /// Stop a job; nothing of it is published
    #[command(
        after_help = "Examples:\n  retail-submit cancel 7f3a\n  retail-submit cancel 7f3a --json"
    )]
    Cancel {
        /// The job's id, as `jobs` lists it
        job: String,
    },
    /// List the executors and what is running
    #[command(
        after_help = "Examples:\n  retail-submit executors\n  retail-submit executors --scheduler http://cluster:50050"
    )]
    Executors,
    /// List the published tables
    #[command(
        after_help = "Examples:\n  retail-submit tables\n  retail-submit tables marts --local --dir ./retail-data"
    )]
    Tables {
        /// Only of this namespace
        #[arg(default_value = "", hide_default_value = true)]
        namespace: String,
        #[command(flatten)]
        local: LocalArgs,
    },
    /// List a table's states, the newest last
    #[command(
        after_help = "Examples:\n  retail-submit snapshots marts.fact_order_items\n  retail-submit snapshots marts.dim_customer --local --json"
    )]
    Snapshots {
        /// namespace.table
        table: String,
        #[command(flatten)]
        local: LocalArgs,
    },
    /// Say what models read, do and write, without running them (-v: SQL and plans)
    #[command(
        after_help = "Examples:\n  retail-submit explain fact_order_items --vars input=/data\n  retail-submit explain +dim_seller --vars input=/data -v"
    )]
    Explain {
        /// Models, as --select takes them
        #[arg(required = true)]
        model: Vec<String>,
        #[command(flatten)]
        project: ProjectArgs,
        #[command(flatten)]
        local: LocalArgs,
    },
    /// Query the published tables
    #[command(
        after_help = "Examples:\n  retail-submit sql \"select count(*) from marts.fact_order_items\"\n  retail-submit sql -f report.sql --format csv > report.csv"
    )]
    Sql(SqlArgs),
    /// Compare the published tables with the truth that `generate` wrote
    #[command(
        after_help = "Examples:\n  retail-submit verify --truth ./retail-data/input/truth.json\n  retail-submit verify --local --truth ./retail-data/input/truth.json"
    )]
    Verify(VerifyArgs),
    /// Print a shell's completions
    #[command(
        after_help = "Examples:\n  retail-submit completions bash > ~/.retail-submit.bash\n  retail-submit completions zsh > ~/.zfunc/_retail-submit"
    )]
    Completions { shell: clap_complete::Shell },
    /// Print the versions of this client and of the scheduler
    #[command(after_help = "Examples:\n  retail-submit version\n  retail-submit version --json")]
    Version,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct DemoArgs {
    /// Folder for input, tables and catalog
    #[arg(long, default_value = DEFAULT_DIR, value_name = "DIR")]
    pub dir: PathBuf,
    /// Orders in all days together [default: 100000, or what is there]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub orders: Option<u64>,
    /// The same seed makes the same data [default: 42, or what is there]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Executors inside this process
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub executors: u16,
}

/// A file format of the daily files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FileFormat {
    Parquet,
    Csv,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct GenerateArgs {
    /// Orders in all days together
    #[arg(long, default_value_t = 100_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub orders: u64,
    /// Days to write
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=366))]
    pub days: u32,
    /// Folder to write to
    #[arg(long, default_value = "./retail-data/input", value_name = "DIR")]
    pub out: PathBuf,
    #[arg(long, value_enum, default_value = "parquet")]
    pub format: FileFormat,
    /// The same seed makes the same data
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub project: ProjectArgs,
    /// Models: name, name+, +name, tag:x, path:dir; all without it
    #[arg(long, num_args = 1.., value_name = "SELECTOR")]
    pub select: Vec<String>,
    /// Models to leave out
    #[arg(long, num_args = 1.., value_name = "SELECTOR")]
    pub exclude: Vec<String>,
    /// Publish although source files are gone that the published tables were made of: their rows go
    #[arg(long)]
    pub allow_removed_files: bool,
    /// Stop instead of rebuilding tables that other engines changed since they were published; else a warning names
    /// what they wrote, and it goes
    #[arg(long)]
    pub keep_foreign_rows: bool,
    #[command(flatten)]
    pub local: LocalArgs,
    /// Fail when no executor comes within this time (60s, 5m); without it the job waits
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    pub timeout: Option<u64>,
    /// Print the job's id and leave
    #[arg(long, conflicts_with = "local")]
    pub detach: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct CompileArgs {
    #[command(flatten)]
    pub project: ProjectArgs,
    /// Models to write: name, name+, +name, tag:x, path:dir; all without it
    #[arg(long, num_args = 1.., value_name = "SELECTOR")]
    pub select: Vec<String>,
    /// Folder to write to
    #[arg(long, default_value = "./compiled", value_name = "DIR")]
    pub out: PathBuf,
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RowFormat {
    /// Aligned columns, one page
    Table,
    /// With a heading
    Csv,
    /// One object per line
    Json,
    /// An Arrow IPC stream
    Arrow,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct SqlArgs {
    /// The statement; - reads it from stdin
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    pub sql: Option<String>,
    /// Read the statement from a file
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// How rows are written [default: table, with --json: json]
    #[arg(long, value_enum)]
    pub format: Option<RowFormat>,
    /// Stop after so many rows; 0 for all [default: all, as a table one page]
    #[arg(long, value_name = "N")]
    pub max_rows: Option<u64>,
    /// Fail when no executor comes within this time; 0 waits
    #[arg(long, value_parser = parse_duration, value_name = "TIME", default_value = "60s")]
    pub timeout: u64,
    #[command(flatten)]
    pub local: LocalArgs,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct VerifyArgs {
    /// The truth that `generate` wrote
    #[arg(long, value_name = "FILE")]
    pub truth: PathBuf,
    #[command(flatten)]
    pub local: LocalArgs,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_help_ends_with_two_examples_that_parse() {
        let mut commands = vec![Cli::command()];
        commands.extend(Cli::command().get_subcommands().cloned());
        for mut command in commands {
            let help = command.render_long_help().to_string();
            let (_, examples) = help
                .rsplit_once("Examples:\n")
                .unwrap_or_else(|| panic!("{}", command.get_name()));
            let examples: Vec<&str> = examples.trim_end().lines().map(str::trim).collect();
            assert_eq!(examples.len(), 2, "{help}");
            for example in examples {
                assert!(example.len() <= 78, "it would be wrapped: {example}");
                let words = example
                    .split(['>', '|'])
                    .next()
                    .unwrap_or_default()
                    .replace("\"select count(*) from marts.fact_order_items\"", "x");
                parse(&words).unwrap_or_else(|error| panic!("{example}: {error}"));
            }
        }
    }

    #[test]
    fn a_mistyped_command_is_refused_with_the_nearest() {
        let error = parse("retail-submit exeutors").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("'executors'"), "{error}");
    }

    #[test]
    fn several_vars_and_selectors_may_follow_one_flag() {
        let cli = parse("retail-submit run --select a+ tag:x --vars day=2 input=./in --timeout 2m")
            .unwrap();
        let Some(Command::Run(run)) = cli.command else {
            panic!()
        };
        assert_eq!(
            (run.select.len(), run.project.vars.len(), run.timeout),
            (2, 2, Some(120_000))
        );
    }

    #[test]
    fn a_folder_without_local_is_a_mistake() {
        assert_eq!(
            parse("retail-submit tables --dir x")
                .unwrap_err()
                .exit_code(),
            2
        );
        assert!(parse("retail-submit tables --local --dir x").is_ok());
        assert!(parse("retail-submit sql").is_err());
    }
}
