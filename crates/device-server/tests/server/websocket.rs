//! WebSockets: handshakes, messages, timers and ends.

use tautline_device_server::{SendError, Settings};
use tautline_proto::app::Message;
use tautline_proto::handshake::server::OriginPolicy;
use tautline_proto::{CloseCode, Config, Kind, Part};

use crate::program::Program;
use crate::support::{Bed, OUT, SECOND, settings};
use crate::ws::{REQUEST, Told, Ws, text};

fn bed() -> Bed<Program> {
    Bed::new(settings(Settings::new().websocket(Config::new().ping_interval(None))), Program::default())
}

fn told(bed: &Bed<Program>) -> Vec<String> {
    bed.with(|program, _| std::mem::take(&mut program.told))
}

#[test]
fn messages_of_every_length_come_back_however_they_are_cut() {
    for chunk in [1, 2, 7, 100, usize::MAX] {
        let mut bed = bed();
        let mut ws = Ws::open(&mut bed, "/echo");
        bed.chunk(chunk);
        let lengths = [0, 1, 125, 126, 127, 500, 511, 512, 513, 1000, 1024, 5000, 65_535, 65_536];
        // Long ones in tiny pieces take long and tell nothing more.
        for len in lengths.into_iter().filter(|&len| len <= chunk.saturating_mul(1000).max(1024)) {
            let payload: Vec<u8> = (0..len).map(|n| n as u8).collect();
            ws.send(Part::Whole(Kind::Binary), &payload);
            assert!(ws.told(&mut bed) == [Told::Binary(payload)], "{len} bytes in pieces of {chunk}");
            let payload = "ñ☃x".repeat(len / 6);
            ws.text(&payload);
            assert!(ws.told(&mut bed) == [Told::Text(payload)], "{len} bytes of text in pieces of {chunk}");
        }
    }
}

#[test]
fn messages_in_fragments_come_back_with_pings_between_them() {
    let mut bed = bed();
    let mut ws = Ws::open(&mut bed, "/echo");
    ws.send(Part::First(Kind::Text), b"one ");
    ws.ping(&bed);
    ws.send(Part::Next, b"");
    ws.send(Part::Next, b"two ");
    ws.ping(&bed);
    ws.send(Part::Last, b"three");
    let told = ws.told(&mut bed);
    assert_eq!(told, [Told::Pong(vec![0, 0, 0, 1]), Told::Pong(vec![0, 0, 0, 2]), text("one two three")]);
}

#[test]
fn many_messages_at_once_come_back_in_order() {
    let mut bed = bed();
    let mut ws = Ws::open(&mut bed, "/echo");
    let messages: Vec<String> = (0..1000).map(|n| format!("message {n}")).collect();
    for message in &messages {
        ws.text(message);
    }
    assert_eq!(ws.told(&mut bed), messages.iter().map(|message| text(message)).collect::<Vec<_>>());
}

#[test]
fn frames_that_come_with_the_request_are_not_lost() {
    let mut bed = bed();
    let client = bed.connect();
    let mut bytes = format!("GET / HTTP/1.1\r\n{REQUEST}\r\n").into_bytes();
    bytes.extend(b"\x81\x82\0\0\0\0hi");
    let answer = bed.exchange(&client, &bytes);
    assert!(answer.ends_with("\r\n\r\n\u{fffd}\x02hi"), "{answer:?}");
}

#[test]
fn the_program_is_told_the_path_the_query_and_the_subprotocol() {
    let mut bed = Bed::new(settings(Settings::new().subprotocols(&["other", "echo_server"])), Program::default());
    let client = bed.connect();
    let request =
        format!("GET /a%20b?c=d HTTP/1.1\r\n{REQUEST}Sec-WebSocket-Protocol: unknown, echo_server, other\r\n\r\n");
    let answer = bed.exchange(&client, request.as_bytes());
    assert!(answer.contains("Sec-WebSocket-Protocol: echo_server\r\n"), "{answer}");
    assert_eq!(told(&bed), [r#"open /a%20b Some("c=d") Some("echo_server")"#]);
}

#[test]
fn handshakes_are_refused_with_the_right_status() {
    let evil = format!("GET / HTTP/1.1\r\n{REQUEST}Origin: https://evil.example\r\n\r\n");
    for (request, status) in [
        (format!("GET /forbidden HTTP/1.1\r\n{REQUEST}\r\n"), 403),
        (evil.clone(), 403),
        (format!("GET / HTTP/1.1\r\n{}\r\n", REQUEST.replace("Version: 13", "Version: 8")), 426),
        (format!("GET / HTTP/1.1\r\n{}\r\n", REQUEST.replace("jZQ==", "")), 400),
        (format!("POST / HTTP/1.1\r\n{REQUEST}\r\n"), 405),
        (format!("GET / HTTP/1.0\r\n{REQUEST}\r\n"), 505),
        // Not a request for a WebSocket, so one for a page.
        (format!("GET / HTTP/1.1\r\n{}\r\n", REQUEST.replace("websocket", "h2c")), 200),
    ] {
        let answer = bed().ask(request.as_bytes());
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
    }
    let mut open = Bed::new(settings(Settings::new().origin(OriginPolicy::Any)), Program::default());
    assert!(open.ask(evil.as_bytes()).starts_with("HTTP/1.1 101 "));
}

#[test]
fn s7_1_1_a_client_that_closes_is_answered_and_the_transport_ended() {
    let mut bed = bed();
    let mut ws = Ws::open(&mut bed, "/echo");
    ws.text("last");
    ws.close(&bed, 4000);
    assert_eq!(ws.told(&mut bed), [text("last"), Told::Close(4000, String::new())]);
    assert!(ws.client.is_dropped());
    assert_eq!(told(&bed)[1..], ["closed: peer closed with 4000 (private use)"]);
}

#[test]
fn what_was_sent_leaves_before_the_close_frame() {
    let mut bed = bed();
    let mut ws = Ws::open(&mut bed, "/");
    bed.with(|program, io| {
        let id = program.ids[0];
        io.send(id, Message::Text("one")).expect("room");
        io.send(id, Message::Binary(b"two")).expect("room");
        io.close(id, CloseCode::new(4001).expect("a code"), "enough");
        assert_eq!(io.send(id, Message::Text("three")), Err(SendError::Closed));
        assert_eq!(io.open_clients(), 0);
    });
    let received = ws.told(&mut bed);
    assert_eq!(received, [text("one"), Told::Binary(b"two".to_vec()), Told::Close(4001, "enough".into())]);
    assert!(ws.client.is_dropped());
    assert_eq!(told(&bed)[1..], ["closed: we closed with 4001 (replaced by another connection)"]);
}

#[test]
fn who_is_being_closed_is_not_heard_any_more() {
    let mut bed = bed();
    let mut ws = Ws::open(&mut bed, "/echo");
    bed.server.stop();
    // On its way already; the program would find that it cannot echo it.
    ws.text("late");
    assert_eq!(ws.told(&mut bed), [Told::Close(1001, String::new())]);
    assert!(ws.client.is_dropped());
}

#[test]
fn violations_end_the_connection_with_their_code() {
    for (frames, code) in [
        (&b"\x81\x02hi"[..], 1002),
        (b"\xc1\x80\0\0\0\0", 1002),
        (b"\x80\x80\0\0\0\0", 1002),
        (b"\x89\xfe\0\x7e\0\0\0\0", 1002),
        (b"\x81\x81\0\0\0\0\xff", 1007),
        (b"\x82\xff\0\0\0\x01\0\0\0\0\0\0\0\0", 1009),
        (b"\x88\x82\0\0\0\0\x03\xed", 1002),
    ] {
        let mut bed = bed();
        let mut ws = Ws::open(&mut bed, "/echo");
        ws.client.send(frames);
        match &ws.told(&mut bed)[..] {
            [Told::Close(found, _)] => assert_eq!(*found, code, "{frames:?}"),
            other => panic!("{frames:?}: {other:?}"),
        }
        assert!(ws.client.is_ended());
        assert!(told(&bed)[1].starts_with("closed: peer broke the protocol"));
        // The place is free at once, though the client's transport may linger.
        bed.pass(2 * SECOND);
        assert!(ws.client.is_dropped());
    }
}

#[test]
fn a_silent_client_is_pinged_and_given_up() {
    let config = Config::new().ping_interval(Some(10 * SECOND)).pong_timeout(5 * SECOND);
    let mut bed = Bed::new(settings(Settings::new().websocket(config)), Program::default());
    let mut ws = Ws::open(&mut bed, "/");
    for _ in 0..5 {
        bed.pass(10 * SECOND);
        assert_eq!(ws.told(&mut bed), [Told::Ping]);
    }
    bed.pass(15 * SECOND);
    assert!(ws.client.is_dropped());
    assert_eq!(told(&bed)[1..], ["closed: peer silent: no answer to a ping in time"]);
}

#[test]
fn a_client_can_be_pinged_at_once() {
    let mut bed = bed();
    let mut ws = Ws::open(&mut bed, "/");
    bed.with(|program, io| io.ping(program.ids[0])).expect("an open connection");
    assert_eq!(ws.told(&mut bed), [Told::Ping]);
    bed.settle();
    assert!(!ws.client.is_ended());
}

#[test]
fn a_message_larger_than_the_queue_is_sent_in_parts() {
    let mut bed = bed();
    let mut ws = Ws::open(&mut bed, "/");
    let large = [b'x'; OUT];
    let mut sent = 0;
    for part in [Part::First(Kind::Binary), Part::Next, Part::Next, Part::Last] {
        bed.with(|program, io| {
            let id = program.ids[0];
            assert_eq!(io.send(id, Message::Binary(&large)), Err(SendError::TooLong));
            assert_eq!(io.send_part(id, Part::Next, b""), if sent > 0 { Ok(()) } else { Err(SendError::OutOfOrder) });
            io.send_part(id, part, &large[..700]).expect("room");
            // The queue is full now.
            assert_eq!(io.send_part(id, Part::Next, &large[..700]), Err(SendError::Full));
        });
        sent += 700;
        let drained = bed.with(|program, _| program.drained);
        bed.settle();
        assert_eq!(bed.with(|program, _| program.drained), drained + 1);
    }
    assert_eq!(ws.told(&mut bed), [Told::Binary(vec![b'x'; sent])]);
}

#[test]
fn connections_that_are_cut_at_any_byte_are_told_once_and_leave_their_places() {
    let mut bed = bed();
    let mut stream = format!("GET / HTTP/1.1\r\n{REQUEST}\r\n").into_bytes();
    let head = stream.len();
    stream.extend(b"\x01\x83\0\0\0\0abc\x80\x83\0\0\0\0abc\x89\x82\0\0\0\0hi\x82\xfe\0\x80\0\0\0\0");
    stream.extend([b'x'; 128]);
    for cut in 0..=stream.len() {
        for reset in [false, true] {
            let client = bed.connect();
            client.send(&stream[..cut]);
            bed.settle();
            if reset {
                client.reset()
            } else {
                client.finish()
            }
            bed.pass(3 * SECOND);
            assert!(client.is_dropped(), "cut at {cut}");
        }
    }
    let told = told(&bed);
    let count = |what: &str| told.iter().filter(|told| told.starts_with(what)).count();
    assert_eq!(count("open"), 2 * (stream.len() - head + 1));
    assert_eq!(count("closed: transport closed without a close frame"), stream.len() - head + 1);
    assert_eq!(count("closed: transport failed"), stream.len() - head + 1);
    assert_eq!(told.len(), count("open") + count("closed"));
}

#[test]
fn random_bytes_never_do_harm() {
    let mut random = fastrand::Rng::with_seed(11);
    let mut bed = bed();
    for _ in 0..500 {
        let ws = Ws::open(&mut bed, "/echo");
        bed.chunk(random.usize(1..100));
        let bytes: Vec<u8> = (0..random.usize(0..400)).map(|_| random.u8(..)).collect();
        // Often a frame that is masked, so that more than the first byte is looked at.
        if random.bool() {
            ws.client.send(&[0x80 | random.u8(..16), 0x80 | random.u8(..126), 0, 0, 0, 0]);
        }
        ws.client.send(&bytes);
        bed.settle();
        ws.client.finish();
        bed.pass(3 * SECOND);
        assert!(ws.client.is_dropped());
    }
    let told = told(&bed);
    assert_eq!(told.iter().filter(|told| told.starts_with("closed")).count(), 500);
}
