//! A real process of ours: started, watched, killed by its id, its output kept.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::{repository, wait};

/// A running program. Dropping it kills it; a panicking test prints its last lines.
pub(crate) struct Program {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts `program` with its output in `dir/<name>.log`.
    pub(crate) fn start(
        program: &str,
        name: &str,
        dir: &Path,
        arguments: &[String],
        environment: &[(String, String)],
    ) -> Self {
        let log = dir.join(format!("{name}.log"));
        let out = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let child = Command::new(repository::program(program))
            .args(arguments)
            .envs(environment.iter().map(|(k, v)| (k, v)))
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {program}: {e}"));
        Self {
            name: name.to_owned(),
            child,
            log,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has printed.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Waits for its end.
    pub(crate) async fn wait(&mut self, limit: Duration) -> ExitStatus {
        let name = self.name.clone();
        wait::until(&format!("{name} to end"), limit, async || self.ended()).await
    }

    /// Waits until its admin port reports it ready; panics with its output when it ends before.
    pub(crate) async fn ready(&mut self, admin_port: u16, limit: Duration) {
        let name = self.name.clone();
        wait::until(&format!("{name} to be ready"), limit, async || {
            if let Some(status) = self.ended() {
                panic!("{name} ended at start ({status}):\n{}", self.log());
            }
            wait::http_get(admin_port, "/readyz").filter(|(status, _)| *status == 200)
        })
        .await;
    }

    /// The end that leaves no time for anything: SIGKILL.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to stop: SIGTERM.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// Stops it where it is (SIGSTOP), as a machine that hangs; `signal("CONT")` lets it go on.
    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill")
            .args([format!("-{signal}"), self.pid().to_string()])
            .status();
        assert!(
            sent.is_ok_and(|s| s.success()),
            "cannot send {signal} to {}",
            self.name
        );
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<_> = log.lines().rev().take(40).collect();
            eprintln!("--- last lines of {}", self.name);
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}
