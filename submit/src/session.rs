//! What a command talks to: a scheduler somewhere, or one started inside this process. The client is the same.

use std::time::{Duration, Instant};

use crate::cli::{DEFAULT_SCHEDULER, Global, LocalArgs};
use crate::client::Client;
use crate::error::SubmitError;
use crate::interrupt::Interrupt;
use crate::local::{Layout, LocalCluster};
use crate::term::Console;

/// What every command has.
pub(crate) struct App {
    pub console: Console,
    pub global: Global,
    pub interrupt: Interrupt,
}

/// Longest wait for in-process executors to register.
const REGISTER: Duration = Duration::from_secs(20);

/// A connected client and, with `--local`, the cluster it talks to.
pub(crate) struct Session {
    pub client: Client,
    local: Option<(LocalCluster, Layout)>,
    /// Flags that make the advised commands reach the same cluster; starts with a space unless empty.
    flags: String,
}

impl Session {
    /// Connects to `--scheduler`.
    pub(crate) async fn remote(app: &App) -> Result<Self, SubmitError> {
        let url = &app.global.scheduler;
        let client = Client::connect(url).await?;
        let known = url == DEFAULT_SCHEDULER
            || std::env::var("RETAIL_SCHEDULER").is_ok_and(|set| set == *url);
        Ok(Self {
            client,
            local: None,
            flags: if known {
                String::new()
            } else {
                format!(" --scheduler {url}")
            },
        })
    }

    /// Starts a cluster on `layout` that may read `read` besides, and waits until its executors are registered.
    pub(crate) async fn local(
        layout: Layout,
        executors: u16,
        read: &[String],
        shown_dir: &str,
    ) -> Result<Self, SubmitError> {
        let cluster = LocalCluster::start(&layout, executors, read).await?;
        let client = Client::connect(&cluster.url()).await?;
        let flags = match shown_dir {
            crate::cli::DEFAULT_DIR => " --local".into(),
            dir => format!(" --local --dir {dir}"),
        };
        let session = Self {
            client,
            local: Some((cluster, layout)),
            flags,
        };
        session.await_executors(usize::from(executors)).await?;
        Ok(session)
    }

    /// Local or remote, as the flags say; `executors` false spares starting them where only the catalog is read.
    pub(crate) async fn open(
        app: &App,
        args: &LocalArgs,
        executors: bool,
    ) -> Result<Self, SubmitError> {
        Self::open_for(app, args, executors, &[]).await
    }

    /// As [`Session::open`], for a command that was given places to read; a scheduler elsewhere has a list of its own.
    pub(crate) async fn open_for(
        app: &App,
        args: &LocalArgs,
        executors: bool,
        read: &[String],
    ) -> Result<Self, SubmitError> {
        if !args.local {
            return Self::remote(app).await;
        }
        let executors = if executors { args.executors } else { 0 };
        let layout = Layout::new(&args.dir)?;
        Self::local(layout, executors, read, &args.dir.display().to_string()).await
    }

    async fn await_executors(&self, wanted: usize) -> Result<(), SubmitError> {
        let start = Instant::now();
        if wanted == 0 {
            return Ok(());
        }
        loop {
            let there = self.client.status().await?.executors.len();
            if there >= wanted {
                return Ok(());
            }
            if start.elapsed() > REGISTER {
                let chain = vec![format!(
                    "{there} of {wanted} executors registered within {} s",
                    REGISTER.as_secs()
                )];
                return Err(SubmitError::LocalStart {
                    chain,
                    notes: vec!["-vv shows the log of this process".into()],
                });
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Whether the cluster ends with this process.
    pub(crate) fn is_local(&self) -> bool {
        self.local.is_some()
    }

    /// `retail-submit COMMAND` with the flags that reach this cluster.
    pub(crate) fn advise(&self, command: &str) -> String {
        format!("retail-submit {command}{}", self.flags)
    }

    /// Ends what was started.
    pub(crate) async fn close(self) {
        if let Some((cluster, _)) = self.local {
            cluster.shutdown().await;
        }
    }
}
