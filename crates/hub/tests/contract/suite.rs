//! The rules, each as a function over any driver.

mod probing;

pub(crate) use probing::*;

use std::collections::BTreeMap;
use std::sync::mpsc as blocking;
use std::time::Duration;

use tautline::{CloseCode, ConnectError, Ended, Kind, WebSocket, connect};
use tautline_proto::Instant;
use tautline_proto::app::{ConnectionId, Delivery, Message, Sent, Slow};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::Harness;
use crate::recorder::{Happened, Record, Recorder};
use crate::wire;

async fn client<H: Harness>(server: &H, path: &str) -> WebSocket {
    connect(format!("ws://{}{path}", server.address())).await.expect("connected")
}

async fn next(record: &mut Record) -> Happened {
    record.recv().await.expect("the app lives")
}

/// Waits for the event that `wanted` finds.
async fn until<T>(record: &mut Record, mut wanted: impl FnMut(&Happened) -> Option<T>) -> T {
    loop {
        if let Some(found) = wanted(&next(record).await) {
            return found;
        }
    }
}

async fn opened(record: &mut Record) -> ConnectionId {
    until(record, |happened| if let Happened::Open(id) = happened { Some(*id) } else { None }).await
}

/// Everything that happened and is not yet looked at, once the server has stopped and the app is gone.
async fn rest(mut record: Record) -> Vec<Happened> {
    let mut rest = Vec::new();
    while let Some(happened) = record.recv().await {
        rest.push(happened);
    }
    rest
}

pub(crate) async fn a_connection_is_admitted_opened_served_and_closed<H: Harness>() {
    let (app, mut record) = Recorder::new(|_, _| {});
    let server = H::start(app).await;
    let mut ws = client(&server, "/a%20b").await;
    ws.send("one").await.unwrap();
    ws.send("two").await.unwrap();
    ws.close(CloseCode::NORMAL, "").await;
    let Happened::Admit(id, path) = next(&mut record).await else { panic!("admit comes first") };
    assert_eq!(path, "/a%20b");
    assert_eq!(next(&mut record).await, Happened::Open(id));
    assert_eq!(next(&mut record).await, Happened::Text(id, "one".into()));
    assert_eq!(next(&mut record).await, Happened::Text(id, "two".into()));
    let ended = Ended::ClosedByPeer { code: CloseCode::NORMAL, clean: true };
    assert_eq!(next(&mut record).await, Happened::Closed(id, Some(ended)));
    server.stop().await;
    assert_eq!(rest(record).await, []);
}

pub(crate) async fn a_refused_client_gets_the_answer_and_is_not_heard_of_again<H: Harness>() {
    let (app, record) = Recorder::new(|_, _| {});
    let server = H::start(app).await;
    let refused = connect(format!("ws://{}/refused", server.address())).await.expect_err("refused");
    let ConnectError::Refused(refusal) = refused else { panic!("{refused}") };
    assert_eq!(refusal.status(), 409);
    assert_eq!(refusal.retry_after(), Some(Duration::from_secs(7)));
    server.stop().await;
    assert_eq!(rest(record).await, []);
}

pub(crate) async fn a_client_that_leaves_during_the_handshake_is_closed_once<H: Harness>() {
    // The app thinks about it until the client is gone.
    let (gone, wait) = blocking::channel::<()>();
    let (app, mut record) = Recorder::new(move |_, happened| {
        if let Happened::Admit(..) = happened {
            let _ = wait.recv();
        }
    });
    let server = H::start(app).await;
    let mut tcp = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    tcp.write_all(wire::HANDSHAKE.as_bytes()).await.unwrap();
    let Happened::Admit(id, _) = next(&mut record).await else { panic!("admit comes first") };
    wire::reset(tcp);
    gone.send(()).unwrap();
    // Whether the loss shows before or after the connection opens is the transport's secret.
    let opened = match next(&mut record).await {
        Happened::Open(open) => open == id,
        Happened::Closed(closed, ended) => {
            assert_eq!((closed, ended), (id, None));
            false
        }
        other => panic!("{other:?}"),
    };
    if opened {
        assert!(matches!(next(&mut record).await, Happened::Closed(closed, Some(_)) if closed == id));
    }
    server.stop().await;
    assert_eq!(rest(record).await, []);
}

pub(crate) async fn a_client_that_is_cut_off_is_closed_once<H: Harness>() {
    let (app, mut record) = Recorder::new(|_, _| {});
    let server = H::start(app).await;
    wire::reset(wire::open(server.address()).await);
    let id = opened(&mut record).await;
    let Happened::Closed(closed, Some(ended)) = next(&mut record).await else { panic!("closed comes last") };
    assert_eq!(closed, id);
    assert!(!ended.is_clean());
    server.stop().await;
    assert_eq!(rest(record).await, []);
}

pub(crate) async fn a_shutdown_closes_every_connection_once<H: Harness>() {
    let (app, mut record) = Recorder::new(|_, _| {});
    let server = H::start(app).await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        let mut ws = client(&server, "/").await;
        clients.push(tokio::spawn(async move {
            while ws.recv().await.is_some() {}
            ws.ended()
        }));
    }
    for _ in 0..5 {
        opened(&mut record).await;
    }
    server.stop().await;
    for client in clients {
        let ended = client.await.unwrap();
        assert_eq!(ended, Some(Ended::ClosedByPeer { code: CloseCode::GOING_AWAY, clean: true }));
    }
    let mut closed = BTreeMap::new();
    for happened in rest(record).await {
        if let Happened::Closed(id, Some(_)) = happened {
            *closed.entry(id).or_insert(0) += 1;
        }
    }
    assert_eq!(closed.into_values().collect::<Vec<_>>(), [1; 5]);
}

pub(crate) async fn messages_arrive_whole_with_their_type<H: Harness>() {
    let (app, mut record) = Recorder::new(|_, _| {});
    let server = H::start(app).await;
    let mut ws = client(&server, "/").await;
    let id = opened(&mut record).await;
    ws.send("").await.unwrap();
    ws.send(vec![0, 255]).await.unwrap();
    let mut message = ws.begin(Kind::Text).await.unwrap();
    // Cut in the middle of a character.
    message.write(&"añ".as_bytes()[..2]).await.unwrap();
    message.finish(&"añ".as_bytes()[2..]).await.unwrap();
    let large = vec![7; 1_000_000];
    ws.send(large.clone()).await.unwrap();
    assert_eq!(next(&mut record).await, Happened::Text(id, String::new()));
    assert_eq!(next(&mut record).await, Happened::Binary(id, vec![0, 255]));
    assert_eq!(next(&mut record).await, Happened::Text(id, "añ".into()));
    assert!(next(&mut record).await == Happened::Binary(id, large));
    server.stop().await;
}

pub(crate) async fn what_is_published_arrives_everywhere_in_one_order<H: Harness>() {
    const CLIENTS: usize = 4;
    const EACH: usize = 100;
    let mut all = Vec::new();
    let (app, mut record) = Recorder::new(move |io, happened| match happened {
        Happened::Open(id) => all.push(*id),
        Happened::Text(_, text) => {
            let delivery = io.publish(&mut all.iter().copied(), Message::Text(text), Slow::Disconnect);
            assert_eq!(delivery, Delivery { sent: CLIENTS as u64, ..Delivery::default() });
        }
        _ => {}
    });
    let server = H::start(app).await;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(client(&server, "/").await);
        opened(&mut record).await;
    }
    let clients: Vec<_> = clients
        .into_iter()
        .enumerate()
        .map(|(number, ws)| {
            tokio::spawn(async move {
                let (sender, mut receiver) = ws.split();
                let sending = async {
                    for message in 0..EACH {
                        sender.send(format!("{number}:{message}")).await.unwrap();
                    }
                };
                let receiving = async {
                    let mut got = Vec::new();
                    while got.len() < CLIENTS * EACH {
                        got.push(receiver.recv().await.unwrap().as_text().unwrap().to_owned());
                    }
                    got
                };
                tokio::join!(sending, receiving).1
            })
        })
        .collect();
    let mut orders = Vec::new();
    for client in clients {
        orders.push(client.await.unwrap());
    }
    assert!(orders.windows(2).all(|pair| pair[0] == pair[1]));
    server.stop().await;
}

pub(crate) async fn timers_fire_in_the_order_of_their_times<H: Harness>() {
    let (app, mut record) = Recorder::new(|io, happened| {
        if let Happened::Text(..) = happened {
            // Of one moment, however long this takes.
            let now = io.now();
            let at = |millis| now + Duration::from_millis(millis);
            for (timer, millis) in [(1, 60), (2, 20), (3, 40), (4, 1), (5, 50), (6, 20)] {
                io.set_timer(timer, at(millis));
            }
            io.set_timer(5, at(80));
            io.cancel_timer(4);
        }
    });
    let server = H::start(app).await;
    let mut ws = client(&server, "/").await;
    ws.send("go").await.unwrap();
    let mut fired = Vec::new();
    while fired.len() < 5 {
        fired.push(until(&mut record, |h| if let Happened::Timer(timer) = h { Some(*timer) } else { None }).await);
    }
    assert_eq!(fired, [2, 6, 3, 1, 5]);
    server.stop().await;
}

pub(crate) async fn after_a_close_no_more_messages_come<H: Harness>() {
    let code = CloseCode::new(4000).unwrap();
    let (app, mut record) = Recorder::new(move |io, happened| {
        if let Happened::Text(id, _) = happened {
            assert_ne!(io.send(*id, Message::Text("bye")), Sent::Closed);
            io.close(*id, code, "enough");
            assert_eq!(io.send(*id, Message::Text("too late")), Sent::Closed);
        }
    });
    let server = H::start(app).await;
    let mut tcp = wire::open(server.address()).await;
    let id = opened(&mut record).await;
    tcp.write_all(&[wire::text("1"), wire::text("2"), wire::text("3")].concat()).await.unwrap();
    let mut got = [0; 15];
    tcp.read_exact(&mut got).await.unwrap();
    assert_eq!(got, *b"\x81\x03bye\x88\x08\x0f\xa0enough");
    tcp.write_all(b"\x88\x82\0\0\0\0\x0f\xa0").await.unwrap();
    assert_eq!(next(&mut record).await, Happened::Text(id, "1".into()));
    let ended = Ended::ClosedByUs { code, clean: true };
    assert_eq!(next(&mut record).await, Happened::Closed(id, Some(ended)));
    server.stop().await;
}

pub(crate) async fn a_busy_connection_is_reported_once_it_has_drained<H: Harness>() {
    const LARGE: usize = 32 * 1024 * 1024;
    let (answer, mut answered) = mpsc::unbounded_channel();
    let (app, mut record) = Recorder::new(move |io, happened| {
        if let Happened::Text(id, _) = happened {
            answer.send(io.send(*id, Message::Binary(&vec![0; LARGE]))).expect("somebody waits");
        }
    });
    let server = H::start(app).await;
    let config = tautline::Config::new().max_frame(u64::MAX).max_message(u64::MAX);
    let mut ws = connect(format!("ws://{}", server.address())).config(config).await.unwrap();
    ws.send("go").await.unwrap();
    let id = until(&mut record, |h| if let Happened::Text(id, _) = h { Some(*id) } else { None }).await;
    // Who reads while it is written may be as fast as the writing, and nothing is queued.
    assert_eq!(answered.recv().await, Some(Sent::Queued));
    assert!(record.is_empty(), "more than the transport takes is waiting");
    assert_eq!(ws.recv().await.unwrap().len(), LARGE);
    assert_eq!(next(&mut record).await, Happened::Drained(id));
    ws.close(CloseCode::NORMAL, "").await;
    assert!(matches!(next(&mut record).await, Happened::Closed(..)));
    server.stop().await;
}

pub(crate) async fn a_client_that_takes_nothing_is_closed_with_1013<H: Harness>() {
    let (app, mut record) = Recorder::new(|io, happened| {
        if let Happened::Text(id, _) = happened {
            let chunk = vec![0; 256 * 1024];
            while io.send(*id, Message::Binary(&chunk)) != Sent::Closed {}
        }
    });
    let server = H::start(app).await;
    let mut tcp = wire::open(server.address()).await;
    tcp.write_all(&wire::text("go")).await.unwrap();
    let id = until(&mut record, |h| if let Happened::Text(id, _) = h { Some(*id) } else { None }).await;
    // The rest of what was queued, and then the reason. The answer ends the connection at once.
    let mut tail = Vec::new();
    while !(tail.len() > 4 && tail[2..].starts_with(b"\x03\xf5")) {
        let mut chunk = vec![0; 1024 * 1024];
        let n = tcp.read(&mut chunk).await.unwrap();
        assert_ne!(n, 0, "a close frame comes");
        tail.extend_from_slice(&chunk[..n]);
        let close = tail.windows(4).rposition(|four| four[0] == 0x88 && four[2..] == [0x03, 0xf5]);
        tail.drain(..close.unwrap_or_else(|| tail.len().saturating_sub(3)));
    }
    tcp.write_all(b"\x88\x82\0\0\0\0\x03\xf5").await.unwrap();
    let (closed, ended) = until(&mut record, |h| match h {
        Happened::Closed(id, ended) => Some((*id, *ended)),
        _ => None,
    })
    .await;
    assert_eq!(closed, id);
    assert_eq!(ended, Some(Ended::ClosedByUs { code: CloseCode::TRY_AGAIN_LATER, clean: true }));
    server.stop().await;
}

pub(crate) async fn a_client_that_sends_faster_than_it_reads_loses_nothing<H: Harness>() {
    const MESSAGES: usize = 400;
    let (app, _record) = Recorder::new(|io, happened| {
        if let Happened::Binary(id, bytes) = happened {
            assert_ne!(io.send(*id, Message::Binary(bytes)), Sent::Closed);
        }
    });
    let server = H::start(app).await;
    let mut tcp = wire::open(server.address()).await;
    let (mut reading, mut writing) = tcp.split();
    let message = |number: usize| vec![number as u8; 60_000];
    let sending = async {
        for number in 0..MESSAGES {
            let head = [0x82, 0xfe, (60_000u16 >> 8) as u8, 60_000u16 as u8, 0, 0, 0, 0];
            writing.write_all(&head).await.unwrap();
            writing.write_all(&message(number)).await.unwrap();
        }
    };
    let receiving = async {
        // Begins once sending has stalled, or is done: 24 MB are more than all buffers on the way hold.
        tokio::time::sleep(Duration::from_millis(300)).await;
        for number in 0..MESSAGES {
            let mut frame = vec![0; 60_004];
            reading.read_exact(&mut frame).await.unwrap();
            assert!(frame[..2] == [0x82, 0x7e] && frame[4..] == message(number));
        }
    };
    tokio::join!(sending, receiving);
    drop(tcp);
    server.stop().await;
}

pub(crate) async fn a_panic_ends_one_connection_and_nothing_else<H: Harness>() {
    let (app, mut record) = Recorder::new(|io, happened| match happened {
        Happened::Text(_, text) if text == "panic" => panic!("on purpose"),
        Happened::Text(id, text) if text == "echo" => {
            io.send(*id, Message::Text(text));
        }
        Happened::Text(..) => io.set_timer(1, Instant::ZERO),
        Happened::Timer(_) => panic!("on purpose"),
        Happened::Admit(_, path) if path == "/panic" => panic!("on purpose"),
        _ => {}
    });
    let server = H::start(app).await;
    let mut bystander = client(&server, "/").await;
    opened(&mut record).await;
    let mut victim = client(&server, "/").await;
    let id = opened(&mut record).await;

    victim.send("panic").await.unwrap();
    assert!(victim.recv().await.is_none());
    assert_eq!(victim.ended(), Some(Ended::ClosedByPeer { code: CloseCode::INTERNAL_ERROR, clean: true }));
    let closed = until(&mut record, |h| if let Happened::Closed(id, _) = h { Some(*id) } else { None }).await;
    assert_eq!(closed, id);

    let refused = connect(format!("ws://{}/panic", server.address())).await.expect_err("refused");
    assert!(matches!(refused, ConnectError::Refused(refusal) if refusal.status() == 500));

    bystander.send("timer").await.unwrap();
    until(&mut record, |h| (*h == Happened::Timer(1)).then_some(())).await;
    bystander.send("echo").await.unwrap();
    assert_eq!(bystander.recv().await.unwrap().as_text(), Some("echo"));
    let mut newcomer = client(&server, "/").await;
    newcomer.send("echo").await.unwrap();
    assert_eq!(newcomer.recv().await.unwrap().as_text(), Some("echo"));
    server.stop().await;
    assert!(rest(record).await.iter().all(|happened| happened.connection() != Some(id)), "it is gone for good");
}
