//! Keep-alive, whatever the owner of the connection is doing.

use std::pin::pin;
use std::time::Duration;

use tautline::{Config, Ended, OpCode, Role, SendError, Settings, WebSocket};
use tokio::time::{Instant, advance, sleep};

use crate::support::frames::Frame;
use crate::support::logs::Logs;
use crate::support::sim::{Peer, open, open_with};
use crate::support::{MS, SECOND, polled, settle, soon};
use crate::{BOTH, noise, text};

const HOUR: Duration = Duration::from_secs(3600);

/// A connection with the default timers.
fn pinging(role: Role) -> (WebSocket, Peer) {
    open_with(role, Settings::new())
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_while_the_owner_sleeps() {
    for role in BOTH {
        let (ws, peer) = open(role);
        let owner = tokio::spawn(async move {
            sleep(HOUR).await;
            ws
        });
        for n in 1..=5 {
            sleep(SECOND).await;
            peer.send(&[Frame::ping([n])]);
            let sent = Instant::now();
            assert_eq!(peer.wait_frames(n.into()).await.last(), Some(&Frame::pong([n])));
            assert_eq!(sent.elapsed().as_millis(), 0);
        }
        owner.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_soon_after_the_owner_has_turned_away() {
    for role in BOTH {
        let (mut ws, peer) = open(role);
        peer.send(&[Frame::text("do something")]);
        soon(ws.recv()).await.unwrap();
        let owner = tokio::spawn(async move {
            sleep(HOUR).await;
            ws
        });
        let sent = Instant::now();
        peer.send(&[Frame::ping("there?")]);
        assert_eq!(peer.wait_frames(1).await, [Frame::pong("there?")]);
        assert!(sent.elapsed() <= 250 * MS, "{:?}", sent.elapsed());
        owner.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_while_messages_lie_unread() {
    let (ws, peer) = open(Role::Server);
    peer.send(&[Frame::text("unread"), Frame::ping("behind it"), Frame::text("unread")]);
    assert_eq!(peer.wait_frames(1).await, [Frame::pong("behind it")]);
    drop(ws);
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_when_recv_was_begun_and_is_not_polled() {
    let (mut ws, peer) = pinging(Role::Server);
    let mut receiving = pin!(ws.recv());
    assert!(polled(1, &mut receiving).await.is_none());
    peer.answer_pings(MS);
    // The owner does something else, with the future in its hand.
    peer.send(&[Frame::ping("there?")]);
    let start = Instant::now();
    peer.until(|state| state.written.windows(6).any(|bytes| bytes == b"there?")).await;
    assert!(start.elapsed() <= SECOND, "soon, though nobody polls: {:?}", start.elapsed());
    peer.send(&[Frame::text("and a message")]);
    sleep(HOUR).await;
    assert_eq!(soon(receiving).await, text("and a message"), "neither lost nor silent");
}

#[tokio::test(start_paused = true)]
async fn the_peer_is_pinged_while_the_owner_is_busy() {
    for role in BOTH {
        let (ws, peer) = pinging(role);
        peer.answer_pings(5 * MS);
        sleep(HOUR).await;
        let pings = peer.all_frames().iter().filter(|frame| frame.opcode == OpCode::Ping).count();
        assert!((179..=181).contains(&pings), "{pings} pings in an hour");
        assert_eq!(ws.ended(), None);
        assert!(ws.sender().silence() <= 20 * SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn the_peer_is_pinged_while_the_owner_waits_in_recv() {
    let (mut ws, peer) = pinging(Role::Client);
    peer.answer_pings(5 * MS);
    let receiving = tokio::spawn(async move { ws.recv().await });
    sleep(HOUR).await;
    assert!(peer.all_frames().len() >= 179);
    assert!(!receiving.is_finished());
    receiving.abort();
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_given_up_after_interval_and_timeout() {
    for role in BOTH {
        for busy in [true, false] {
            let config = Config::new().ping_interval(Some(10 * SECOND)).pong_timeout(4 * SECOND);
            let (mut ws, peer) = open_with(role, Settings::new().protocol(config));
            let start = Instant::now();
            let owner = tokio::spawn(async move {
                if busy {
                    sleep(HOUR).await;
                }
                (ws.recv().await, ws.ended())
            });
            peer.until(|state| !state.written.is_empty()).await;
            let pinged = start.elapsed();
            assert!((5 * SECOND..=10 * SECOND + MS).contains(&pinged), "with jitter: {pinged:?}");
            peer.wait_dropped().await;
            let silent = start.elapsed() - pinged;
            assert!((4 * SECOND..=4 * SECOND + 5 * MS).contains(&silent), "{silent:?}");
            assert_eq!(owner.await.unwrap(), (None, Some(Ended::PeerSilent)));
            assert_eq!(peer.all_frames().len(), 1, "nobody would read a close frame");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_is_busy_finds_the_silence_later() {
    let (mut ws, _peer) = pinging(Role::Client);
    sleep(60 * SECOND).await;
    assert_eq!(ws.ended(), Some(Ended::PeerSilent));
    assert_eq!(ws.recv().await, None);
    assert_eq!(ws.send("x").await, Err(SendError::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_peer_in_the_middle_of_a_long_message_is_not_silent() {
    let (ws, peer) = pinging(Role::Server);
    let bytes = Frame::binary(noise(1_000)).bytes(Role::Client);
    for byte in &bytes[..100] {
        peer.send_bytes([*byte]);
        sleep(5 * SECOND).await;
    }
    assert_eq!(ws.ended(), None);
}

#[tokio::test(start_paused = true)]
async fn a_pong_that_has_arrived_counts_even_if_the_receiving_task_has_not_seen_it_yet() {
    let config = Config::new().ping_interval(Some(10 * SECOND)).pong_timeout(4 * SECOND);
    let (mut ws, peer) = open_with(Role::Client, Settings::new().protocol(config));
    let end = ws.end_watch();
    // A task that waits in `recv` and does not get its turn.
    let mut receiving = pin!(ws.recv());
    assert!(polled(1, &mut receiving).await.is_none());
    let ping = peer.wait_frames(1).await.remove(0);
    peer.send(&[Frame::pong(ping.payload), Frame::text("alive")]);
    sleep(4 * SECOND + 10 * MS).await;
    assert_eq!(end.ended(), None);
    assert_eq!(soon(receiving).await, text("alive"));
}

#[tokio::test(start_paused = true)]
async fn a_peer_is_not_silent_because_nobody_receives() {
    let (mut ws, peer) = pinging(Role::Server);
    peer.answer_pings(MS);
    for _ in 0..100 {
        peer.send(&[Frame::binary(noise(10_000))]);
    }
    sleep(HOUR).await;
    assert!(peer.unread() > 0, "the peer has to wait");
    for _ in 0..100 {
        assert_eq!(soon(ws.recv()).await.map(|message| message.len()), Some(10_000));
    }
    assert_eq!(ws.ended(), None);
}

#[tokio::test(start_paused = true)]
async fn without_an_interval_nobody_is_pinged_and_nobody_is_silent() {
    let (ws, peer) = open(Role::Server);
    sleep(24 * HOUR).await;
    assert_eq!(ws.ended(), None);
    assert_eq!(peer.writes(), 0);
    assert_eq!(ws.sender().silence(), 24 * HOUR);
}

// ---- asking ----

#[tokio::test(start_paused = true)]
async fn ping_answers_the_round_trip_time() {
    for role in BOTH {
        for receiving in [true, false] {
            let (ws, peer) = open(role);
            let (sender, mut receiver) = ws.split();
            peer.answer_pings(70 * MS);
            if receiving {
                tokio::spawn(async move { receiver.recv().await });
            }
            let latency = soon(sender.ping()).await.unwrap();
            assert!((70 * MS..75 * MS).contains(&latency), "{latency:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn ping_right_behind_a_message_is_as_quick() {
    let (mut ws, peer) = open(Role::Server);
    peer.answer_pings(10 * MS);
    peer.send(&[Frame::text("x")]);
    soon(ws.recv()).await.unwrap();
    let latency = soon(ws.ping()).await.unwrap();
    assert!(latency < 15 * MS, "{latency:?}");
}

#[tokio::test(start_paused = true)]
async fn two_tasks_can_ping_at_once() {
    let (ws, peer) = open(Role::Client);
    peer.answer_pings(50 * MS);
    let ask = |sender: tautline::Sender| tokio::spawn(async move { sender.ping().await });
    let (first, second) = (ask(ws.sender()), ask(ws.sender()));
    settle().await;
    sleep(20 * MS).await;
    let third = ask(ws.sender());
    for ping in [first, second, third] {
        soon(ping).await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn ping_learns_of_the_peers_silence() {
    let (mut ws, _peer) = open(Role::Server);
    let start = Instant::now();
    assert_eq!(ws.ping().await, Err(SendError::Closed));
    assert_eq!(start.elapsed().as_secs(), 20, "the default pong timeout");
    assert_eq!(ws.ended(), Some(Ended::PeerSilent));
}

#[tokio::test(start_paused = true)]
async fn ping_learns_of_the_end() {
    let (mut ws, peer) = open(Role::Server);
    let pinging = tokio::spawn(async move { ws.ping().await });
    peer.wait_frames(1).await;
    peer.send(&[Frame::close(1000, "")]);
    assert_eq!(soon(pinging).await.unwrap(), Err(SendError::Closed));
}

#[tokio::test(start_paused = true)]
async fn an_unasked_pong_is_ignored() {
    let (mut ws, peer) = open(Role::Server);
    peer.send(&[Frame::pong(""), Frame::pong("x"), Frame::pong([0, 0, 0, 9]), Frame::text("fine")]);
    assert_eq!(soon(ws.recv()).await, text("fine"));
}

#[tokio::test(start_paused = true)]
async fn any_byte_answers_a_probe_whoever_receives() {
    for role in BOTH {
        for receiving in [true, false] {
            let (ws, peer) = open(role);
            let (sender, mut receiver) = ws.split();
            if receiving {
                tokio::spawn(async move { receiver.recv().await });
            }
            let asked = Instant::now();
            let probing = tokio::spawn(async move { sender.probe(2 * SECOND).await.map(|()| sender) });
            assert_eq!(peer.wait_frames(1).await[0].opcode, OpCode::Ping);
            sleep(SECOND).await;
            peer.send_bytes([0x81]);
            let sender = soon(probing).await.unwrap().unwrap();
            assert!(asked.elapsed() < SECOND + 300 * MS, "{:?}", asked.elapsed());
            // Which is no answer to the next question.
            assert_eq!(soon(sender.probe(2 * SECOND)).await, Err(SendError::Closed));
            assert_eq!(sender.ended(), Some(Ended::PeerSilent));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_shorter_of_two_probes_counts_and_a_dropped_one_goes_on() {
    let (ws, peer) = open(Role::Server);
    let sender = ws.sender();
    let start = Instant::now();
    assert!(polled(1, pin!(sender.probe(HOUR))).await.is_none());
    let second = sender.clone();
    let second = tokio::spawn(async move { second.probe(3 * SECOND).await });
    sleep(SECOND).await;
    assert!(polled(1, pin!(sender.probe(SECOND))).await.is_none());
    assert_eq!(soon(second).await.unwrap(), Err(SendError::Closed));
    assert_eq!((start.elapsed().as_secs(), sender.ended()), (2, Some(Ended::PeerSilent)));
    assert_eq!(peer.all_frames().len(), 1, "one ping asked for all of them");
}

// ---- stuck, stalled ----

#[tokio::test(start_paused = true)]
async fn a_transport_that_does_not_take_our_ping_is_given_up() {
    for role in BOTH {
        for room in [0, 1_000] {
            let (mut ws, peer) = pinging(role);
            peer.take_only(room);
            ws.send(noise(50_000)).await.unwrap();
            let start = Instant::now();
            // The peer is alive all the time: it is our queue that does not move.
            while ws.ended().is_none() {
                assert!(start.elapsed() < 60 * SECOND);
                peer.send(&[Frame::pong("alive")]);
                sleep(SECOND).await;
            }
            assert_eq!(ws.ended(), Some(Ended::SendStuck));
            let took = start.elapsed();
            assert!((30 * SECOND..=42 * SECOND).contains(&took), "{took:?}");
            peer.wait_dropped().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_transport_that_moves_a_little_is_not_stuck() {
    let (mut ws, peer) = pinging(Role::Server);
    peer.answer_pings(MS);
    peer.take_only(0);
    ws.send(noise(100_000)).await.unwrap();
    for _ in 0..14 {
        sleep(5 * SECOND).await;
        peer.take_only(10_000);
    }
    peer.take_all();
    sleep(60 * SECOND).await;
    assert_eq!(ws.ended(), None);
}

#[tokio::test(start_paused = true)]
async fn when_our_own_program_stood_still_the_peer_gets_another_chance() {
    for role in BOTH {
        let logs = Logs::capture();
        let (ws, peer) = pinging(role);
        peer.wait_frames(1).await;
        // The process was suspended, or a handler blocked the thread: what the peer sent is not here yet.
        advance(HOUR).await;
        settle().await;
        assert_eq!(ws.ended(), None);
        assert_eq!(logs.with("stood still").len(), 1, "{:?}", logs.lines());
        peer.answer_pings(MS);
        sleep(60 * SECOND).await;
        assert_eq!(ws.ended(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_stays_silent_after_the_second_chance_is_given_up() {
    let (ws, peer) = pinging(Role::Server);
    peer.wait_frames(1).await;
    advance(HOUR).await;
    sleep(60 * SECOND).await;
    assert_eq!(ws.ended(), Some(Ended::PeerSilent));
}
