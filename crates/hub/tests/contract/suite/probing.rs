//! Finding out whether a client is still there.

use std::time::{Duration, Instant};

use tautline::{CloseCode, Ended};
use tautline_proto::app::{ConnectionId, Message, Sent};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{client, next, opened, rest, until};
use crate::Harness;
use crate::recorder::{Happened, Record, Recorder};
use crate::wire;

/// Long enough that no answer takes so long, and shorter than any other deadline.
const LONG: Duration = Duration::from_secs(25);

/// Short enough to wait for.
const SHORT: Duration = Duration::from_millis(300);

/// An app that probes whoever sends a text, which says in how many milliseconds, and once more for each further number.
fn prober() -> (Recorder, Record) {
    Recorder::new(|io, happened| {
        if let Happened::Text(id, text) = happened {
            for millis in text.split(' ').filter_map(|number| number.parse().ok()) {
                io.probe(*id, Duration::from_millis(millis));
            }
        }
    })
}

fn millis(time: Duration) -> String {
    time.as_millis().to_string()
}

async fn closed(record: &mut Record) -> (ConnectionId, Option<Ended>) {
    until(record, |h| if let Happened::Closed(id, ended) = h { Some((*id, *ended)) } else { None }).await
}

/// A client that sends a text and never reads.
async fn silent<H: Harness>(server: &H, record: &mut Record, text: &str) -> (TcpStream, ConnectionId, Instant) {
    let mut tcp = wire::open(server.address()).await;
    let id = opened(record).await;
    let before = Instant::now();
    tcp.write_all(&wire::text(text)).await.unwrap();
    (tcp, id, before)
}

pub(crate) async fn a_client_that_answers_a_probe_is_alive_once<H: Harness>() {
    let (app, mut record) = prober();
    let server = H::start(app).await;
    let mut ws = client(&server, "/").await;
    let id = opened(&mut record).await;
    let before = Instant::now();
    let text = [millis(LONG), millis(LONG)].join(" ");
    ws.send(text.clone()).await.unwrap();
    assert_eq!(next(&mut record).await, Happened::Text(id, text));
    assert_eq!(next(&mut record).await, Happened::Alive(id));
    assert!(before.elapsed() < LONG, "not only at the deadline");
    // And again, when it is asked again.
    ws.send(millis(LONG)).await.unwrap();
    assert_eq!(next(&mut record).await, Happened::Text(id, millis(LONG)));
    assert_eq!(next(&mut record).await, Happened::Alive(id));
    ws.close(CloseCode::NORMAL, "").await;
    let ended = Ended::ClosedByPeer { code: CloseCode::NORMAL, clean: true };
    assert_eq!(next(&mut record).await, Happened::Closed(id, Some(ended)));
    server.stop().await;
    assert_eq!(rest(record).await, []);
}

pub(crate) async fn the_latency_of_a_client_is_known_once_it_has_answered_a_ping<H: Harness>() {
    let (app, _record) = Recorder::new(|io, happened| {
        if let Happened::Text(id, _) | Happened::Alive(id) = happened {
            let latency = io.vitals(*id).and_then(|vitals| vitals.latency);
            io.send(*id, Message::Text(if latency.is_some() { "known" } else { "unknown" }));
        }
        if let Happened::Text(id, _) = happened {
            io.probe(*id, LONG);
        }
    });
    let server = H::start(app).await;
    let mut ws = client(&server, "/").await;
    ws.send("probe").await.unwrap();
    for told in ["unknown", "known"] {
        assert_eq!(ws.recv().await.unwrap().as_text(), Some(told));
    }
    drop(ws);
    server.stop().await;
}

pub(crate) async fn a_client_that_does_not_answer_a_probe_is_given_up<H: Harness>() {
    let (app, mut record) = prober();
    let server = H::start(app).await;
    let mut bystander = client(&server, "/").await;
    opened(&mut record).await;
    // Of several times the shortest counts.
    for text in [millis(SHORT), [millis(SHORT), millis(LONG)].join(" "), [millis(LONG), millis(SHORT)].join(" ")] {
        let (_tcp, id, before) = silent(&server, &mut record, &text).await;
        assert_eq!(next(&mut record).await, Happened::Text(id, text));
        assert_eq!(next(&mut record).await, Happened::Closed(id, Some(Ended::PeerSilent)));
        assert!((SHORT..LONG).contains(&before.elapsed()), "{:?}", before.elapsed());
    }
    bystander.send("still here").await.unwrap();
    assert!(matches!(next(&mut record).await, Happened::Text(_, text) if text == "still here"));
    bystander.close(CloseCode::NORMAL, "").await;
    server.stop().await;
}

pub(crate) async fn whatever_a_client_sends_answers_a_probe<H: Harness>() {
    // A message, an empty pong, and the beginning of a message.
    let answers = [wire::text("here"), b"\x8a\x80\0\0\0\0".to_vec(), b"\x82\xfe\xff\xff\0\0\0\0a".to_vec()];
    for answer in answers {
        let (app, mut record) = prober();
        let server = H::start(app).await;
        let (mut tcp, id, before) = silent(&server, &mut record, &millis(LONG)).await;
        // The ping is there: what is sent now comes behind the question.
        let mut ping = [0; 6];
        tcp.read_exact(&mut ping).await.unwrap();
        assert_eq!(ping[..2], [0x89, 4]);
        tcp.write_all(&answer).await.unwrap();
        until(&mut record, |h| (*h == Happened::Alive(id)).then_some(())).await;
        assert!(before.elapsed() < LONG, "not only at the deadline");
        wire::reset(tcp);
        let (closed, ended) = closed(&mut record).await;
        assert_eq!(closed, id);
        assert_ne!(ended, Some(Ended::PeerSilent));
        server.stop().await;
    }
}

pub(crate) async fn a_client_that_does_not_take_the_ping_is_given_up_as_stuck<H: Harness>() {
    let (app, mut record) = Recorder::new(|io, happened| {
        if let Happened::Text(id, _) = happened {
            assert_eq!(io.send(*id, Message::Binary(&vec![0; 32 * 1024 * 1024])), Sent::Queued);
            io.probe(*id, SHORT);
        }
    });
    let server = H::start(app).await;
    let (tcp, id, before) = silent(&server, &mut record, "go").await;
    assert_eq!(closed(&mut record).await, (id, Some(Ended::SendStuck)));
    assert!((SHORT..LONG).contains(&before.elapsed()), "{:?}", before.elapsed());
    wire::reset(tcp);
    server.stop().await;
}

pub(crate) async fn a_connection_that_is_closing_closed_or_unknown_is_not_probed<H: Harness>() {
    let code = CloseCode::new(4000).unwrap();
    let (app, mut record) = Recorder::new(move |io, happened| match happened {
        Happened::Text(id, text) if text == "close" => {
            io.probe(*id, SHORT);
            io.close(*id, code, "");
            io.probe(*id, SHORT);
            io.probe(ConnectionId(u64::MAX), SHORT);
            io.set_timer(1, io.now() + 2 * SHORT);
        }
        Happened::Closed(id, _) => {
            io.probe(*id, SHORT);
            io.set_timer(2, io.now() + 2 * SHORT);
        }
        _ => {}
    });
    let server = H::start(app).await;
    let (mut tcp, id, _) = silent(&server, &mut record, "close").await;
    assert_eq!(next(&mut record).await, Happened::Text(id, "close".into()));
    // It is heard from, and its time goes by.
    tcp.write_all(b"\x8a\x80\0\0\0\0").await.unwrap();
    assert_eq!(next(&mut record).await, Happened::Timer(1));
    tcp.write_all(b"\x88\x82\0\0\0\0\x0f\xa0").await.unwrap();
    assert_eq!(next(&mut record).await, Happened::Closed(id, Some(Ended::ClosedByUs { code, clean: true })));
    assert_eq!(next(&mut record).await, Happened::Timer(2));
    server.stop().await;
    assert_eq!(rest(record).await, []);
}
