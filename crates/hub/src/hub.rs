//! All apps on one port.

use std::io;
use std::sync::Arc;

use tautline::Server;
use tautline_engine::{Engine, Settings};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::http_service;
use crate::name::AppName;
use crate::site::{self, Site};

/// The hub: `/counter`, `/clock`, `/hello`, `/echo` and the relay at `/{client_id}` by WebSocket; the page at `/`,
/// `/healthz`, and POST on any path by HTTP.
///
/// With [`only`](Self::only) it is one app, on every path.
#[derive(Clone, Debug, Default)]
pub struct Hub {
    server: Server,
    only: Option<AppName>,
    loops: Option<usize>,
}

impl Hub {
    /// A hub with the default settings of [`Server`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes limits, timers, origins and TLS from `server`. What it does with requests is replaced.
    pub fn server(mut self, server: Server) -> Self {
        self.server = server;
        self
    }

    /// Serves one app on every path of the port, instead of each at its own. The relay takes the last segment of the
    /// path as client id then.
    pub fn only(mut self, app: AppName) -> Self {
        self.only = Some(app);
        self
    }

    /// How many event loops carry the connections, each in a thread. Default: as many as the processor runs threads at
    /// once. See [`Settings::loops`].
    pub fn loops(mut self, loops: usize) -> Self {
        self.loops = Some(loops);
        self
    }

    /// Serves `listener` until `shutdown` is ready, then ends the connections: see [`Server::hand_over`].
    ///
    /// # Errors
    ///
    /// The listener is not usable, or the event loops cannot be started.
    pub async fn run(self, listener: TcpListener, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        self.run_all(vec![listener], shutdown).await
    }

    /// As [`run`](Self::run), with several addresses for the same apps.
    ///
    /// # Errors
    ///
    /// A listener is not usable, or the event loops cannot be started.
    pub async fn run_all(self, listeners: Vec<TcpListener>, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let only = self.only;
        let mut settings = Settings::new().waking(site::wake_later);
        if let Some(loops) = self.loops {
            settings = settings.loops(loops);
        }
        let server = self.server.http(move |request| http_service::answer(only, request));
        let site = Arc::new(Site::start(Engine::start(settings)?, only, server.settings()));
        let closing = watch::Sender::new(false);
        let mut running = JoinSet::new();
        for listener in listeners {
            let mut closing = closing.subscribe();
            let shutdown = async move { drop(closing.wait_for(|closing| *closing).await) };
            running.spawn(server.clone().hand_over(listener, site.clone(), shutdown));
        }
        tokio::select! {
            () = shutdown => {}
            // One that ends by itself has failed: the others are not left alone with half of the addresses.
            Some(ended) = running.join_next() => {
                closing.send_replace(true);
                running.join_all().await;
                return ended?;
            }
        }
        closing.send_replace(true);
        running.join_all().await.into_iter().collect()
    }
}
