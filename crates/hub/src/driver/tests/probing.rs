//! Finding out whether a client is still there, in virtual time.

use std::sync::Arc;
use std::time::Duration;

use tautline::{Config, Ended, Info, Role, Settings, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;

/// The first client of a driver.
const ID: ConnectionId = ConnectionId(1);

const SECOND: Duration = Duration::from_secs(1);

/// Tells of what matters here, and when it was in milliseconds.
struct Told(mpsc::UnboundedSender<(What, u64)>);

#[derive(Debug, PartialEq, Eq)]
enum What {
    Alive,
    Closed(Option<Ended>),
}

impl Told {
    fn tell(&self, io: &dyn Io, what: What) {
        let _ = self.0.send((what, io.now().as_micros() / 1000));
    }
}

impl App for Told {
    fn alive(&mut self, io: &mut dyn Io, _: ConnectionId) {
        self.tell(io, What::Alive);
    }

    fn closed(&mut self, io: &mut dyn Io, _: ConnectionId, ended: Option<Ended>) {
        self.tell(io, What::Closed(ended));
    }
}

type Record = mpsc::UnboundedReceiver<(What, u64)>;

fn admitted() -> (Driver, Admitted, Record) {
    let (told, record) = mpsc::unbounded_channel();
    let driver = Driver::new(Told(told));
    let opening = Opening { path: "/", ..Opening::default() };
    let admitted = Admitted::new(&driver.0, &opening).unwrap();
    (driver, admitted, record)
}

/// Opens the connection of a client, whose end the answer is. Nobody is pinged without being probed.
fn open(admitted: Admitted) -> DuplexStream {
    let (ours, theirs) = duplex(1024);
    let settings = Settings::new().protocol(Config::new().ping_interval(None));
    let ws = WebSocket::start(Stream::other(ours), Role::Server, Arc::new(settings), &[], Info::default());
    tokio::spawn(admitted.run(ws));
    theirs
}

fn probe(driver: &Driver, within: Duration) {
    let probed = driver.0.call(None, |_, io| io.probe(ID, within));
    assert!(probed.is_ok());
}

/// Waits for the ping that asks.
async fn asked(client: &mut DuplexStream) {
    let mut ping = [0; 6];
    client.read_exact(&mut ping).await.unwrap();
    assert_eq!(ping[..2], [0x89, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_given_up_when_its_time_is_over() {
    let (driver, admitted, mut record) = admitted();
    let mut client = open(admitted);
    probe(&driver, 2 * SECOND);
    asked(&mut client).await;
    tokio::time::sleep(SECOND).await;
    probe(&driver, 2 * SECOND);
    assert_eq!(record.recv().await, Some((What::Closed(Some(Ended::PeerSilent)), 2000)));
}

#[tokio::test(start_paused = true)]
async fn a_shorter_time_may_come_later() {
    let (driver, admitted, mut record) = admitted();
    let _client = open(admitted);
    probe(&driver, 60 * SECOND);
    tokio::time::sleep(SECOND).await;
    probe(&driver, 2 * SECOND);
    assert_eq!(record.recv().await, Some((What::Closed(Some(Ended::PeerSilent)), 3000)));
}

#[tokio::test(start_paused = true)]
async fn the_beginning_of_a_frame_is_an_answer_when_it_arrives() {
    let (driver, admitted, mut record) = admitted();
    let mut client = open(admitted);
    probe(&driver, 2 * SECOND);
    asked(&mut client).await;
    tokio::time::sleep(SECOND).await;
    client.write_all(&[0x82]).await.unwrap();
    assert_eq!(record.recv().await, Some((What::Alive, 1000)));
    // And no answer to the next question.
    probe(&driver, 2 * SECOND);
    assert_eq!(record.recv().await, Some((What::Closed(Some(Ended::PeerSilent)), 3000)));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_not_connected_yet_is_asked_when_it_is() {
    let (driver, admitted, mut record) = admitted();
    probe(&driver, 2 * SECOND);
    probe(&driver, SECOND);
    tokio::time::sleep(5 * SECOND).await;
    let mut client = open(admitted);
    asked(&mut client).await;
    assert_eq!(record.recv().await, Some((What::Closed(Some(Ended::PeerSilent)), 6000)));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_connects_is_not_asked() {
    let (driver, admitted, mut record) = admitted();
    probe(&driver, SECOND);
    tokio::time::sleep(5 * SECOND).await;
    drop(admitted);
    assert_eq!(record.recv().await, Some((What::Closed(None), 5000)));
    probe(&driver, SECOND);
    tokio::time::sleep(5 * SECOND).await;
    assert!(record.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_the_app_closes_meanwhile_tells_its_end_and_nothing_else() {
    let (driver, admitted, mut record) = admitted();
    let mut client = open(admitted);
    probe(&driver, SECOND);
    asked(&mut client).await;
    let code = tautline::CloseCode::NORMAL;
    assert!(driver.0.call(None, |_, io| io.close(ID, code, "")).is_ok());
    client.write_all(b"\x8a\x84\0\0\0\0\0\0\0\x01").await.unwrap();
    tokio::time::sleep(5 * SECOND).await;
    assert!(record.is_empty());
    client.write_all(b"\x88\x82\0\0\0\0\x03\xe8").await.unwrap();
    assert_eq!(record.recv().await, Some((What::Closed(Some(Ended::ClosedByUs { code, clean: true })), 5000)));
}
