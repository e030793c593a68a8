//! A network that breaks: connections to a server that pass through here until they are cut.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Passes connections on to a server while it is open. Its port stays the same; while it is closed, connections are
/// taken and ended at once.
pub struct Proxy {
    pub addr: SocketAddr,
    open: watch::Sender<bool>,
    cut: Arc<AtomicU32>,
}

impl Proxy {
    /// A proxy that is closed.
    pub async fn closed(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (open, is_open) = watch::channel(false);
        let cut = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&cut);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (mut is_open, count) = (is_open.clone(), Arc::clone(&count));
                tokio::spawn(async move {
                    if !*is_open.borrow_and_update() {
                        // After its first words, so that it ends in the middle of something.
                        let _ = client.read_u8().await;
                        count.fetch_add(1, Ordering::SeqCst);
                        return;
                    }
                    let Ok(mut server) = TcpStream::connect(server).await else {
                        return;
                    };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                        _ = is_open.changed() => { count.fetch_add(1, Ordering::SeqCst); }
                    }
                });
            }
        });
        Self { addr, open, cut }
    }

    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// Ends all connections, and new ones until it is opened again.
    pub fn close(&self) {
        self.open.send_replace(false);
    }

    /// How many connections were ended by it: the proof that a fault happened.
    pub fn cut(&self) -> u32 {
        self.cut.load(Ordering::SeqCst)
    }
}
