//! Pings, latency, silence, a stuck transport, and our own program standing still.

mod support;

use std::time::Duration;

use support::*;
use tautline_proto::*;

fn config(interval: Duration, timeout: Duration) -> &'static Config {
    leak(Config::new().ping_interval(Some(interval)).pong_timeout(timeout))
}

/// When the server's pings went out.
fn pings(pair: &Pair) -> Vec<Instant> {
    pair.server.when(|note| *note == Note::Timeout(Timeout::Ping))
}

/// A pair of which only the server pings.
fn server_pings(interval: Duration, timeout: Duration, seed: u64) -> Pair {
    Pair::with(quiet(), config(interval, timeout), seed)
}

#[test]
fn the_first_ping_comes_after_a_half_to_the_whole_of_the_interval() {
    let config = config(10 * SECOND, 10 * SECOND);
    for (jitter, after) in [(0, 10 * SECOND), (1 << 31, 7_500 * MS), (u32::MAX, 5 * SECOND)] {
        let connection = Connection::new(config, Role::Server, START, jitter);
        let first = connection.poll_timeout().unwrap() - START;
        assert!(first >= after && first <= after + MS, "{first:?} for {jitter}");
    }
}

#[test]
fn first_pings_of_a_fleet_are_spread_over_half_the_interval() {
    let config = config(10 * SECOND, 10 * SECOND);
    let mut random = fastrand::Rng::with_seed(7);
    let mut buckets = [0; 5];
    for _ in 0..1000 {
        let connection = Connection::new(config, Role::Server, START, random.u32(..));
        let first = connection.poll_timeout().unwrap() - START;
        assert!((5 * SECOND..=10 * SECOND).contains(&first), "{first:?}");
        buckets[((first - 5 * SECOND).as_micros() as usize / 1_000_001).min(4)] += 1;
    }
    assert!(buckets.iter().all(|&count| (120..280).contains(&count)), "{buckets:?}");
}

#[test]
fn pings_keep_their_rhythm() {
    let mut pair = server_pings(10 * SECOND, 10 * SECOND, 3);
    pair.run_for(Duration::from_secs(105));
    let pings = pings(&pair);
    assert!(pings.len() >= 10, "{pings:?}");
    assert!(pings.windows(2).all(|two| two[1] - two[0] == 10 * SECOND), "{pings:?}");
}

#[test]
fn a_late_wake_up_does_not_move_the_rhythm() {
    let config = config(10 * SECOND, 10 * SECOND);
    let mut server = Connection::new(config, Role::Server, START, 0);
    let first = server.poll_timeout().unwrap();
    assert_eq!(server.handle_timeout(first + 300 * MS), Timeout::Ping);
    let mut control = Control::new();
    assert_ne!(server.poll_transmit(first + 300 * MS, [0; 4], &mut control, &mut [0; MAX_CONTROL_FRAME]), 0);
    assert_eq!(server.receive(first + 400 * MS, &mut &mut masked(0x8a, &[0, 0, 0, 1])[..], &mut control), {
        Some(Event::Pong { payload: &[0, 0, 0, 1], latency: Some(100 * MS) })
    });
    assert_eq!(server.poll_timeout(), Some(first + 10 * SECOND));
}

#[test]
fn a_beat_that_was_slept_through_is_not_made_up_for() {
    let config = config(10 * SECOND, 60 * SECOND);
    let mut server = Connection::new(config, Role::Server, START, 0);
    let late = server.poll_timeout().unwrap() + 35 * SECOND;
    assert_eq!(server.handle_timeout(late), Timeout::Ping);
    assert_eq!(server.handle_timeout(late), Timeout::Idle);
    assert_eq!(server.poll_timeout(), Some(late + 10 * SECOND));
}

#[test]
fn without_an_interval_there_is_no_ping_and_no_timer() {
    let mut pair = Pair::new(quiet());
    assert_eq!(pair.server.connection.poll_timeout(), None);
    pair.run_for(Duration::from_secs(3600));
    assert_eq!(pair.server.notes, []);
    assert_eq!(pair.client.notes, []);
}

#[test]
fn latency_is_the_round_trip() {
    for (there, back) in [(1, 1), (5, 5), (40, 200), (700, 3)] {
        let mut pair = server_pings(10 * SECOND, 10 * SECOND, 1);
        pair.to_client.latency = there * MS;
        pair.to_server.latency = back * MS;
        pair.run_for(Duration::from_secs(60));
        let latencies = pair.server.latencies();
        assert!(latencies.len() >= 5);
        assert!(latencies.iter().all(|&latency| latency == (there + back) * MS), "{latencies:?}");
    }
}

#[test]
fn the_last_latency_is_remembered() {
    let mut pair = server_pings(10 * SECOND, 10 * SECOND, 1);
    assert_eq!(pair.server.connection.latency(), None, "no ping was answered");
    for (way, told) in [(20 * MS, 40 * MS), (Duration::from_micros(1_234), Duration::from_micros(2_400))] {
        pair.set_latency(way);
        pair.run_for(30 * SECOND);
        assert_eq!(pair.server.connection.latency(), Some(told));
    }
    pair.set_latency(4 * SECOND);
    pair.run_for(30 * SECOND);
    let longest = pair.server.connection.latency().unwrap();
    assert!((Duration::from_millis(6_500)..Duration::from_millis(6_600)).contains(&longest), "{longest:?}");
}

#[test]
fn latency_counts_from_when_the_transport_takes_the_ping() {
    let mut pair = server_pings(10 * SECOND, 10 * SECOND, 1);
    pair.to_client.takes = false;
    pair.run_for(12 * SECOND);
    assert_eq!(pings(&pair).len(), 1);
    pair.to_client.takes = true;
    pair.run_for(SECOND);
    assert_eq!(pair.server.latencies(), [10 * MS]);
}

#[test]
fn a_ping_of_our_own_is_timed() {
    let mut pair = Pair::new(quiet());
    let number = pair.client.connection.ping(pair.now).unwrap();
    pair.run_for(SECOND);
    assert_eq!(pair.client.notes, [(START + 10 * MS, Note::Pong(number.to_be_bytes().to_vec(), Some(10 * MS)))]);
    let second = pair.client.connection.ping(pair.now).unwrap();
    assert_eq!(second, number + 1);
    pair.run_for(SECOND);
    assert_eq!(pair.client.latencies(), [10 * MS, 10 * MS]);
}

#[test]
fn of_several_pings_on_their_way_the_latest_is_timed() {
    let mut pair = Pair::new(quiet());
    pair.set_latency(50 * MS);
    for _ in 0..3 {
        pair.client.connection.ping(pair.now).unwrap();
        pair.run_for(20 * MS);
    }
    pair.run_for(SECOND);
    assert_eq!(pair.server.when(|note| matches!(note, Note::Ping(_))).len(), 3);
    assert_eq!(pair.client.latencies(), [100 * MS]);
}

#[test]
fn a_pong_that_is_repeated_or_early_has_no_latency() {
    let mut pair = Pair::new(quiet());
    for pong in [[0, 0, 0, 0], [0, 0, 0, 1]] {
        pair.server.receive(pair.now, &masked(0x8a, &pong));
    }
    pair.server.connection.ping(pair.now).unwrap();
    // Not transmitted yet: whoever answers it has guessed.
    pair.server.receive(pair.now, &masked(0x8a, &[0, 0, 0, 1]));
    assert_eq!(pair.server.latencies(), []);
    pair.run_for(SECOND);
    pair.server.receive(pair.now, &masked(0x8a, &[0, 0, 0, 1]));
    assert_eq!(pair.server.latencies(), [10 * MS]);
}

#[test]
fn a_silent_peer_is_given_up() {
    let mut pair = server_pings(10 * SECOND, 4 * SECOND, 1);
    pair.client.running = false;
    let first = pair.server.connection.poll_timeout().unwrap();
    pair.run_for(Duration::from_secs(60));
    assert_eq!(pair.server.ended(), Some(Ended::PeerSilent));
    assert_eq!(pair.server.ended_at(), Some(first + 4 * SECOND));
    assert_eq!(pair.server.closed_at, pair.server.ended_at());
    assert_eq!(Ended::PeerSilent.close_code(), CloseCode::ABNORMAL);
}

#[test]
fn with_10_s_and_10_s_a_cut_link_is_ended_after_at_most_20_s() {
    for seed in 0..40 {
        let mut pair = Pair::seeded(config(10 * SECOND, 10 * SECOND), seed);
        let mut random = fastrand::Rng::with_seed(seed);
        pair.set_latency(Duration::from_millis(random.u64(0..2_000)));
        pair.run_for(Duration::from_millis(random.u64(0..60_000)));
        pair.cut();
        let cut_at = pair.now;
        pair.run_for(Duration::from_secs(60));
        for side in [&pair.client, &pair.server] {
            assert_eq!(side.ended(), Some(Ended::PeerSilent), "seed {seed}");
            let noticed = side.ended_at().unwrap() - cut_at;
            assert!(noticed <= 20 * SECOND, "seed {seed}: {noticed:?}");
        }
    }
}

#[test]
fn a_cut_link_is_noticed_in_20_s_whatever_arrived_last() {
    // Half a header lies in the buffer, and a careful driver shows it again whenever it wakes up.
    let config = config(5 * SECOND, 10 * SECOND);
    let mut server = Connection::new(config, Role::Server, START, 0);
    let mut control = Control::new();
    let mut leftover = [0x82];
    let mut now = START;
    while server.ended().is_none() {
        assert!(now <= START + 15 * SECOND, "bytes that were there before count as new signs of life");
        let mut input = &mut leftover[..];
        assert_eq!(server.receive(now, &mut input, &mut control), None);
        assert_eq!(input.len(), 1);
        while server.poll_transmit(now, [0; 4], &mut control, &mut [0; MAX_CONTROL_FRAME]) > 0 {}
        now = server.poll_timeout().unwrap();
        server.handle_timeout(now);
    }
    assert_eq!(server.ended(), Some(Ended::PeerSilent));
}

#[test]
fn any_byte_is_a_sign_of_life() {
    let mut pair = server_pings(10 * SECOND, 4 * SECOND, 1);
    pair.to_client.cut = true;
    // One byte a second of a long message: such a peer cannot send a pong in between.
    pair.to_server.send(pair.now, &[0x82, 0xfe, 0xff, 0xff, 0, 0, 0, 0]);
    for _ in 0..60 {
        pair.run_for(SECOND);
        pair.to_server.send(pair.now, &[0]);
    }
    assert_eq!(pair.server.ended(), None);
    let last = pair.server.connection.last_heard();
    assert!(pair.now - last <= SECOND);
    pair.to_server.cut = true;
    pair.run_for(30 * SECOND);
    assert_eq!(pair.server.ended(), Some(Ended::PeerSilent));
    assert_eq!(pair.server.ended_at(), Some(pair.server.connection.last_heard() + 4 * SECOND));
}

#[test]
fn a_transport_that_does_not_take_the_ping_is_stuck() {
    let mut pair = server_pings(10 * SECOND, 4 * SECOND, 1);
    let first = pair.server.connection.poll_timeout().unwrap();
    pair.to_client.takes = false;
    // That the peer is alive and talks makes no difference.
    for _ in 0..60 {
        pair.run_for(500 * MS);
        pair.to_server.send(pair.now, &masked(0x8a, b""));
    }
    assert_eq!(pair.server.ended(), Some(Ended::SendStuck));
    assert_eq!(pair.server.ended_at(), Some(first + 4 * SECOND));
}

#[test]
fn a_transport_that_takes_the_ping_in_time_is_not_stuck() {
    let mut pair = server_pings(10 * SECOND, 4 * SECOND, 1);
    let first = pair.server.connection.poll_timeout().unwrap();
    pair.to_client.takes = false;
    pair.run_until(first + 3_999 * MS);
    pair.to_client.takes = true;
    pair.run_for(Duration::from_secs(60));
    assert_eq!(pair.server.ended(), None);
}

#[test]
fn a_stall_of_our_own_program_is_forgiven_once() {
    let mut pair = server_pings(10 * SECOND, 4 * SECOND, 1);
    pair.to_client.cut = true;
    let first = pair.server.connection.poll_timeout().unwrap();
    pair.run_until(first);
    pair.server.running = false;
    pair.run_for(30 * SECOND);
    pair.server.running = true;
    pair.run_for(Duration::ZERO);
    let late = 26 * SECOND;
    assert_eq!(pair.server.when(|note| *note == Note::Timeout(Timeout::Stalled { late })), [first + 30 * SECOND]);
    assert_eq!(pair.server.ended(), None);
    // The peer has as long as after a ping.
    pair.run_for(4 * SECOND);
    assert_eq!(pair.server.ended(), Some(Ended::PeerSilent));
}

#[test]
fn a_program_that_is_always_late_does_not_keep_a_dead_peer_alive() {
    let config = config(10 * SECOND, 4 * SECOND);
    let mut server = Connection::new(config, Role::Server, START, 0);
    let mut control = Control::new();
    let mut stalls = 0;
    let mut now = START;
    for _ in 0..20 {
        now = now + 15 * SECOND;
        stalls += u32::from(matches!(server.handle_timeout(now), Timeout::Stalled { .. }));
        while server.poll_transmit(now, [0; 4], &mut control, &mut [0; MAX_CONTROL_FRAME]) > 0 {}
    }
    assert_eq!(server.ended(), Some(Ended::PeerSilent));
    assert_eq!(stalls, 1);
}

#[test]
fn an_answer_renews_the_forgiveness() {
    let mut pair = server_pings(10 * SECOND, 4 * SECOND, 1);
    for round in 1..=3 {
        pair.to_client.cut = true;
        pair.run_until(pair.server.connection.poll_timeout().unwrap());
        pair.server.running = false;
        pair.run_for(30 * SECOND);
        pair.server.running = true;
        pair.to_client.cut = false;
        pair.run_for(15 * SECOND);
        let stalls = pair.server.when(|note| matches!(note, Note::Timeout(Timeout::Stalled { .. })));
        assert_eq!(stalls.len(), round);
        assert_eq!(pair.server.ended(), None, "round {round}");
    }
}

#[test]
fn what_arrived_during_a_stall_counts() {
    let mut pair = server_pings(10 * SECOND, 4 * SECOND, 1);
    pair.run_until(pair.server.connection.poll_timeout().unwrap());
    // The pong arrives while our program stands still.
    pair.server.running = false;
    pair.run_for(30 * SECOND);
    pair.server.running = true;
    pair.run_for(SECOND);
    assert_eq!(pair.server.when(|note| matches!(note, Note::Timeout(Timeout::Stalled { .. }))), []);
    assert_eq!(pair.server.ended(), None);
}

#[test]
fn a_stuck_transport_is_forgiven_a_stall_as_well() {
    let mut pair = server_pings(10 * SECOND, 4 * SECOND, 1);
    pair.to_client.takes = false;
    pair.run_until(pair.server.connection.poll_timeout().unwrap());
    pair.server.running = false;
    pair.run_for(30 * SECOND);
    pair.server.running = true;
    pair.run_for(3 * SECOND);
    assert_eq!(pair.server.ended(), None);
    pair.run_for(SECOND);
    assert_eq!(pair.server.ended(), Some(Ended::SendStuck));
}

#[test]
fn a_timer_that_is_a_little_late_is_not_a_stall() {
    let config = config(10 * SECOND, 100 * MS);
    let mut server = Connection::new(config, Role::Server, START, 0);
    let mut control = Control::new();
    let ping = server.poll_timeout().unwrap();
    assert_eq!(server.handle_timeout(ping), Timeout::Ping);
    server.poll_transmit(ping, [0; 4], &mut control, &mut [0; MAX_CONTROL_FRAME]);
    assert_eq!(server.handle_timeout(ping + SECOND), Timeout::Ended);
    assert_eq!(server.ended(), Some(Ended::PeerSilent));
}

#[test]
fn after_handle_timeout_no_timer_is_due() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut duration = |most| Duration::from_millis(random.u64(1..most));
        let config = leak(
            Config::new()
                .ping_interval(Some(duration(5_000)))
                .pong_timeout(duration(5_000))
                .close_timeout(duration(5_000)),
        );
        let mut server = Connection::new(config, Role::Server, START, random.u32(..));
        let mut control = Control::new();
        let mut now = START;
        for _ in 0..50 {
            now = now + Duration::from_millis(random.u64(0..8_000));
            match random.u8(..10) {
                0 => drop(server.ping(now)),
                1 => drop(server.receive(now, &mut &mut masked(0x8a, b"?")[..], &mut control)),
                2 if seed % 3 == 0 => server.close(now, CloseCode::NORMAL, "", &mut control),
                _ => {}
            }
            if random.bool() {
                while server.poll_transmit(now, [0; 4], &mut control, &mut [0; MAX_CONTROL_FRAME]) > 0 {}
            }
            let first = server.handle_timeout(now);
            let next = server.poll_timeout();
            assert!(next.is_none_or(|at| at > now), "seed {seed}: after {first:?} a timer is due already");
            assert_eq!(next.is_none(), server.ended().is_some(), "seed {seed}");
            assert_eq!(server.handle_timeout(now), Timeout::Idle, "seed {seed}: after {first:?}");
            assert_eq!(server.poll_timeout(), next, "seed {seed}: asking again changes nothing");
        }
    }
}

#[test]
fn an_early_call_does_nothing() {
    let mut server = Connection::new(config(10 * SECOND, 4 * SECOND), Role::Server, START, 0);
    let next = server.poll_timeout();
    for _ in 0..3 {
        assert_eq!(server.handle_timeout(START + SECOND), Timeout::Idle);
        assert_eq!(server.poll_timeout(), next);
    }
    assert_eq!(server.poll_transmit(START, [0; 4], &mut Control::new(), &mut [0; MAX_CONTROL_FRAME]), 0);
}

/// A client's frame, masked with zeros.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    [&[first, 0x80 | payload.len() as u8, 0, 0, 0, 0], payload].concat()
}
