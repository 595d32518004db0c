//! All apps on one port.

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use tautline::{Refusal, Request, Server};
use tautline_proto::handshake::server;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::apps::{Clock, Counter, Echo, Hello, Relay};
use crate::driver::{Driver, carry};
use crate::name::AppName;
use crate::{http_service, page};

/// The hub: `/counter`, `/clock`, `/hello`, `/echo` and the relay at `/{client_id}` by WebSocket; the page at `/`,
/// `/healthz`, and POST on any path by HTTP.
///
/// With [`only`](Self::only) it is one app, on every path.
#[derive(Clone, Debug, Default)]
pub struct Hub {
    server: Server,
    only: Option<AppName>,
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

    /// Serves `listener` until `shutdown` is ready, then ends the connections: see [`Server::serve`].
    ///
    /// # Errors
    ///
    /// The listener is not usable.
    pub async fn run(self, listener: TcpListener, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        self.run_all(vec![listener], shutdown).await
    }

    /// As [`run`](Self::run), with several addresses for the same apps. The limit of connections holds for each
    /// address.
    ///
    /// # Errors
    ///
    /// A listener is not usable.
    pub async fn run_all(self, listeners: Vec<TcpListener>, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let only = self.only;
        let apps = Arc::new(Apps::start(only));
        let server = self
            .server
            .admit(move |request| apps.admit(request))
            .http(move |request| http_service::answer(only, request));
        let closing = watch::Sender::new(false);
        let mut running = JoinSet::new();
        for listener in listeners {
            let mut closing = closing.subscribe();
            let shutdown = async move { drop(closing.wait_for(|closing| *closing).await) };
            running.spawn(server.clone().serve(listener, carry, shutdown));
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

/// The apps at their paths.
#[derive(Debug)]
enum Apps {
    /// By WebSocket there is nothing.
    None,
    /// One app on every path.
    One(AppName, Driver),
    /// Each at its own path, and the relay everywhere else.
    All { named: Vec<(AppName, Driver)>, relay: Driver },
}

impl Apps {
    fn start(only: Option<AppName>) -> Self {
        match only {
            Some(AppName::Post) => Self::None,
            Some(app) => Self::One(app, driver(app)),
            None => {
                let named = [AppName::Counter, AppName::Clock, AppName::Hello, AppName::Echo];
                Self::All {
                    named: named.into_iter().map(|app| (app, driver(app))).collect(),
                    relay: driver(AppName::Relay),
                }
            }
        }
    }

    /// The app that serves a path.
    fn find(&self, path: &str) -> Result<(AppName, &Driver), Refusal> {
        match self {
            Self::None => Err(Refusal::new(404, "there is no WebSocket here: POST something")),
            Self::One(app, driver) => Ok((*app, driver)),
            Self::All { named, relay } => {
                let path = if path.len() > 1 { path.strip_suffix('/').unwrap_or(path) } else { path };
                if let Some((app, driver)) = named.iter().find(|(app, _)| app.path() == path) {
                    return Ok((*app, driver));
                }
                if path.matches('/').count() != 1 {
                    return Err(Refusal::new(404, "there is no WebSocket at this path: a client id has no slash"));
                }
                // A client of that id could not be told from the page's own parts.
                if path != "/" && (path == http_service::HEALTH || page::find(path).is_some()) {
                    return Err(Refusal::new(404, "there is no WebSocket at this path: it is a page"));
                }
                Ok((AppName::Relay, relay))
            }
        }
    }

    fn admit(&self, request: &mut Request) -> Result<(), Refusal> {
        let (app, driver) = self.find(request.path())?;
        driver.admit(request).map_err(|rejection| refusal(app, rejection.into()))
    }
}

fn driver(app: AppName) -> Driver {
    match app {
        AppName::Relay => Driver::new(Relay::new()),
        AppName::Counter => Driver::new(Counter::new()),
        AppName::Clock => Driver::new(Clock::new(SystemTime::now)),
        AppName::Hello => Driver::new(Hello),
        AppName::Echo | AppName::Post => Driver::new(Echo),
    }
}

/// An app's refusal, with words that help whoever reads the answer.
fn refusal(app: AppName, refused: server::Refusal) -> Refusal {
    let text = match (app, refused.status()) {
        (AppName::Relay, 409) => "this client id is connected already",
        (AppName::Relay, 400) => "the client id is not UTF-8 or has control characters",
        (AppName::Relay, 414) => "the client id is too long",
        _ => return refused.into(),
    };
    refused
        .headers()
        .fold(Refusal::new(refused.status(), text), |refusal, header| refusal.header(header.name(), header.value()))
}
