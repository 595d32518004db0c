//! What every driver of apps has to do, whatever it runs on.
//!
//! The suite is generic over the driver: a further one implements [`Harness`] and lists itself at the end of this file.

mod carrier;
mod recorder;
mod suite;
mod wire;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tautline::Server;
use tautline_engine::{Engine, Settings};
use tautline_proto::app::App;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A driver under test: a server with one app on every path.
trait Harness: Sized {
    /// Serves `app` on a free port of 127.0.0.1.
    async fn start(app: impl App + 'static) -> Self;

    fn address(&self) -> SocketAddr;

    /// Shuts the server down and waits until everything has ended.
    async fn stop(self);
}

/// One test for each rule, for one driver.
macro_rules! contract {
    ($module:ident, $harness:ty: $($rule:ident),+ $(,)?) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $rule() {
                    let test = crate::suite::$rule::<$harness>();
                    let limit = std::time::Duration::from_secs(90);
                    tokio::time::timeout(limit, test).await.expect("the test took too long");
                }
            )+
        }
    };
}

macro_rules! contracts {
    ($($module:ident: $harness:ty),+ $(,)?) => {
        $(contract! { $module, $harness:
            a_connection_is_admitted_opened_served_and_closed,
            a_refused_client_gets_the_answer_and_is_not_heard_of_again,
            a_client_that_leaves_during_the_handshake_is_closed_once,
            a_client_that_is_cut_off_is_closed_once,
            a_shutdown_closes_every_connection_once,
            messages_arrive_whole_with_their_type,
            what_is_published_arrives_everywhere_in_one_order,
            timers_fire_in_the_order_of_their_times,
            after_a_close_no_more_messages_come,
            a_busy_connection_is_reported_once_it_has_drained,
            a_client_that_takes_nothing_is_closed_with_1013,
            a_client_that_sends_faster_than_it_reads_loses_nothing,
            a_panic_ends_one_connection_and_nothing_else,
            a_client_that_answers_a_probe_is_alive_once,
            the_latency_of_a_client_is_known_once_it_has_answered_a_ping,
            a_client_that_does_not_answer_a_probe_is_given_up,
            whatever_a_client_sends_answers_a_probe,
            a_client_that_does_not_take_the_ping_is_given_up_as_stuck,
            a_connection_that_is_closing_closed_or_unknown_is_not_probed,
        })+
    };
}

/// A server that is running.
struct Running {
    address: SocketAddr,
    shutdown: oneshot::Sender<()>,
    server: JoinHandle<io::Result<()>>,
}

impl Running {
    /// Starts what `serve` makes of a listener and of a future that is ready at the shutdown.
    async fn start<F>(serve: impl FnOnce(TcpListener, oneshot::Receiver<()>) -> F) -> Self
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shutdown, down) = oneshot::channel();
        Self { address, shutdown, server: tokio::spawn(serve(listener, down)) }
    }

    async fn stop(self) {
        let _ = self.shutdown.send(());
        self.server.await.unwrap().unwrap();
    }
}

/// The driver on tokio.
struct Tokio(Running);

impl Harness for Tokio {
    async fn start(app: impl App + 'static) -> Self {
        let driver = tautline_hub::Driver::new(app);
        let admit = move |request: &mut tautline::Request| {
            let refused = driver.admit(request).err();
            let refused = refused.map(tautline_proto::handshake::server::Refusal::from);
            refused.map_or(Ok(()), |refused| Err(refused.into()))
        };
        let server = Server::new().admit(admit);
        Self(Running::start(|listener, down| server.serve(listener, tautline_hub::carry, down)).await)
    }

    fn address(&self) -> SocketAddr {
        self.0.address
    }

    async fn stop(self) {
        self.0.stop().await;
    }
}

/// The driver on event loops; `BATCHING`: that may write to many connections at once.
struct Loops<const BATCHING: bool>(Running);

impl<const BATCHING: bool> Harness for Loops<BATCHING> {
    async fn start(app: impl App + 'static) -> Self {
        let engine = Engine::start(Settings::new().loops(1).batching(BATCHING)).unwrap();
        let host = engine.host(0, app).untyped();
        let carrier = Arc::new(carrier::OneApp::new(engine, host));
        Self(Running::start(|listener, down| Server::new().hand_over(listener, carrier, down)).await)
    }

    fn address(&self) -> SocketAddr {
        self.0.address
    }

    async fn stop(self) {
        self.0.stop().await;
    }
}

contracts!(
    on_tokio: crate::Tokio,
    on_event_loops: crate::Loops<true>,
    on_event_loops_without_batches: crate::Loops<false>,
);
