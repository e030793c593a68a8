//! One statement and what it answers with, for commands that print rows and commands that compare them.

use std::time::Duration;

use datafusion::arrow::array::RecordBatch;
use indicatif::{ProgressBar, ProgressStyle};
use retail_proto::v1;
use retail_proto::v1::sql_response::Response;

use crate::error::SubmitError;
use crate::format;
use crate::interrupt::Interrupt;
use crate::progress::terminal;
use crate::rows::{Decoder, Page};
use crate::session::{App, Session};
use crate::term::Console;

/// What a query answers with, in order.
pub(crate) enum Item<'a> {
    /// Bytes of the Arrow IPC stream.
    Bytes(&'a [u8]),
    /// The same, decoded: the columns, then the rows.
    Batches(&'a Decoder, Vec<RecordBatch>),
}

/// Runs a statement and hands over what comes. Ctrl-C drops the stream, which cancels the query.
pub(crate) async fn fetch(
    spinner: &Spinner,
    session: &Session,
    request: v1::SqlRequest,
    interrupt: &mut Interrupt,
    mut each: impl FnMut(Item<'_>) -> Result<(), SubmitError>,
) -> Result<(), SubmitError> {
    let interrupted = || SubmitError::Interrupted {
        notes: vec!["query cancelled (exit 130)".into()],
    };
    let mut stream = tokio::select! {
        stream = session.client.sql(request) => stream?,
        () = interrupt.pressed() => return Err(interrupted()),
    };
    let mut decoder = Decoder::default();
    loop {
        let message = tokio::select! {
            message = stream.message() => message.map_err(|status| session.client.refused(&status, None))?,
            () = interrupt.pressed() => return Err(interrupted()),
        };
        match message.map(|message| message.response) {
            None => break,
            Some(Some(Response::ArrowIpc(bytes))) => {
                spinner.clear();
                each(Item::Bytes(&bytes))?;
                let batches = decoder.push(bytes)?;
                each(Item::Batches(&decoder, batches))?;
            }
            Some(Some(Response::Progress(progress))) => {
                let rows = if progress.rows > 0 {
                    format!(" · {}", format::plural(progress.rows, "row"))
                } else {
                    String::new()
                };
                spinner.say(format!(
                    "stage {} of {} · {} of {} tasks{rows}",
                    progress.stage, progress.stages, progress.tasks_done, progress.tasks
                ));
            }
            Some(Some(Response::Waiting(waiting))) => {
                spinner.say(format!("waiting (Ctrl-C cancels): {}", waiting.reason))
            }
            Some(None) => {}
        }
    }
    decoder.finish()
}

/// The first rows of a statement, for commands that show results beside other things.
pub(crate) async fn first_rows(
    app: &App,
    session: &Session,
    statement: &str,
    rows: usize,
) -> Result<Page, SubmitError> {
    let request = v1::SqlRequest {
        sql: statement.into(),
        max_rows: rows as u64,
        executor_timeout_ms: 60_000,
    };
    let mut page: Option<Page> = None;
    fetch(
        &Spinner::HIDDEN,
        session,
        request,
        &mut app.interrupt.clone(),
        |item| {
            if let Item::Batches(decoder, batches) = item {
                if page.is_none() {
                    page = decoder.schema().map(|schema| Page::new(&schema));
                }
                if let Some(page) = &mut page {
                    batches
                        .iter()
                        .try_for_each(|batch| page.add(batch, rows).map(|_| ()))?;
                }
            }
            Ok(())
        },
    )
    .await?;
    Ok(page.unwrap_or_default())
}

/// How far the query is, on terminals only.
pub(crate) struct Spinner(Option<(ProgressBar, usize)>);

impl Spinner {
    /// Shows nothing: for several queries at once, which would write over each other.
    pub(crate) const HIDDEN: Self = Self(None);

    pub(crate) fn new(console: &Console) -> Self {
        Self(console.animates().then(|| {
            let bar = terminal::bar(None);
            bar.set_style(
                ProgressStyle::with_template("{spinner} {msg}")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner()),
            );
            (bar, console.width.saturating_sub(2 + terminal::MARGIN))
        }))
    }

    pub(crate) fn say(&self, text: String) {
        if let Some((bar, width)) = &self.0 {
            bar.enable_steady_tick(Duration::from_millis(100));
            bar.set_message(format::fit(&text, *width));
        }
    }

    fn clear(&self) {
        if let Some((bar, _)) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.clear();
    }
}
