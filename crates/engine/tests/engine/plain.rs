//! Connections over TCP, and the engine around them.

use std::sync::mpsc;
use std::time::Duration;

use tautline_engine::{Encoded, PostError, Request, Shown};
use tautline_proto::app::{Message, Slow};
use tautline_proto::handshake::server::Rejection;
use tautline_proto::{CloseCode, Config, Ended, OpCode, Violation};

use crate::support::{Happened, LIMIT, Recorder, admit, ask, connect, counted, engine, frame, handover, pair, text};

const AWAY: CloseCode = CloseCode::GOING_AWAY;

#[test]
fn a_connection_is_admitted_opened_served_and_closed() {
    let engine = engine(1);
    let (app, record) = Recorder::echo();
    let host = engine.host(0, app);
    let admitted = admit(&host.untyped(), "/a%20b").unwrap();
    let id = admitted.id();
    assert_eq!(record.next(), Happened::Admit(id, "/a%20b".into()));
    assert_eq!(record.next(), Happened::Open(id));
    let (server, client) = pair();
    let connection = admitted.adopt(handover(server));
    assert_eq!(connection.id(), id);
    let mut client = crate::support::Client::new(client);
    client.send("hello");
    assert_eq!(client.text(), "hello");
    client.send_bytes(&frame(OpCode::Binary, &[0, 255]));
    assert_eq!(client.message(), [0, 255]);
    client.send_bytes(&frame(OpCode::Ping, b"?"));
    assert_eq!(client.frame().unwrap(), Some((OpCode::Pong, b"?".to_vec())));
    client.close(1000);
    assert_eq!(client.closed(), 1000);
    client.ends();
    assert_eq!(record.next(), Happened::Text(id, "hello".into()));
    assert_eq!(record.next(), Happened::Binary(id, vec![0, 255]));
    let ended = Ended::ClosedByPeer { code: CloseCode::NORMAL, clean: true };
    assert_eq!(record.next(), Happened::Closed(id, Some(ended)));
    assert_eq!(engine.drain(AWAY, LIMIT).unwrap(), 0);
    assert_eq!(record.rest(), [Happened::Dropped]);
}

#[test]
fn what_was_read_or_came_before_the_connection_was_adopted_is_handled() {
    let engine = engine(1);
    let host = engine.host(0, Recorder::echo().0);
    let (server, client) = pair();
    let mut client = crate::support::Client::new(client);
    // The second frame comes in two parts: one was read with the handshake, the other is still in the socket.
    let second = text("second");
    client.send_bytes(&[&second[3..], &text("third")].concat());
    let leftover = [&text("first"), &second[..3]].concat();
    admit(&host, "/").unwrap().adopt(tautline_engine::Handover { leftover, ..handover(server) });
    assert_eq!([client.text(), client.text(), client.text()], ["first", "second", "third"]);
}

#[test]
fn a_client_that_ended_before_its_connection_was_adopted_is_served_and_closed() {
    let engine = engine(1);
    let (app, record) = Recorder::echo();
    let host = engine.host(0, app);
    let (server, client) = pair();
    let mut client = crate::support::Client::new(client);
    client.send("bye");
    client.end();
    let connection = admit(&host, "/").unwrap().adopt(handover(server));
    assert_eq!(client.text(), "bye");
    assert_eq!(record.closed(connection.id()), Some(Ended::TransportClosed));
    client.ends();
}

#[test]
fn a_refused_client_gets_the_answer_and_a_panicking_app_answers_500() {
    let engine = engine(1);
    let (app, record) = Recorder::echo();
    let host = engine.host(0, app);
    assert_eq!(admit(&host, "/refused").unwrap_err(), Rejection::new(409));
    assert_eq!(admit(&host, "/panic").unwrap_err(), Rejection::new(500));
    drop(engine);
    assert_eq!(record.rest(), [Happened::Dropped]);
}

#[test]
fn an_app_is_told_of_a_client_that_left_before_its_connection_opened() {
    let engine = engine(1);
    let (app, record) = Recorder::echo();
    let host = engine.host(0, app);
    let admitted = admit(&host, "/").unwrap();
    let id = admitted.id();
    drop(admitted);
    assert!(record.closed(id).is_none_or(|ended| !ended.is_clean()));
    drop(engine);
    assert_eq!(record.rest(), [Happened::Dropped], "and nothing more");
}

#[test]
fn the_client_address_is_what_the_request_says() {
    let engine = engine(1);
    let (app, record) = Recorder::new(|io, happened| {
        if let Happened::Open(id) | Happened::Closed(id, _) = happened {
            assert_eq!(io.peer(*id), Some("192.0.2.7:99".parse().unwrap()));
        }
    });
    let host = engine.host(0, app);
    let request = Request { peer: Some("192.0.2.7:99".parse().unwrap()), ..Request::default() };
    let admitted = ask(&host, request).unwrap();
    let (server, client) = pair();
    let id = admitted.adopt(handover(server)).id();
    drop(client);
    record.closed(id);
    assert_eq!(counted(&engine, 0, |counters| counters.closed == 1).panics, 0);
}

#[test]
fn large_messages_go_both_ways() {
    let engine = engine(1);
    let host = engine.host(0, Recorder::echo().0);
    let (_, mut client) = connect(&host);
    for len in [100_000, 1024 * 1024, 16 * 1024 * 1024, 70_000] {
        let payload: Vec<u8> = (0..len as u32).map(|at| (at / 3) as u8).collect();
        let frame = frame(OpCode::Binary, &payload);
        let mut writing = client.transport.try_clone().unwrap();
        let sending = std::thread::spawn(move || std::io::Write::write_all(&mut writing, &frame).unwrap());
        assert!(client.message() == payload, "{len} bytes");
        sending.join().unwrap();
    }
}

#[test]
fn a_client_that_sends_faster_than_it_reads_loses_nothing() {
    const MESSAGES: usize = 100_000;
    let engine = engine(1);
    let host = engine.host(0, Recorder::echo().0);
    let (_, mut client) = connect(&host);
    let mut writing = client.transport.try_clone().unwrap();
    let message = |number: usize| format!("{number:0>200}");
    let (stalled, has_stalled) = mpsc::channel();
    let sending = std::thread::spawn(move || {
        // More than all buffers on the way hold: reading begins when nothing goes any more, or when all is sent.
        writing.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
        let all: Vec<u8> = (0..MESSAGES).flat_map(|number| text(&message(number))).collect();
        let mut rest = &all[..];
        while !rest.is_empty() {
            match std::io::Write::write(&mut writing, rest) {
                Ok(n) => rest = &rest[n..],
                Err(_) => drop(stalled.send(())),
            }
        }
    });
    let _ = has_stalled.recv_timeout(LIMIT);
    for number in 0..MESSAGES {
        assert_eq!(client.text(), message(number));
    }
    sending.join().unwrap();
}

#[test]
fn a_client_that_takes_nothing_is_closed_with_1013() {
    let engine = engine(1);
    let (app, record) = Recorder::new(|io, happened| {
        if let Happened::Text(id, _) = happened {
            let chunk = vec![0; 256 * 1024];
            while io.send(*id, Message::Binary(&chunk)) != tautline_proto::app::Sent::Closed {}
        }
    });
    let host = engine.host(0, app);
    let (connection, mut client) = connect(&host);
    client.send("go");
    assert_eq!(client.closed(), 1013);
    client.close(1013);
    let ended = Ended::ClosedByUs { code: CloseCode::TRY_AGAIN_LATER, clean: true };
    assert_eq!(record.closed(connection.id()), Some(ended));
    assert_eq!(counted(&engine, 0, |counters| counters.closed == 1).disconnected, 1);
}

#[test]
fn a_busy_connection_is_reported_once_it_has_drained() {
    const LARGE: usize = 32 * 1024 * 1024;
    let engine = engine(1);
    let (answer, answered) = mpsc::channel();
    let (app, record) = Recorder::new(move |io, happened| {
        if let Happened::Text(id, _) = happened {
            answer.send(io.send(*id, Message::Binary(&vec![0; LARGE]))).expect("somebody waits");
        }
    });
    let host = engine.host(0, app);
    let (connection, mut client) = connect(&host);
    client.send("go");
    // Who reads while it is written may be as fast as the writing, and nothing is queued.
    assert_eq!(answered.recv_timeout(LIMIT), Ok(tautline_proto::app::Sent::Queued));
    assert_eq!(client.message().len(), LARGE);
    let drained = |happened: &Happened| (*happened == Happened::Drained(connection.id())).then_some(());
    record.until(drained);
}

#[test]
fn a_client_that_breaks_a_rule_reads_why_though_more_of_its_input_is_unread() {
    let engine = engine(1);
    let (app, record) = Recorder::echo();
    let host = engine.host(0, app);
    let (connection, mut client) = connect(&host);
    client.send_bytes(&[&b"\x81\x01x"[..], &vec![0; 1024 * 1024]].concat());
    assert_eq!(client.closed(), 1002);
    assert_eq!(client.frame().expect("no reset"), None);
    client.end();
    assert_eq!(record.closed(connection.id()), Some(Ended::Violation(Violation::NotMasked)));
    counted(&engine, 0, |counters| counters.closed == 1);
}

#[test]
fn a_client_that_is_cut_off_is_closed_once() {
    let engine = engine(1);
    let (app, record) = Recorder::echo();
    let host = engine.host(0, app);
    let (connection, mut client) = connect(&host);
    client.send("x");
    record.until(|happened| matches!(happened, Happened::Text(..)).then_some(()));
    // Unread input makes the system reset the connection.
    drop(client);
    assert!(record.closed(connection.id()).is_some_and(|ended| !ended.is_clean()));
    drop(engine);
    assert_eq!(record.rest(), [Happened::Dropped]);
}

#[test]
fn clients_are_pinged_and_answered_ones_live() {
    let engine = engine(1);
    let (app, record) = Recorder::echo();
    let host = engine.host(0, app);
    let adopt = |pong_timeout| {
        let (server, client) = pair();
        let config = Config::new().ping_interval(Some(Duration::from_millis(50))).pong_timeout(pong_timeout);
        let profile = std::sync::Arc::new(tautline_engine::Profile::new(config));
        let request = Request { profile, ..Request::default() };
        (ask(&host, request).unwrap().adopt(handover(server)).id(), crate::support::Client::new(client))
    };
    let (lives, mut client) = adopt(LIMIT);
    let (silent, _silent) = adopt(Duration::from_millis(400));
    let answering = std::thread::spawn(move || {
        while let Ok(Some((opcode, payload))) = client.frame() {
            if opcode == OpCode::Close {
                return;
            }
            assert_eq!(opcode, OpCode::Ping);
            client.send_bytes(&frame(OpCode::Pong, &payload));
        }
    });
    let first = record.until(|h| if let Happened::Closed(id, ended) = h { Some((*id, *ended)) } else { None });
    assert_eq!(first, (silent, Some(Ended::PeerSilent)));
    host.connection(lives).close(CloseCode::NORMAL, "");
    answering.join().unwrap();
}

#[test]
fn timers_come() {
    let engine = engine(1);
    let (app, record) = Recorder::new(|_, _| {});
    let host = engine.host(0, app);
    host.visit(|_, io| {
        let now = io.now();
        for (timer, millis) in [(1, 60), (2, 20), (3, 0)] {
            io.set_timer(timer, now + Duration::from_millis(millis));
        }
    })
    .unwrap();
    assert_eq!([record.next(), record.next(), record.next()], [3, 2, 1].map(Happened::Timer));
}

#[test]
fn a_loop_counts_what_happens() {
    let engine = engine(2);
    let host = engine.host(1, Recorder::echo().0);
    let (connection, mut client) = connect(&host);
    client.send("12345");
    client.text();
    host.publish(vec![connection.id()], &Encoded::new(Message::Text("123")), Slow::Disconnect).unwrap();
    client.text();
    let open = counted(&engine, 1, |counters| counters.messages_out == 2);
    assert_eq!(open.connections(), 1);
    client.close(1000);
    client.ends();
    let counters = counted(&engine, 1, |counters| counters.closed == 1);
    assert_eq!((counters.opened, counters.connections()), (1, 0));
    assert_eq!((counters.messages_in, counters.bytes_in), (1, 6 + 5 + 6 + 2));
    assert_eq!(counters.bytes_out, 2 + 5 + 2 + 3 + 4);
    assert_eq!(counters.writes, 3);
    assert!(counters.reads >= 2 && counters.turns >= 3);
    assert_eq!(engine.counters()[0].opened, 0);
}

#[test]
fn a_drain_closes_every_client_and_waits_for_it() {
    let engine = engine(2);
    let (first, first_record) = Recorder::echo();
    let (second, second_record) = Recorder::echo();
    let mut apps = [Some(first), Some(second)];
    let hosts = engine.host_on_all(|index| apps[index].take().unwrap());
    let clients: Vec<_> = (0..6)
        .map(|number| {
            let (connection, mut client) = connect(&hosts[number % 2]);
            let thread = std::thread::spawn(move || {
                let code = client.closed();
                client.close(code);
                client.ends();
                code
            });
            (connection, thread)
        })
        .collect();
    assert_eq!(engine.drain(AWAY, LIMIT).unwrap(), 0);
    for (_, client) in clients {
        assert_eq!(client.join().unwrap(), 1001);
    }
    for record in [first_record, second_record] {
        let ended = Some(Ended::ClosedByUs { code: AWAY, clean: true });
        let closed = record.rest().into_iter().filter(|h| matches!(h, Happened::Closed(_, how) if *how == ended));
        assert_eq!(closed.count(), 3);
    }
}

#[test]
fn a_drain_drops_whoever_does_not_answer_in_time_and_says_how_many() {
    let engine = engine(1);
    let (app, record) = Recorder::echo();
    let host = engine.host(0, app);
    let (_, mut silent) = connect(&host);
    let admitted = admit(&host, "/").unwrap();
    assert_eq!(engine.drain(AWAY, Duration::from_millis(50)).unwrap(), 2);
    assert_eq!(silent.closed(), 1001);
    silent.ends();
    let rest = record.rest();
    let closed = |h: &&Happened| matches!(h, Happened::Closed(..));
    assert_eq!(rest.iter().filter(closed).count(), 2);
    let gone = |h: &Happened| matches!(h, Happened::Closed(id, _) if *id == admitted.id());
    assert!(rest.iter().any(gone));
    // Without an engine there is nowhere to go.
    let (server, client) = pair();
    admitted.adopt(handover(server));
    crate::support::Client::new(client).ends();
}

#[test]
fn an_engine_that_is_dropped_drops_its_connections_and_apps() {
    let engine = engine(1);
    let (app, record) = Recorder::echo();
    let host = engine.host(0, app);
    let (connection, mut client) = connect(&host);
    record.until(|happened| matches!(happened, Happened::Open(_)).then_some(()));
    drop(engine);
    client.ends();
    let rest = record.rest();
    assert_eq!(rest.len(), 2, "{rest:?}");
    assert!(matches!(rest[0], Happened::Closed(id, Some(_)) if id == connection.id()));
    assert_eq!(rest[1], Happened::Dropped);
    assert_eq!(connection.send(Message::Text("x")), Err(PostError::Ended));
    assert_eq!(host.publish(vec![], &Encoded::new(Message::Text("x")), Slow::Disconnect), Err(PostError::Ended));
    assert_eq!(host.visit(|_, _| {}), Err(PostError::Ended));
    assert_eq!(admit(&host, "/").unwrap_err(), Rejection::new(503));
    connection.close(AWAY, "");
}

#[test]
fn who_looks_sees_what_is_published_to_many_at_once() {
    let engine = engine(1);
    let host = engine.host(0, Recorder::echo().0);
    let mut clients: Vec<_> = (0..8).map(|_| connect(&host)).collect();
    let ids: Vec<_> = clients.iter().map(|(connection, _)| connection.id()).collect();
    let (tell, seen) = mpsc::channel();
    let _inspection = engine.inspect(ids[3], move |shown| tell.send(shown).unwrap()).unwrap();
    assert_eq!(seen.recv_timeout(LIMIT), Ok(Shown::Begun));
    host.publish(ids, &Encoded::new(Message::Text("all")), Slow::Disconnect).unwrap();
    for (_, client) in &mut clients {
        assert_eq!(client.text(), "all");
    }
    let Ok(Shown::Frame(frame)) = seen.recv_timeout(LIMIT) else { panic!("a frame") };
    assert_eq!((frame.head, frame.payload), (vec![0x81, 3], b"all".to_vec()));
    drop(clients);
    assert_eq!(seen.recv_timeout(LIMIT).ok(), None, "the connection is gone");
}
