//! Asking a peer whether it is still there.

mod support;

use std::time::Duration;

use support::*;
use tautline_proto::*;

/// Neither side pings by itself.
fn pair() -> Pair {
    Pair::new(quiet())
}

/// A server alone, opened at [`START`], which never pings by itself.
fn server() -> (Connection<&'static Config>, Control) {
    (Connection::new(quiet(), Role::Server, START, 0), Control::new())
}

/// Hands what is owed to a transport that takes everything. Answers how many frames there were.
fn transmit(connection: &mut Connection<&'static Config>, control: &mut Control, now: Instant) -> usize {
    let mut frames = 0;
    while connection.poll_transmit(now, [0; 4], control, &mut [0; MAX_CONTROL_FRAME]) > 0 {
        frames += 1;
    }
    frames
}

/// One byte of a frame arrives.
fn a_byte(connection: &mut Connection<&'static Config>, control: &mut Control, now: Instant) {
    assert_eq!(connection.receive(now, &mut &mut [0x82][..], control), None);
}

fn pings(side: &Side<&'static Config>) -> usize {
    side.when(|note| matches!(note, Note::Ping(_))).len()
}

#[test]
fn a_peer_that_answers_is_alive_once_and_as_soon_as_its_pong_is_here() {
    let mut pair = pair();
    pair.server.connection.probe(pair.now, SECOND);
    pair.run_for(9 * MS);
    assert!(!pair.server.connection.poll_alive(), "the pong is on its way");
    pair.run_for(MS);
    assert!(pair.server.connection.poll_alive());
    assert!(!pair.server.connection.poll_alive());
    pair.run_for(60 * SECOND);
    assert_eq!((pair.server.ended(), pings(&pair.client)), (None, 1));
    assert_eq!(pair.server.connection.poll_timeout(), None, "all is as before");
}

#[test]
fn an_answer_counts_though_nobody_asks_for_it() {
    let mut pair = pair();
    pair.server.connection.probe(pair.now, SECOND);
    pair.run_for(60 * SECOND);
    assert_eq!(pair.server.ended(), None);
    assert!(pair.server.connection.poll_alive());
}

#[test]
fn a_silent_peer_is_given_up_when_its_time_is_over() {
    let mut pair = pair();
    pair.run_for(100 * SECOND);
    pair.cut();
    pair.server.connection.probe(pair.now, 1500 * MS);
    let over = pair.now + 1500 * MS;
    pair.run_for(60 * SECOND);
    assert_eq!((pair.server.ended(), pair.server.ended_at()), (Some(Ended::PeerSilent), Some(over)));
    assert!(!pair.server.connection.poll_alive());
}

#[test]
fn a_probe_is_over_before_a_long_pong_timeout_and_no_later_than_a_short_one() {
    for (pong_timeout, over) in [(20 * SECOND, 2 * SECOND), (SECOND, SECOND)] {
        let config = leak(Config::new().ping_interval(Some(60 * SECOND)).pong_timeout(pong_timeout));
        let mut pair = Pair::with(quiet(), config, 1);
        pair.cut();
        pair.server.connection.probe(pair.now, 2 * SECOND);
        pair.run_for(60 * SECOND);
        assert_eq!((pair.server.ended(), pair.server.ended_at()), (Some(Ended::PeerSilent), Some(START + over)));
    }
}

#[test]
fn any_byte_is_an_answer() {
    let (mut server, mut control) = server();
    server.probe(START, SECOND);
    transmit(&mut server, &mut control, START);
    a_byte(&mut server, &mut control, START + 999 * MS);
    assert_eq!(server.handle_timeout(START + SECOND), Timeout::Idle);
    assert!(server.poll_alive());
}

#[test]
fn what_was_there_before_is_no_answer() {
    let (mut server, mut control) = server();
    let mut leftover = [0x82];
    assert_eq!(server.receive(START + SECOND, &mut &mut leftover[..], &mut control), None);
    // At the same moment, and shown again later on, as a careful driver does.
    server.probe(START + SECOND, SECOND);
    assert!(!server.poll_alive());
    assert_eq!(server.receive(START + 1500 * MS, &mut &mut leftover[..], &mut control), None);
    assert!(!server.poll_alive());
    transmit(&mut server, &mut control, START + SECOND);
    assert_eq!(server.handle_timeout(START + 2 * SECOND), Timeout::Ended);
    assert_eq!(server.ended(), Some(Ended::PeerSilent));
}

#[test]
fn what_arrives_at_the_moment_of_the_question_is_an_answer() {
    let (mut server, mut control) = server();
    server.probe(START, SECOND);
    a_byte(&mut server, &mut control, START);
    assert!(server.poll_alive());
}

#[test]
fn of_two_probes_the_earlier_deadline_counts_and_one_ping_leaves() {
    for (first, second, over) in [(2, 30, 2), (30, 2, 3), (2, 1, 2)] {
        let (mut server, mut control) = server();
        server.probe(START, first * SECOND);
        let frames = transmit(&mut server, &mut control, START);
        server.probe(START + SECOND, second * SECOND);
        assert_eq!(frames + transmit(&mut server, &mut control, START + SECOND), 1);
        assert_eq!(server.poll_timeout(), Some(START + over * SECOND), "{first} s, and {second} s a second later");
    }
}

#[test]
fn two_probes_have_one_answer_and_a_later_one_has_its_own() {
    let mut pair = pair();
    pair.server.connection.probe(pair.now, SECOND);
    pair.server.connection.probe(pair.now, SECOND);
    for _ in 0..2 {
        pair.run_for(500 * MS);
        assert!(pair.server.connection.poll_alive());
        assert!(!pair.server.connection.poll_alive());
        pair.server.connection.probe(pair.now, SECOND);
    }
    pair.cut();
    pair.run_for(2 * SECOND);
    assert_eq!(pair.server.ended(), Some(Ended::PeerSilent));
}

#[test]
fn a_ping_that_the_transport_does_not_take_in_time_is_our_queue_being_stuck() {
    let mut pair = pair();
    pair.to_client.takes = false;
    pair.server.connection.probe(pair.now, SECOND);
    pair.run_for(60 * SECOND);
    assert_eq!((pair.server.ended(), pair.server.ended_at()), (Some(Ended::SendStuck), Some(START + SECOND)));
}

#[test]
fn a_ping_that_leaves_late_gives_the_peer_no_more_time() {
    let (mut server, mut control) = server();
    server.probe(START, SECOND);
    server.transport_took_bytes(START + 900 * MS);
    transmit(&mut server, &mut control, START + 900 * MS);
    assert_eq!(server.handle_timeout(START + SECOND), Timeout::Ended);
    assert_eq!(server.ended(), Some(Ended::PeerSilent));
}

#[test]
fn a_peer_that_is_heard_though_our_queue_is_stuck_is_alive() {
    let mut pair = pair();
    pair.to_client.takes = false;
    pair.server.connection.probe(pair.now, SECOND);
    let (now, pipe) = (pair.now, &mut pair.to_server);
    pair.client.send(now, Part::Whole(Kind::Text), b"here", pipe).unwrap();
    pair.run_for(2 * SECOND);
    assert!(pair.server.connection.poll_alive());
    assert_eq!(pair.server.ended(), None);
    // The ping is still owed, and has the time that any ping has.
    pair.run_for(20 * SECOND);
    assert_eq!((pair.server.ended(), pair.server.ended_at()), (Some(Ended::SendStuck), Some(START + 20 * SECOND)));
}

#[test]
fn a_connection_that_is_closing_or_closed_is_not_probed() {
    let (mut closing, mut control) = server();
    closing.close(START, CloseCode::NORMAL, "", &mut control);
    transmit(&mut closing, &mut control, START);
    let next = closing.poll_timeout();
    closing.probe(START, MS);
    assert_eq!((closing.poll_timeout(), transmit(&mut closing, &mut control, START)), (next, 0));
    a_byte(&mut closing, &mut control, START + MS);
    assert!(!closing.poll_alive());

    let (mut closed, mut control) = server();
    closed.transport_failed();
    closed.probe(START, MS);
    assert_eq!((closed.poll_timeout(), transmit(&mut closed, &mut control, START)), (None, 0));
    assert_eq!(closed.ended(), Some(Ended::TransportFailed));
}

#[test]
fn a_closing_that_begins_meanwhile_has_its_own_deadline_and_is_the_answer() {
    let (mut server, mut control) = server();
    server.probe(START, SECOND);
    transmit(&mut server, &mut control, START);
    server.close(START, CloseCode::NORMAL, "", &mut control);
    transmit(&mut server, &mut control, START);
    a_byte(&mut server, &mut control, START + MS);
    assert!(!server.poll_alive());
    assert_eq!(server.poll_timeout(), Some(START + 10 * SECOND));
}

#[test]
fn a_probe_moves_no_ping_of_the_interval() {
    let config = leak(Config::new().ping_interval(Some(10 * SECOND)).pong_timeout(10 * SECOND));
    let mut server = Connection::new(config, Role::Server, START, 0);
    let beat = server.poll_timeout();
    server.probe(START, SECOND);
    assert_eq!(server.poll_timeout(), Some(START + SECOND));
    a_byte(&mut server, &mut Control::new(), START);
    transmit(&mut server, &mut Control::new(), START);
    assert_eq!(server.poll_timeout(), beat);
}

#[test]
fn a_stall_of_our_own_program_is_forgiven_once() {
    let (mut server, mut control) = server();
    server.probe(START, 100 * MS);
    transmit(&mut server, &mut control, START);
    let late = 3 * SECOND;
    let awake = START + 100 * MS + late;
    assert_eq!(server.handle_timeout(awake), Timeout::Stalled { late });
    assert_eq!(server.poll_timeout(), Some(awake + 100 * MS));
    assert_eq!(server.handle_timeout(awake + 100 * MS + late), Timeout::Ended);
    assert_eq!(server.ended(), Some(Ended::PeerSilent));
}

#[test]
fn an_answer_from_before_a_stall_is_not_lost() {
    let config = leak(Config::new().ping_interval(None).pong_timeout(SECOND));
    let (mut server, mut control) = (Connection::new(config, Role::Server, START, 0), Control::new());
    server.probe(START, 100 * MS);
    a_byte(&mut server, &mut control, START + MS);
    // The ping has not left: that is late.
    assert!(matches!(server.handle_timeout(START + 10 * SECOND), Timeout::Stalled { .. }));
    assert!(server.poll_alive());
}

#[test]
fn while_we_do_not_read_the_peer_is_asked_again() {
    let (mut server, mut control) = server();
    server.probe(START, SECOND);
    assert_eq!(transmit(&mut server, &mut control, START), 1);
    let mut now = START;
    for _ in 0..5 {
        now = now + SECOND;
        server.not_reading(now);
        assert_eq!(server.handle_timeout(now), Timeout::Idle);
        assert_eq!(transmit(&mut server, &mut control, now), 1);
    }
    // Not for ever: where nothing is taken either, it is over.
    server.not_reading(now + SECOND);
    server.not_reading(now + 2 * SECOND);
    assert_eq!(server.handle_timeout(now + 2 * SECOND), Timeout::Ended);
    assert_eq!(server.ended(), Some(Ended::SendStuck));
}

#[test]
fn a_time_is_rounded_up_and_bounded() {
    let times = [
        (Duration::ZERO, 10 * MS),
        (Duration::from_nanos(1), 10 * MS),
        (10 * MS, 10 * MS),
        (10_001 * Duration::from_micros(1), 20 * MS),
        (Duration::MAX, 655_350 * MS),
    ];
    for (within, rounded) in times {
        let config = leak(Config::new().ping_interval(None).pong_timeout(Config::MAX_DURATION));
        let mut server = Connection::new(config, Role::Server, START, 0);
        server.probe(START, within);
        assert_eq!(server.poll_timeout(), Some(START + rounded), "{within:?}");
    }
}

#[test]
fn every_probe_of_an_open_connection_is_settled_in_time() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let interval = random.bool().then(|| Duration::from_millis(random.u64(1..3_000)));
        let pong_timeout = Duration::from_millis(random.u64(1..3_000));
        let config = leak(Config::new().ping_interval(interval).pong_timeout(pong_timeout));
        let (mut server, mut control) = (Connection::new(config, Role::Server, START, random.u32(..)), Control::new());
        let mut now = START;
        let mut over: Option<Instant> = None;
        for _ in 0..60 {
            // Never so late that it counts as a stall.
            let next = server.poll_timeout().unwrap_or(now + SECOND);
            now = next.min(now + Duration::from_millis(random.u64(0..400))).max(now);
            match random.u8(..6) {
                0 => {
                    let within = Duration::from_millis(random.u64(1..2_000));
                    server.probe(now, within);
                    over = Some(over.map_or(now + within, |over| over.min(now + within)));
                }
                1 => {
                    let mut pong = [0x8a, 0x80, 0, 0, 0, 0];
                    assert!(server.receive(now, &mut &mut pong[..], &mut control).is_some());
                }
                2..5 => {
                    transmit(&mut server, &mut control, now);
                }
                _ => {}
            }
            server.handle_timeout(now);
            assert!(server.poll_timeout().is_none_or(|at| at > now), "seed {seed}: a timer is due already");
            if server.poll_alive() {
                assert!(over.take().is_some(), "seed {seed}: nobody has asked");
            }
            if let Some(ended) = server.ended() {
                assert!(matches!(ended, Ended::PeerSilent | Ended::SendStuck), "seed {seed}: {ended:?}");
                break;
            }
            // Rounded up to hundredths of a second.
            assert!(
                over.is_none_or(|over| over + 10 * MS > now),
                "seed {seed}: the time is over, and nothing is settled"
            );
        }
    }
}
