//! Ctrl-C: the first asks the command to stop in order, the second ends the process.

use tokio::sync::watch;

use crate::exit::ExitCode;

/// Whether Ctrl-C was pressed; clones see the same.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// Listens from now on. The second Ctrl-C ends the process at once, whatever blocks it.
    pub(crate) fn listen() -> Self {
        let (sender, receiver) = watch::channel(false);
        tokio::spawn(async move {
            let mut pressed = false;
            while tokio::signal::ctrl_c().await.is_ok() {
                if pressed {
                    #[allow(
                        clippy::disallowed_methods,
                        reason = "the second Ctrl-C asks for just that"
                    )]
                    std::process::exit(i32::from(ExitCode::Interrupted.code()));
                }
                pressed = true;
                sender.send_replace(true);
            }
            // No signals here: hold the channel open, so that nobody takes its end for Ctrl-C.
            sender.closed().await;
        });
        Self(receiver)
    }

    /// Waits until Ctrl-C is pressed.
    pub(crate) async fn pressed(&mut self) {
        if self.0.wait_for(|pressed| *pressed).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
