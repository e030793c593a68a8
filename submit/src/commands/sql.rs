//! `sql`: one statement, its rows as they come.

use std::io::{Read, Write};

use retail_proto::v1;

use crate::cli::{RowFormat, SqlArgs};
use crate::error::SubmitError;
use crate::rows::{self, Page};
use crate::session::{App, Session};
use crate::steps::query::{Item, Spinner, fetch};
use crate::term::Console;

/// Rows of a table's page unless `--max-rows` is given.
const PAGE_ROWS: u64 = 100;

/// `retail-submit sql`.
pub(crate) async fn sql(app: &App, args: &SqlArgs) -> Result<(), SubmitError> {
    let statement = statement(args)?;
    let session = Session::open(app, &args.local, true).await?;
    let result = query(app, &session, &statement, args).await;
    session.close().await;
    result.map_err(|error| name_file(error, args))
}

/// The scheduler calls a statement's text `query`; a person knows it by its file.
fn name_file(mut error: SubmitError, args: &SqlArgs) -> SubmitError {
    if let (SubmitError::Refused { failure, .. }, Some(file)) = (&mut error, &args.file)
        && failure.file.as_deref() == Some("query")
    {
        failure.file = Some(file.display().to_string());
    }
    error
}

/// The statement itself, from the command line, a file or stdin.
fn statement(args: &SqlArgs) -> Result<String, SubmitError> {
    let text = match (&args.file, args.sql.as_deref()) {
        (Some(file), _) => {
            std::fs::read_to_string(file).map_err(|error| SubmitError::file("read", file, error))?
        }
        (None, Some("-")) => {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .map_err(|error| SubmitError::file("read", "stdin", error))?;
            text
        }
        (None, text) => text.unwrap_or_default().to_string(),
    };
    // What stands before it stays: errors count lines from there.
    let statement = text.trim_end().trim_end_matches(';').trim_end();
    if statement.trim().is_empty() {
        return Err(SubmitError::config_with(
            "the statement is empty",
            "try: retail-submit sql \"select 1\"",
        ));
    }
    Ok(statement.to_string())
}

async fn query(
    app: &App,
    session: &Session,
    statement: &str,
    args: &SqlArgs,
) -> Result<(), SubmitError> {
    let format = args.format.unwrap_or(if app.console.json {
        RowFormat::Json
    } else {
        RowFormat::Table
    });
    // A table is one page: one row more shows whether there are more, and the server need not compute the rest.
    let page = args.max_rows.unwrap_or(PAGE_ROWS);
    let max_rows = match (format, args.max_rows) {
        (RowFormat::Table, None) => PAGE_ROWS + 1,
        (_, limit) => limit.unwrap_or(0),
    };
    let request = v1::SqlRequest {
        sql: statement.into(),
        max_rows,
        executor_timeout_ms: args.timeout,
    };
    let mut sink = Sink {
        format,
        page: if page == 0 { usize::MAX } else { page as usize },
        first: true,
        table: None,
        more: false,
    };
    let console = &app.console;
    fetch(
        &Spinner::new(console),
        session,
        request,
        &mut app.interrupt.clone(),
        |item| sink.take(item),
    )
    .await?;
    sink.end(console)
}

/// Where rows go.
struct Sink {
    format: RowFormat,
    /// Most rows of a table.
    page: usize,
    first: bool,
    table: Option<Page>,
    more: bool,
}

impl Sink {
    fn take(&mut self, item: Item<'_>) -> Result<(), SubmitError> {
        let mut stdout = std::io::stdout().lock();
        match (self.format, item) {
            (RowFormat::Arrow, Item::Bytes(bytes)) => stdout
                .write_all(bytes)
                .and_then(|()| stdout.flush())
                .map_err(SubmitError::stdout),
            (_, Item::Bytes(_)) | (RowFormat::Arrow, _) => Ok(()),
            (RowFormat::Csv, Item::Batches(decoder, batches)) => {
                if self.first
                    && batches.is_empty()
                    && let Some(schema) = decoder.schema()
                {
                    self.first = false;
                    let none = datafusion::arrow::array::RecordBatch::new_empty(schema);
                    rows::write_csv(&mut stdout, &none, true)?;
                }
                for batch in batches {
                    rows::write_csv(&mut stdout, &batch, std::mem::take(&mut self.first))?;
                }
                Ok(())
            }
            (RowFormat::Json, Item::Batches(_, batches)) => batches
                .iter()
                .try_for_each(|batch| rows::write_json(&mut stdout, batch)),
            (RowFormat::Table, Item::Batches(decoder, batches)) => {
                if self.table.is_none() {
                    self.table = decoder.schema().map(|schema| Page::new(&schema));
                }
                if let Some(table) = &mut self.table {
                    for batch in batches {
                        self.more |= table.add(&batch, self.page)?;
                    }
                }
                Ok(())
            }
        }
    }

    /// Prints the page, if there is one.
    fn end(self, console: &Console) -> Result<(), SubmitError> {
        let Some(page) = self.table else {
            return Ok(());
        };
        let (lines, shown) = page.lines(
            console.out_is_terminal.then_some(console.width),
            console.out,
        );
        console.print_all(lines)?;
        console.print(&console.out.dim(&rows::page_end(
            page.rows.len(),
            self.more,
            shown,
            page.columns.len(),
        )))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn read(words: &[&str]) -> Result<String, SubmitError> {
        let cli = Cli::try_parse_from([&["retail-submit", "sql"], words].concat()).unwrap();
        let Some(Command::Sql(args)) = cli.command else {
            panic!()
        };
        statement(&args)
    }

    #[test]
    fn a_statement_comes_from_the_command_line_or_a_file_without_its_semicolon() {
        assert_eq!(read(&["select 1 ;\n"]).unwrap(), "select 1");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "select 2;").unwrap();
        assert_eq!(
            read(&["-f", file.path().to_str().unwrap()]).unwrap(),
            "select 2"
        );
        assert_eq!(
            read(&[" ;"]).unwrap_err().exit_code(),
            crate::exit::ExitCode::Config
        );
        assert!(
            read(&["-f", "/nonexistent.sql"])
                .unwrap_err()
                .to_string()
                .starts_with("cannot read /nonexistent.sql")
        );
    }
}
