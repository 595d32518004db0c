//! What the client tells, and when.

use embedded_io_async::ErrorKind;
use tautline_device::{CloseCode, ConnectError, Kind, Message, Part, Settings, Stopped, Text};

use crate::world::*;
use crate::{Run, SETTINGS, with_client};

#[test]
fn a_link_comes_up_carries_messages_both_ways_and_is_closed() {
    let world = World::new();
    with_client(&world, &SETTINGS, |link, notes, run| {
        link.try_send(Message::text("before")).unwrap();
        world.run_until(|| link.is_open(), run);
        assert_eq!(notes.take(), ["before-connect 1", "connected -"]);
        world.server.borrow_mut().text(world.now(), &world.net, "hello");
        link.try_send(Message::binary(b"after")).unwrap();
        world.run_for(SECOND, run);
        assert_eq!(notes.take(), ["data Text fin=true len=5 offset=0 hello"]);
        let messages = [(Kind::Text, "before".to_owned()), (Kind::Binary, "after".to_owned())];
        assert_eq!(world.server.borrow().messages, messages);
        link.stop();
        assert_eq!(world.run_until(|| false, run), Some(Stopped::Asked));
        let told = notes.take();
        assert_eq!(told[0], "closed 1000 \"\" clean=true");
        assert!(told[1].starts_with("disconnected we closed") && told[1].ends_with("for good"), "{told:?}");
    });
}

#[test]
fn a_message_larger_than_the_buffer_arrives_in_pieces_and_nothing_is_lost() {
    for chunk in [1, 7, 100, usize::MAX] {
        let world = World::new();
        world.net.to_client.borrow_mut().chunk = chunk;
        with_client(&world, &SETTINGS, |link, notes, run| {
            world.run_until(|| link.is_open(), run);
            notes.take();
            let text: String = (0..5_000).map(|n| char::from(b'a' + (n % 26) as u8)).collect();
            world.server.borrow_mut().send(world.now(), &world.net, Part::First(Kind::Text), &text.as_bytes()[..3_000]);
            world.server.borrow_mut().send(world.now(), &world.net, Part::Last, &text.as_bytes()[3_000..]);
            world.run_for(SECOND, run);
            let mut arrived = String::new();
            for note in notes.take() {
                let [_, opcode, fin, len, offset, payload] = note.split(' ').collect::<Vec<_>>()[..] else { panic!() };
                let second = arrived.len() >= 3_000;
                assert_eq!(opcode, if second { "Continuation" } else { "Text" });
                assert_eq!(fin, format!("fin={second}"));
                assert_eq!(len, if second { "len=2000" } else { "len=3000" });
                assert_eq!(offset, format!("offset={}", arrived.len() - if second { 3_000 } else { 0 }));
                assert!(payload.len() <= chunk.min(512));
                arrived += payload;
            }
            assert_eq!(arrived, text);
        });
    }
}

#[test]
fn pings_are_told_and_answered_and_answers_are_timed() {
    let world = World::new();
    with_client(&world, &SETTINGS, |link, notes, run| {
        world.run_until(|| link.is_open(), run);
        notes.take();
        world.server.borrow_mut().ping(world.now());
        world.run_for(SECOND, run);
        assert!(notes.has("ping"));
        link.ping();
        world.run_until(|| notes.has("pong"), run);
        assert!(notes.has("pong Some(10ms)"), "{:?}", notes.take());
    });
}

#[test]
fn rfc6455_s5_5_3_each_ping_of_a_burst_has_its_pong() {
    let world = World::new();
    with_client(&world, &SETTINGS, |link, notes, run| {
        world.run_until(|| link.is_open(), run);
        for n in b'0'..=b'9' {
            world.net.to_client.borrow_mut().put(world.now(), &[0x89, 1, n]);
        }
        world.run_for(SECOND, run);
        assert_eq!(notes.count("ping"), 10);
        assert_eq!(world.server.borrow().pongs, b"0123456789");
    });
}

#[test]
fn the_link_is_up_when_that_is_told_and_down_when_that_is() {
    let world = World::new();
    let mut memory = [0; 256];
    let link = tautline_device::Link::<embassy_sync::blocking_mutex::raw::NoopRawMutex>::new(&mut memory);
    let (mut receive, mut transmit) = ([0; 256], [0; 256]);
    let mut client = tautline_device::Client::new(&SETTINGS, &link, &mut receive, &mut transmit);
    let (mut net, mut random) = (world.net.clone(), random(1));
    let seen = std::cell::RefCell::new(Vec::new());
    let mut handler = |event: tautline_device::Event<'_>| match event {
        tautline_device::Event::Connected(_) => seen.borrow_mut().push(("connected", link.is_open())),
        tautline_device::Event::Disconnected { .. } => seen.borrow_mut().push(("disconnected", link.is_open())),
        _ => {}
    };
    let mut run: Run<'_> = Box::pin(client.run(&mut net, &world, &mut random, &mut handler));
    world.run_until(|| link.is_open(), &mut run);
    world.net.to_client.borrow_mut().error = Some(ErrorKind::Other);
    world.run_until(|| !link.is_open(), &mut run);
    assert_eq!(*seen.borrow(), [("connected", true), ("disconnected", false)]);
}

#[test]
fn what_was_answered_is_out_before_a_broken_rule_ends_the_connection() {
    let world = World::new();
    let mut memory = [0; 256];
    let link = tautline_device::Link::<embassy_sync::blocking_mutex::raw::NoopRawMutex>::new(&mut memory);
    let (mut receive, mut transmit) = ([0; 256], [0; 256]);
    let mut client = tautline_device::Client::new(&SETTINGS, &link, &mut receive, &mut transmit);
    let (mut net, mut random) = (world.net.clone(), random(1));
    let mut handler = |event: tautline_device::Event<'_>| {
        if let tautline_device::Event::Data(data) = event {
            link.try_send(Message::binary(data.bytes())).unwrap();
        }
    };
    let mut run: Run<'_> = Box::pin(client.run(&mut net, &world, &mut random, &mut handler));
    world.run_until(|| link.is_open(), &mut run);
    // A message, and a reserved opcode behind it.
    world.net.to_client.borrow_mut().put(world.now(), b"\x82\x02hi\x83\x00");
    world.run_for(SECOND, &mut run);
    assert_eq!(world.server.borrow().texts(), ["hi"]);
}

#[test]
fn a_refusal_is_told_with_its_status_and_decides_what_comes() {
    for (status, retry_after, again) in [(503, 7, true), (404, 0, true), (401, 0, false), (403, 0, false)] {
        let world = World::new();
        let answer = format!("HTTP/1.1 {status} No\r\nRetry-After: {retry_after}\r\n\r\n");
        world.server.borrow_mut().answers.push_back(Answer::Bytes(answer.into_bytes()));
        with_client(&world, &SETTINGS, |link, notes, run| {
            let stopped = world.run_until(|| notes.has("disconnected"), run);
            let told = notes.take();
            assert!(told[1].starts_with(&format!("error the server answered with HTTP status {status}")), "{told:?}");
            assert!(told[2].ends_with(if again { "; again" } else { "; for good" }), "{told:?}");
            let began = world.now();
            if again {
                world.run_until(|| link.is_open(), run);
                assert!(status != 503 || world.now() - began >= retry_after * SECOND);
            } else {
                let stopped = stopped.or_else(|| world.run_for(SECOND, run));
                assert!(matches!(stopped, Some(Stopped::Useless(_))), "{stopped:?}");
            }
        });
    }
}

#[test]
fn what_keeps_it_from_connecting_is_told() {
    for (error, words) in [
        (ConnectError::Lookup, "error the server's name has no address"),
        (ConnectError::Transport(ErrorKind::ConnectionRefused), "error cannot connect: ConnectionRefused"),
        (ConnectError::Tls("another server's certificate"), "error TLS: another server's certificate"),
    ] {
        let world = World::new();
        world.net.attempts.borrow_mut().push_back(Attempt::Fails(error));
        with_client(&world, &SETTINGS, |link, notes, run| {
            world.run_until(|| link.is_open(), run);
            let told = notes.take();
            assert_eq!(told[1], words);
            assert!(told[2].starts_with("disconnected") && told[2].ends_with("again"));
            assert_eq!(told[3..], ["before-connect 2", "connected -"]);
        });
    }
}

#[test]
fn a_silent_server_is_given_up_after_the_pong_timeout() {
    let world = World::new();
    with_client(&world, &SETTINGS, |link, notes, run| {
        world.run_until(|| link.is_open(), run);
        world.net.cut(true);
        let began = world.now();
        world.run_until(|| notes.has("disconnected"), run);
        assert!(notes.has("error peer silent"));
        assert!(world.now() - began <= 40 * SECOND, "{:?}", world.now() - began);
        world.net.cut(false);
        world.run_until(|| link.is_open(), run);
    });
}

#[test]
fn the_servers_close_frame_is_told_and_decides_what_comes() {
    for (code, again) in [(1001, true), (1012, true), (1013, true), (1000, false), (1008, false), (4001, false)] {
        let world = World::new();
        with_client(&world, &SETTINGS, |link, notes, run| {
            world.run_until(|| link.is_open(), run);
            notes.take();
            world.server.borrow_mut().close(world.now(), CloseCode::new(code).unwrap(), "because");
            let stopped = world.run_until(|| notes.has("disconnected"), run).or_else(|| world.run_for(MS, run));
            assert_eq!(matches!(stopped, Some(Stopped::Useless(_))), !again, "{code}");
            let told = notes.take();
            assert_eq!(told[0], format!("closed {code} \"because\" clean=true"));
            assert!(told[1].ends_with(if again { "again" } else { "for good" }));
        });
    }
}

#[test]
fn a_failing_transport_is_told() {
    let world = World::new();
    with_client(&world, &SETTINGS, |link, notes, run| {
        world.run_until(|| link.is_open(), run);
        world.net.to_client.borrow_mut().error = Some(ErrorKind::ConnectionReset);
        world.run_until(|| notes.has("disconnected"), run);
        assert!(notes.has("error transport failed: ConnectionReset"));
        world.run_until(|| link.is_open(), run);
    });
}

#[test]
fn a_server_that_breaks_the_protocol_is_told_so_by_the_code() {
    let world = World::new();
    with_client(&world, &SETTINGS, |link, notes, run| {
        world.run_until(|| link.is_open(), run);
        // A masked frame.
        world.net.to_client.borrow_mut().put(world.now(), b"\x81\x80\0\0\0\0");
        world.run_until(|| notes.has("disconnected"), run);
        assert!(notes.has("error peer broke the protocol: server frame masked"));
        let ended = format!("{:?}", world.server.borrow().ended);
        assert!(ended.contains("1002"), "{ended}");
    });
}

#[test]
fn an_answer_larger_than_the_buffer_is_refused() {
    let world = World::new();
    let answer = format!("HTTP/1.1 101 Yes\r\nX: {}\r\n", "x".repeat(600));
    world.server.borrow_mut().answers.push_back(Answer::Bytes(answer.into_bytes()));
    with_client(&world, &SETTINGS, |link, notes, run| {
        world.run_until(|| link.is_open(), run);
        assert!(notes.has("error the head of the server's answer is too large"), "{:?}", notes.take());
    });
}

#[test]
fn the_request_has_the_path_the_id_and_the_headers() {
    let world = World::new();
    world.server.borrow_mut().subprotocols = &["b"];
    let settings = SETTINGS
        .path("/rooms/lab/{client_id}?x=1")
        .subprotocols(&["a", "b"])
        .origin("http://10.0.0.1:8000")
        .authorization("Bearer secret")
        .user_agent("esp32")
        .headers(&[("X-Site", "lab")]);
    with_client(&world, &settings, |link, notes, run| {
        world.run_until(|| link.is_open(), run);
        assert!(notes.has("connected b"));
        assert_eq!(world.server.borrow().targets, ["/rooms/lab/esp%201?x=1"]);
        let heads = &world.server.borrow().heads;
        for line in [
            "Host: 10.0.0.1:8000",
            "Origin: http://10.0.0.1:8000",
            "Authorization: Bearer secret",
            "User-Agent: esp32",
            "X-Site: lab",
            "Sec-WebSocket-Protocol: a, b",
        ] {
            assert!(heads[0].contains(&format!("\r\n{line}\r\n")), "{heads:?}");
        }
    });
    assert!(!format!("{settings:?}").contains("secret"));
}

#[test]
fn a_random_id_stays_the_same_over_reconnects() {
    let world = World::new();
    let settings = Settings::new("10.0.0.1", 8000);
    with_client(&world, &settings, |link, _, run| {
        for _ in 0..3 {
            world.run_until(|| link.is_open(), run);
            link.reconnect();
            world.run_until(|| !link.is_open(), run);
        }
    });
    let targets = &world.server.borrow().targets;
    assert_eq!(targets.len(), 3);
    assert_eq!(targets[0].len(), 17);
    assert!(targets.iter().all(|target| *target == targets[0]), "{targets:?}");
}

#[test]
fn a_handler_adds_to_the_query() {
    struct Resuming;
    impl tautline_device::Handler for Resuming {
        fn event(&mut self, _: tautline_device::Event<'_>) {}
        fn query(&mut self, query: &mut Text<'_>) {
            query.put("epoch=1&offset=2");
        }
    }
    for (path, target) in [("/a", "/a?epoch=1&offset=2"), ("/a?b", "/a?b&epoch=1&offset=2")] {
        let world = World::new();
        let mut memory = [0; 64];
        let link = tautline_device::Link::<embassy_sync::blocking_mutex::raw::NoopRawMutex>::new(&mut memory);
        let (mut receive, mut transmit) = ([0; 512], [0; 512]);
        let settings = SETTINGS.path(path);
        let mut client = tautline_device::Client::new(&settings, &link, &mut receive, &mut transmit);
        let (mut net, mut random) = (world.net.clone(), random(1));
        let mut handler = Resuming;
        let mut run: Run<'_> = Box::pin(client.run(&mut net, &world, &mut random, &mut handler));
        world.run_until(|| link.is_open(), &mut run);
        assert_eq!(world.server.borrow().targets, [target]);
    }
}

#[test]
fn a_request_that_cannot_be_written_ends_the_client_and_says_why() {
    let world = World::new();
    let settings = SETTINGS.path("no slash");
    with_client(&world, &settings, |_, notes, run| {
        let stopped = world.run_until(|| false, run).unwrap();
        assert!(stopped.to_string().contains("not a valid path"), "{stopped}");
        assert!(notes.has("error the request target is not a valid path"));
    });
    let long = "x".repeat(600);
    let settings = SETTINGS.user_agent(&long);
    with_client(&world, &settings, |_, _, run| {
        let stopped = world.run_until(|| false, run).unwrap();
        assert!(stopped.to_string().contains("bytes are needed"), "{stopped}");
    });
}
