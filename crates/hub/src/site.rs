//! The apps at their paths, on the engine's loops.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tautline::{Carrier, CloseCode, Handover, Refusal, Request};
use tautline_engine::{Admitted, Engine, Host, Profile, Wake};
use tautline_proto::handshake::server;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::apps::{Clock, Counter, Echo, Hello, Relay};
use crate::name::AppName;
use crate::{http_service, page};

/// The apps, and who decides which client gets to which.
#[derive(Debug)]
pub(crate) struct Site {
    apps: Apps,
    profile: Arc<Profile>,
    /// Until the shutdown.
    engine: Mutex<Option<Engine>>,
}

impl Site {
    pub(crate) fn start(engine: Engine, only: Option<AppName>, settings: &tautline::Settings) -> Self {
        let (config, send_queue) = settings.parts();
        Self {
            apps: Apps::start(&engine, only),
            profile: Arc::new(Profile::new(config).send_queue(send_queue)),
            engine: Mutex::new(Some(engine)),
        }
    }

    fn engine(&self) -> std::sync::MutexGuard<'_, Option<Engine>> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Carrier for Site {
    type Admitted = Admitted;

    async fn admit(&self, request: Request) -> Result<Admitted, Refusal> {
        let (app, host) = self.apps.find(request.path())?;
        let opening = tautline_engine::Request {
            path: request.path().to_owned(),
            query: request.query().map(str::to_owned),
            subprotocol: request.subprotocol().map(str::to_owned),
            peer: Some(request.peer()),
            profile: self.profile.clone(),
        };
        let (reply, answer) = oneshot::channel();
        host.admit(opening, |answer| {
            // The client may have left; what it was given is dropped then.
            let _ = reply.send(answer);
        });
        let answer = answer.await.map_err(|_| Refusal::new(503, "the hub shuts down"))?;
        answer.map_err(|rejection| refusal(app, rejection.into()))
    }

    fn carry(&self, admitted: Admitted, handover: Handover) {
        let Handover { socket, tls, leftover, .. } = handover;
        admitted.adopt(tautline_engine::Handover { socket, tls, leftover: leftover.into() });
    }

    fn open(&self) -> usize {
        self.engine().as_ref().map_or(0, |engine| engine.connections() as usize)
    }

    async fn drain(&self, code: CloseCode, timeout: Duration) {
        let Some(engine) = self.engine().take() else { return };
        match tokio::task::spawn_blocking(move || engine.drain(code, timeout)).await {
            Ok(Ok(0)) => {}
            Ok(Ok(dropped)) => tracing::warn!(connections = dropped, "did not end in time: dropped"),
            Ok(Err(error)) => tracing::error!(%error, "an event loop had failed"),
            // Only if the runtime ends, and everything with it.
            Err(_) => {}
        }
    }
}

/// Wakes a loop once the tasks that can run now have run: what they post as well costs no further change of threads.
pub(crate) fn wake_later(wake: Wake) {
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(async {
            tokio::task::yield_now().await;
            drop(wake);
        });
    }
}

/// An app on each of the loops that it is on.
#[derive(Debug)]
struct Hosts {
    hosts: Vec<Host>,
    /// Whose turn it is.
    next: AtomicUsize,
}

impl Hosts {
    fn next(&self) -> &Host {
        &self.hosts[self.next.fetch_add(1, Ordering::Relaxed) % self.hosts.len()]
    }
}

#[derive(Debug)]
enum Apps {
    /// By WebSocket there is nothing.
    None,
    /// One app on every path.
    One(AppName, Hosts),
    /// Each at its own path, and the relay everywhere else.
    All { named: Vec<(AppName, Hosts)>, relay: Hosts },
}

impl Apps {
    fn start(engine: &Engine, only: Option<AppName>) -> Self {
        match only {
            Some(AppName::Post) => Self::None,
            Some(app) => Self::One(app, host(engine, 0, app)),
            None => {
                let named = [AppName::Counter, AppName::Clock, AppName::Hello, AppName::Echo];
                let named = named.into_iter().enumerate();
                Self::All {
                    named: named.map(|(number, app)| (app, host(engine, number + 1, app))).collect(),
                    relay: host(engine, 0, AppName::Relay),
                }
            }
        }
    }

    /// The app that serves a path, on the loop that is next.
    fn find(&self, path: &str) -> Result<(AppName, &Host), Refusal> {
        match self {
            Self::None => Err(Refusal::new(404, "there is no WebSocket here: POST something")),
            Self::One(app, hosts) => Ok((*app, hosts.next())),
            Self::All { named, relay } => {
                let path = if path.len() > 1 { path.strip_suffix('/').unwrap_or(path) } else { path };
                if let Some((app, hosts)) = named.iter().find(|(app, _)| app.path() == path) {
                    return Ok((*app, hosts.next()));
                }
                if path.matches('/').count() != 1 {
                    return Err(Refusal::new(404, "there is no WebSocket at this path: a client id has no slash"));
                }
                // A client of that id could not be told from the page's own parts.
                if path != "/" && (path == http_service::HEALTH || page::find(path).is_some()) {
                    return Err(Refusal::new(404, "there is no WebSocket at this path: it is a page"));
                }
                Ok((AppName::Relay, relay.next()))
            }
        }
    }
}

/// Gives an app to the engine: one whose clients share something to one loop, another to all.
fn host(engine: &Engine, number: usize, app: AppName) -> Hosts {
    let home = number % engine.loops();
    let one = |host: Host| vec![host];
    let hosts = match app {
        AppName::Relay => one(engine.host(home, Relay::new()).untyped()),
        AppName::Counter => one(engine.host(home, Counter::new()).untyped()),
        AppName::Clock => one(engine.host(home, Clock::new(SystemTime::now)).untyped()),
        AppName::Hello => engine.host_on_all(|_| Hello).iter().map(Host::untyped).collect(),
        AppName::Echo | AppName::Post => engine.host_on_all(|_| Echo).iter().map(Host::untyped).collect(),
    };
    Hosts { hosts, next: AtomicUsize::new(0) }
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
