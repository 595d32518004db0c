//! The hub as its clients see it: apps by WebSocket, pages and answers by HTTP.

mod api;
mod apps;
mod compression;
mod hostile;
mod http;
mod identity;
mod readings;
mod rooms;
mod telemetry;
mod tokens;

use std::net::SocketAddr;
use std::time::Duration;

use tautline::{WebSocket, connect};
use tautline_hub::{AppName, Hub};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A hub on a free port.
struct Running {
    address: SocketAddr,
    shutdown: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
}

impl Running {
    async fn start(hub: Hub) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shutdown, down) = oneshot::channel();
        let server = tokio::spawn(hub.run(listener, async {
            let _ = down.await;
        }));
        Self { address, shutdown, server }
    }

    async fn all() -> Self {
        Self::start(Hub::new()).await
    }

    async fn only(app: AppName) -> Self {
        Self::start(Hub::new().only(app)).await
    }

    fn url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.address)
    }

    async fn open(&self, path: &str) -> WebSocket {
        connect(self.url(path)).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    async fn stop(self) {
        let _ = self.shutdown.send(());
        self.server.await.unwrap().unwrap();
    }
}

/// Nothing takes that long; what does has failed.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// The next message, as text.
async fn text(ws: &mut WebSocket) -> String {
    let message = tokio::time::timeout(LIMIT, ws.recv()).await.expect("a message comes");
    message.expect("still open").as_text().expect("text").to_owned()
}
