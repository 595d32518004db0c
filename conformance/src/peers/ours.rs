//! A server of the library's, in the test's own process.

use std::future::Future;
use std::sync::Arc;

use tautline::{CloseCode, Ended, Request, Server, WebSocket};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::within;

/// How a connection ended, as our server saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Why.
    pub ended: Ended,
    /// The reason in the peer's close frame.
    pub reason: Option<String>,
}

impl End {
    /// The peer closed, and the handshake was completed.
    pub fn by_peer(code: u16, reason: &str) -> Self {
        let code = CloseCode::new(code).unwrap_or(CloseCode::NO_STATUS);
        Self { ended: Ended::ClosedByPeer { code, clean: true }, reason: (!reason.is_empty()).then(|| reason.into()) }
    }
}

/// A server of the library's that is told of by its test, and tells how its connections end.
#[derive(Debug)]
pub struct Ours {
    /// Its port on 127.0.0.1.
    pub port: u16,
    ends: mpsc::UnboundedReceiver<End>,
    task: JoinHandle<()>,
}

impl Ours {
    /// Serves with this handler, which gives the connection back when it is done with it; what is open then is closed.
    ///
    /// # Panics
    ///
    /// If there is no port to be had.
    pub async fn start<H, F>(server: Server, handler: H) -> Self
    where
        H: Fn(WebSocket, Request) -> F + Send + Sync + 'static,
        F: Future<Output = WebSocket> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let (sender, ends) = mpsc::unbounded_channel();
        let handler = Arc::new(handler);
        let recording = move |ws, request| {
            let (handler, sender) = (handler.clone(), sender.clone());
            async move {
                let mut ws = handler(ws, request).await;
                let ended = match ws.ended() {
                    Some(ended) => ended,
                    None => ws.close(CloseCode::NORMAL, "").await,
                };
                let reason = ws.close_reason().filter(|reason| !reason.is_empty());
                let _ = sender.send(End { ended, reason });
            }
        };
        let task = tokio::spawn(async move {
            let never = std::future::pending::<()>();
            server.serve(listener, recording, never).await.expect("the listener is usable");
        });
        Self { port, ends, task }
    }

    /// Serves an echo.
    pub async fn echo(server: Server) -> Self {
        Self::start(server, |mut ws, _| async move {
            while let Some(message) = ws.recv().await {
                let _ = ws.send(message).await;
            }
            ws
        })
        .await
    }

    /// `ws://127.0.0.1:PORT` and this path.
    pub fn uri(&self, path: &str) -> String {
        format!("ws://127.0.0.1:{}{path}", self.port)
    }

    /// How the next of its connections ends.
    ///
    /// # Panics
    ///
    /// If none does in time.
    pub async fn end(&mut self) -> End {
        within("the end of a connection of our server", self.ends.recv()).await.expect("the server is running")
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.task.abort();
    }
}
