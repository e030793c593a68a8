//! A network that breaks: connections to a server that pass through here until they are cut, or until a commit is
//! taken out of one.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Passes connections on to a server while it is open. Its port stays the same; while it is closed, connections are
/// taken and ended at once.
pub(crate) struct Proxy {
    pub addr: SocketAddr,
    open: watch::Sender<bool>,
    /// Counted up to end all connections that there are.
    round: watch::Sender<u32>,
    cut: Arc<AtomicU32>,
    commits: Arc<Commits>,
}

/// What becomes of a commit whose client is cut off as soon as it has sent it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Late {
    /// The server gets it after this time.
    After(Duration),
    /// The server sees the connection end instead, after a second.
    Never,
}

#[derive(Default)]
struct Commits {
    next: Mutex<Option<Late>>,
    taken: AtomicU32,
}

impl Proxy {
    /// A proxy that is closed.
    pub(crate) async fn closed(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (open, is_open) = watch::channel(false);
        let (round, ends) = watch::channel(0);
        let (cut, commits) = (Arc::new(AtomicU32::new(0)), Arc::new(Commits::default()));
        let (count, taker) = (Arc::clone(&cut), Arc::clone(&commits));
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (mut is_open, mut ends) = (is_open.clone(), ends.clone());
                let (count, taker) = (Arc::clone(&count), Arc::clone(&taker));
                ends.borrow_and_update();
                tokio::spawn(async move {
                    if !*is_open.borrow_and_update() {
                        // After its first words, so that it ends in the middle of something.
                        let _ = client.read_u8().await;
                        count.fetch_add(1, Ordering::SeqCst);
                        return;
                    }
                    let Ok(server) = TcpStream::connect(server).await else {
                        return;
                    };
                    tokio::select! {
                        () = pass(client, server, &taker) => {}
                        _ = is_open.changed() => { count.fetch_add(1, Ordering::SeqCst); }
                        _ = ends.changed() => {}
                    }
                });
            }
        });
        Self {
            addr,
            open,
            round,
            cut,
            commits,
        }
    }

    /// Takes the commit of the next publish from its client.
    pub(crate) fn take_commit(&self, late: Late) {
        *self.commits.next.lock().unwrap() = Some(late);
    }

    /// How many commits were taken: the proof that the fault happened.
    pub(crate) fn commits_taken(&self) -> u32 {
        self.commits.taken.load(Ordering::SeqCst)
    }

    /// Ends the connections that there are; new ones pass.
    pub(crate) fn forget_connections(&self) {
        self.round.send_modify(|round| *round += 1);
    }

    pub(crate) fn open(&self) {
        self.open.send_replace(true);
    }

    /// Ends all connections, and new ones until it is opened again.
    pub(crate) fn close(&self) {
        self.open.send_replace(false);
    }

    /// How many connections were ended by it: the proof that a fault happened.
    pub(crate) fn cut(&self) -> u32 {
        self.cut.load(Ordering::SeqCst)
    }
}

/// Passes bytes both ways until one side ends, or until a commit of a publish is to be taken.
async fn pass(client: TcpStream, server: TcpStream, commits: &Commits) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let (mut up, mut down) = ([0; 16 * 1024], [0; 16 * 1024]);
    // A statement's text passes once per connection, then only its name does.
    let mut publishes = false;
    loop {
        tokio::select! {
            read = from_client.read(&mut up) => {
                let Ok(n @ 1..) = read else { return };
                let sent = &up[..n];
                publishes |= holds(sent, b"INSERT INTO retail_publishes");
                let late = match publishes && holds(sent, b"COMMIT\0") {
                    true => commits.next.lock().unwrap().take(),
                    false => None,
                };
                if let Some(late) = late {
                    drop((from_client, to_client));
                    commits.taken.fetch_add(1, Ordering::SeqCst);
                    match late {
                        Late::Never => tokio::time::sleep(Duration::from_secs(1)).await,
                        Late::After(delay) => {
                            tokio::time::sleep(delay).await;
                            let _ = to_server.write_all(sent).await;
                            let _ = from_server.read(&mut down).await;
                        }
                    }
                    return;
                }
                if to_server.write_all(sent).await.is_err() { return }
            }
            read = from_server.read(&mut down) => {
                let Ok(n @ 1..) = read else { return };
                if to_client.write_all(&down[..n]).await.is_err() { return }
            }
        }
    }
}

fn holds(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}
