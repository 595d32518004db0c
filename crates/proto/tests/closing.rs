//! The closing handshake from either side, ends of the transport at every moment, and the deadline of every phase.

mod support;

use std::time::Duration;

use support::*;
use tautline_proto::*;

const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

fn closed_by_peer(code: CloseCode, clean: bool) -> Option<Ended> {
    Some(Ended::ClosedByPeer { code, clean })
}

fn closed_by_us(code: CloseCode, clean: bool) -> Option<Ended> {
    Some(Ended::ClosedByUs { code, clean })
}

#[test]
fn a_close_of_the_client_is_clean_on_both_sides() {
    let mut pair = Pair::new(quiet());
    pair.client.close(pair.now, CloseCode::NORMAL, "done");
    pair.run_to_the_end(SECOND);
    assert_eq!(pair.client.ended(), closed_by_us(CloseCode::NORMAL, true));
    assert_eq!(pair.server.ended(), closed_by_peer(CloseCode::NORMAL, true));
    assert_eq!(pair.server.when(|note| *note == Note::Close(CloseCode::NORMAL, "done".into())), [START + 5 * MS]);
}

#[test]
fn a_close_of_the_server_is_clean_on_both_sides() {
    let mut pair = Pair::new(quiet());
    pair.server.close(pair.now, CloseCode::GOING_AWAY, "");
    pair.run_to_the_end(SECOND);
    assert_eq!(pair.server.ended(), closed_by_us(CloseCode::GOING_AWAY, true));
    assert_eq!(pair.client.ended(), closed_by_peer(CloseCode::GOING_AWAY, true));
}

#[test]
fn closes_that_cross_are_clean_on_both_sides() {
    for seed in 0..50 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut pair = Pair::seeded(quiet(), seed);
        pair.set_latency(20 * MS);
        pair.client.close(pair.now, CloseCode::NORMAL, "client");
        pair.run_for(Duration::from_millis(random.u64(0..20)));
        pair.server.close(pair.now, CloseCode::GOING_AWAY, "server");
        pair.run_to_the_end(SECOND);
        assert_eq!(pair.client.ended(), closed_by_us(CloseCode::NORMAL, true));
        assert_eq!(pair.server.ended(), closed_by_us(CloseCode::GOING_AWAY, true));
    }
}

#[test]
fn s7_1_1_the_server_ends_the_transport_first_whoever_began() {
    for (client_closes, server_closes) in [(true, false), (false, true), (true, true)] {
        let mut pair = Pair::new(quiet());
        if client_closes {
            pair.client.close(pair.now, CloseCode::NORMAL, "");
        }
        if server_closes {
            pair.server.close(pair.now, CloseCode::NORMAL, "");
        }
        pair.run_to_the_end(SECOND);
        assert_eq!(pair.client.closed_at.unwrap() - pair.server.closed_at.unwrap(), 5 * MS);
        assert!(pair.client.end_received, "the client waits for the server's end");
    }
}

#[test]
fn messages_under_way_arrive_before_the_close() {
    for seed in 0..30 {
        let mut pair = Pair::seeded(quiet(), seed);
        pair.to_client.chunk = 3;
        pair.to_client.jitter = 30 * MS;
        for i in 0..20u8 {
            let (part, payload) = (Part::Whole(Kind::Binary), vec![i; usize::from(i) * 9]);
            pair.server.send(pair.now, part, &payload, &mut pair.to_client).unwrap();
        }
        // The client begins to close while they are on their way.
        pair.client.close(pair.now, CloseCode::NORMAL, "");
        pair.run_to_the_end(10 * SECOND);
        let expected: Vec<_> = (0..20u8).map(|i| (Kind::Binary, vec![i; usize::from(i) * 9])).collect();
        assert_eq!(pair.client.messages(), expected, "seed {seed}");
        assert_eq!(pair.client.ended(), closed_by_us(CloseCode::NORMAL, true));
    }
}

#[test]
fn a_second_close_changes_nothing() {
    let mut pair = Pair::new(quiet());
    pair.client.close(pair.now, CloseCode::NORMAL, "first");
    pair.client.close(pair.now, CloseCode::GOING_AWAY, "second");
    pair.run_to_the_end(SECOND);
    assert_eq!(pair.client.ended(), closed_by_us(CloseCode::NORMAL, true));
    assert_eq!(pair.server.when(|note| *note == Note::Close(CloseCode::NORMAL, "first".into())).len(), 1);
    pair.client.close(pair.now, CloseCode::GOING_AWAY, "third");
    assert!(pair.client.control.is_empty());
}

#[test]
fn a_reason_is_cut_to_what_fits_between_characters() {
    for (reason, expected) in [("é".repeat(62), "é".repeat(61)), ("x".repeat(124), "x".repeat(123))] {
        let mut pair = Pair::new(quiet());
        pair.client.close(pair.now, CloseCode::NORMAL, &reason);
        pair.run_to_the_end(SECOND);
        assert_eq!(pair.server.when(|note| *note == Note::Close(CloseCode::NORMAL, expected.clone())).len(), 1);
    }
}

#[test]
fn s7_1_7_a_peer_that_breaks_a_rule_is_told_and_may_read_it() {
    let mut pair = Pair::new(quiet());
    pair.to_server.send(pair.now, b"\x81\x02no");
    pair.run_to_the_end(SECOND);
    assert_eq!(pair.server.ended(), Some(Ended::Violation(Violation::NotMasked)));
    assert_eq!(pair.client.ended(), closed_by_peer(CloseCode::PROTOCOL_ERROR, true));
    let reason = Violation::NotMasked.as_str().to_owned();
    assert_eq!(pair.client.when(|note| *note == Note::Close(CloseCode::PROTOCOL_ERROR, reason.clone())).len(), 1);
    assert!(pair.server.end_received, "the server kept the transport until the client had read why");
}

#[test]
fn s7_1_7_the_surroundings_choose_the_words_for_a_peer_that_breaks_a_rule() {
    struct Terse;
    impl Context for Terse {
        fn config(&self) -> &Config {
            quiet()
        }

        fn reason(&self, _: Violation) -> &'static str {
            "no"
        }
    }
    let (now, mut control) = (Instant::from_millis(1), Control::new());
    let mut connection = Connection::new(Terse, Role::Client, now, 0);
    let mut masked = *b"\x81\x80\0\0\0\0";
    assert_eq!(connection.receive(now, &mut &mut masked[..], &mut control), None);
    let mut out = [0; MAX_CONTROL_FRAME];
    let len = connection.poll_transmit(now, [0; 4], &mut control, &mut out);
    assert_eq!(&out[..len], b"\x88\x84\0\0\0\0\x03\xeano");
}

#[test]
fn s7_1_7_a_peer_that_goes_on_after_breaking_a_rule_is_not_heard() {
    let mut pair = Pair::new(quiet());
    pair.client.running = false;
    pair.to_server.send(pair.now, b"\xff\xff");
    for _ in 0..200 {
        pair.run_for(100 * MS);
        pair.to_server.send(pair.now, b"\x81\x82\0\0\0\0no");
    }
    assert_eq!(pair.server.messages(), []);
    // Nor does it put off the end.
    assert_eq!(pair.server.closed_at, Some(START + 5 * MS + CLOSE_TIMEOUT));
}

/// A connection in every phase of closing, with what has been going on, why it ends, and whether the transport took
/// its frame.
fn phases(role: Role) -> Vec<(&'static str, Connection<&'static Config>, Control, Option<Ended>)> {
    let close = frame(role, 0x88, &1000u16.to_be_bytes());
    let bad = [0xff];
    let code = CloseCode::GOING_AWAY;
    let violation = Some(Ended::Violation(Violation::ReservedBit));
    let phase = |name, steps: &[Step<'_>], ended| {
        let mut connection = Connection::new(leak(Config::new()), role, START, 0);
        let mut control = Control::new();
        steps.iter().for_each(|step| step.take(&mut connection, &mut control));
        (name, connection, control, ended)
    };
    let mut phases = vec![
        phase("close owed", &[Step::Close(code)], closed_by_us(code, false)),
        phase("close sent", &[Step::Close(code), Step::Transmit], closed_by_us(code, false)),
        phase("reply owed", &[Step::Receive(&close)], closed_by_peer(CloseCode::NORMAL, false)),
        phase("crossed, reply owed", &[Step::Close(code), Step::Receive(&close)], closed_by_us(code, false)),
        phase("failure owed", &[Step::Receive(&bad)], violation),
        phase("failure owed while closing", &[Step::Close(code), Step::Receive(&bad)], violation),
        phase("failed", &[Step::Receive(&bad), Step::Transmit], violation),
        phase("failed while closing", &[Step::Close(code), Step::Transmit, Step::Receive(&bad)], violation),
    ];
    if role == Role::Client {
        let steps = [Step::Receive(&close), Step::Transmit];
        phases.push(phase("the peer began, its end awaited", &steps, closed_by_peer(CloseCode::NORMAL, true)));
        let steps = [Step::Close(code), Step::Transmit, Step::Receive(&close)];
        phases.push(phase("we began, the peer's end awaited", &steps, closed_by_us(code, true)));
    }
    phases
}

enum Step<'b> {
    Close(CloseCode),
    Receive(&'b [u8]),
    Transmit,
}

impl Step<'_> {
    fn take(&self, connection: &mut Connection<&'static Config>, control: &mut Control) {
        match self {
            Self::Close(code) => connection.close(START, *code, "", control),
            Self::Receive(bytes) => {
                let mut bytes = bytes.to_vec();
                let mut input = &mut bytes[..];
                while connection.receive(START, &mut input, control).is_some() {}
            }
            Self::Transmit => transmit_all(connection, START, control),
        }
    }
}

#[test]
fn every_phase_of_closing_has_a_deadline() {
    for role in [Role::Client, Role::Server] {
        for (name, mut connection, mut control, ended) in phases(role) {
            let deadline = START + CLOSE_TIMEOUT;
            assert_eq!(connection.poll_timeout(), Some(deadline), "{role:?}, {name}");
            assert_eq!(connection.handle_timeout(START + (CLOSE_TIMEOUT - MS)), Timeout::Idle, "{role:?}, {name}");
            assert_ne!(connection.transport(), Transport::Close, "{role:?}, {name}");
            assert_eq!(connection.handle_timeout(deadline), Timeout::Ended, "{role:?}, {name}");
            over(&mut connection, &mut control, deadline, ended, &format!("{role:?}, {name}"));
        }
    }
}

#[test]
fn a_close_deadline_is_not_put_off_by_what_arrives() {
    let mut pair = Pair::new(quiet());
    pair.client.running = false;
    pair.server.close(pair.now, CloseCode::NORMAL, "");
    for _ in 0..150 {
        pair.to_server.send(pair.now, &frame(Role::Server, 0x89, b"ping"));
        pair.run_for(100 * MS);
    }
    assert_eq!(pair.server.closed_at, Some(START + CLOSE_TIMEOUT));
    assert_eq!(pair.server.ended(), closed_by_us(CloseCode::NORMAL, false));
}

#[test]
fn a_connection_that_is_closing_is_not_pinged_nor_given_up_as_silent() {
    let config =
        leak(Config::new().ping_interval(Some(SECOND)).pong_timeout(SECOND).close_timeout(Duration::from_secs(30)));
    let mut pair = Pair::new(config);
    pair.client.running = false;
    pair.server.close(pair.now, CloseCode::NORMAL, "");
    pair.run_for(Duration::from_secs(29));
    assert_eq!(pair.server.notes, []);
    pair.run_for(SECOND);
    assert_eq!(pair.server.ended(), closed_by_us(CloseCode::NORMAL, false));
}

#[test]
fn the_transport_may_end_or_fail_in_every_phase() {
    for role in [Role::Client, Role::Server] {
        for fails in [false, true] {
            for (name, mut connection, mut control, ended) in phases(role) {
                let what = format!("{role:?}, {name}, fails: {fails}");
                if fails {
                    connection.transport_failed()
                } else {
                    connection.receive_end()
                }
                // A peer that ended its side may still read; one that hears nothing has the deadline.
                let reply_leaves = !fails && name.ends_with("reply owed");
                let ended = match ended {
                    Some(Ended::ClosedByPeer { code, .. }) if reply_leaves => closed_by_peer(code, true),
                    Some(Ended::ClosedByUs { code, .. }) if reply_leaves => closed_by_us(code, true),
                    other => other,
                };
                transmit_all(&mut connection, START, &mut control);
                over(&mut connection, &mut control, START, ended, &what);
            }
        }
    }
}

#[test]
fn a_reply_that_the_transport_never_takes_is_not_clean_even_if_the_peer_ended_its_side() {
    for role in [Role::Client, Role::Server] {
        let mut connection = Connection::new(leak(Config::new()), role, START, 0);
        let mut control = Control::new();
        Step::Receive(&frame(role, 0x88, b"")).take(&mut connection, &mut control);
        connection.receive_end();
        assert_eq!(connection.transport(), Transport::Keep, "the reply may still leave");
        assert_eq!(connection.handle_timeout(START + CLOSE_TIMEOUT), Timeout::Ended);
        let ended = closed_by_peer(CloseCode::NO_STATUS, false);
        over(&mut connection, &mut control, START + CLOSE_TIMEOUT, ended, &format!("{role:?}"));
    }
}

#[test]
fn the_transport_may_end_or_fail_at_every_byte() {
    for role in [Role::Client, Role::Server] {
        let conversation = [
            frame(role, 0x81, b"text"),
            frame(role, 0x89, b"ping"),
            frame(role, 0x02, b"first"),
            frame(role, 0x8a, b""),
            frame(role, 0x80, &[7; 130]),
            frame(role, 0x88, &1000u16.to_be_bytes()),
        ]
        .concat();
        for fails in [false, true] {
            for closing in [false, true] {
                for cut in 0..=conversation.len() {
                    let mut connection = Connection::new(leak(Config::new()), role, START, 0);
                    let mut control = Control::new();
                    if closing {
                        Step::Close(CloseCode::GOING_AWAY).take(&mut connection, &mut control);
                        Step::Transmit.take(&mut connection, &mut control);
                    }
                    Step::Receive(&conversation[..cut]).take(&mut connection, &mut control);
                    Step::Transmit.take(&mut connection, &mut control);
                    if fails {
                        connection.transport_failed()
                    } else {
                        connection.receive_end()
                    }
                    let all = cut == conversation.len();
                    let ended = match (closing, all, fails) {
                        (true, _, _) => closed_by_us(CloseCode::GOING_AWAY, all),
                        (false, true, _) => closed_by_peer(CloseCode::NORMAL, true),
                        (false, false, true) => Some(Ended::TransportFailed),
                        (false, false, false) => Some(Ended::TransportClosed),
                    };
                    over(&mut connection, &mut control, START, ended, &format!("{role:?}, cut at {cut}"));
                }
            }
        }
    }
}

#[test]
fn a_pair_whose_link_is_cut_at_any_time_comes_to_an_end() {
    for seed in 0..100 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut pair = Pair::seeded(leak(Config::new()), seed);
        pair.set_latency(Duration::from_millis(random.u64(1..300)));
        match seed % 3 {
            0 => pair.client.close(pair.now, CloseCode::NORMAL, ""),
            1 => pair.server.close(pair.now, CloseCode::NORMAL, ""),
            _ => {}
        }
        pair.run_for(Duration::from_millis(random.u64(0..1_000)));
        pair.cut();
        pair.run_to_the_end(Duration::from_secs(60));
    }
}

#[test]
fn a_connection_that_has_ended_is_over_whatever_is_done_with_it() {
    for role in [Role::Client, Role::Server] {
        let mut connection = Connection::new(leak(Config::new()), role, START, 0);
        let mut control = Control::new();
        connection.receive_end();
        let ended = connection.ended();
        connection.close(START, CloseCode::NORMAL, "late", &mut control);
        Step::Receive(&frame(role, 0x88, b"")).take(&mut connection, &mut control);
        connection.transport_failed();
        connection.receive_end();
        assert_eq!(connection.ping(START), Err(SendError::Closed));
        over(&mut connection, &mut control, START, ended, &format!("{role:?}"));
    }
}

fn transmit_all(connection: &mut Connection<&'static Config>, now: Instant, control: &mut Control) {
    while connection.poll_transmit(now, [0; 4], control, &mut [0; MAX_CONTROL_FRAME]) > 0 {}
}

/// Nothing is left to do with this connection.
fn over(
    connection: &mut Connection<&'static Config>,
    control: &mut Control,
    now: Instant,
    ended: Option<Ended>,
    what: &str,
) {
    assert_eq!(connection.ended(), ended, "{what}");
    assert_eq!(connection.transport(), Transport::Close, "{what}");
    assert_eq!(connection.poll_timeout(), None, "{what}");
    assert_eq!(connection.handle_timeout(now + CLOSE_TIMEOUT), Timeout::Idle, "{what}");
    assert!(!connection.is_open(), "{what}");
    let mut head = [0; MAX_HEADER];
    let sent = connection.send(Part::Whole(Kind::Text), b"", [0; 4], &mut head);
    assert_eq!(sent, Err(SendError::Closed), "{what}");
    transmit_all(connection, now, control);
    assert!(control.is_empty(), "{what}: something waits for ever");
    let mut late = frame(connection.role(), 0x89, b"late");
    let mut input = &mut late[..];
    assert_eq!(connection.receive(now, &mut input, control), None, "{what}");
    assert!(input.is_empty() && control.is_empty(), "{what}");
    assert_eq!(connection.ended(), ended, "{what}");
}

/// A frame for a connection of this role.
fn frame(to: Role, first: u8, payload: &[u8]) -> Vec<u8> {
    let mut head = [0; MAX_HEADER];
    let mask = (to == Role::Server).then_some([0; 4]);
    let opcode = OpCode::new(first & 0x0f).unwrap();
    let len =
        Header { fin: first & 0x80 != 0, opcode, compressed: false, mask, len: payload.len() as u64 }.encode(&mut head);
    [&head[..len], payload].concat()
}
