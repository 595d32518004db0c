//! Clients that send faster than they take the answers.

use tautline_proto::app::{Message, Sent, Slow};
use tautline_proto::{Ended, OpCode};

use super::support::{Call, Peer, QUEUE, QUIET, World, frames, secs};

fn texts(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number:0>100}")).collect()
}

fn input(texts: &[String]) -> Vec<u8> {
    texts.iter().flat_map(|text| frames::text(text)).collect()
}

/// A client whose socket takes nothing, and which has sent 1000 messages of 100 bytes.
fn eager() -> (World, Peer) {
    let mut world = World::echo();
    let peer = world.connect();
    peer.take_only(0);
    peer.send_bytes(&input(&texts(500)));
    world.run();
    peer.send_bytes(&input(&texts(1000)[500..]));
    world.run();
    (world, peer)
}

#[test]
fn a_client_that_does_not_take_its_answers_is_read_no_further_and_loses_nothing() {
    let (mut world, peer) = eager();
    let heard = world.texts_from(&peer).len();
    // What leaves in one write before the loop knows is not counted.
    assert!(heard <= 64 * 1024 / 100 + QUEUE / 100 + 2, "{heard} messages are heard");
    assert!(heard < 1000);
    peer.send("last");
    let reads = peer.wire().reads;
    world.run();
    assert_eq!(peer.wire().reads, reads, "nobody reads");
    peer.take_all();
    world.run();
    let mut expected = texts(1000);
    expected.push("last".into());
    assert_eq!(world.texts_from(&peer), expected);
    assert_eq!(peer.texts(), expected);
    assert!(world.is_idle(&peer));
    world.assert_turn_is_empty();
}

#[test]
fn a_client_that_takes_a_little_at_a_time_is_heard_a_little_at_a_time() {
    let (mut world, peer) = eager();
    let mut heard = world.texts_from(&peer).len();
    for _ in 0..1000 {
        peer.take(5000);
        world.run();
        let now = world.texts_from(&peer).len();
        assert!(now - heard <= 64 * 1024 / 102 + QUEUE / 102 + 55, "{} at once", now - heard);
        heard = now;
    }
    assert_eq!(heard, 1000);
    peer.take_all();
    world.run();
    assert_eq!(peer.texts(), texts(1000));
}

#[test]
fn a_paused_client_is_not_declared_dead_for_the_answers_that_nobody_reads() {
    let mut world = World::echo().with_config(QUIET.ping_interval(Some(secs(20))).pong_timeout(secs(5)));
    let peer = world.connect();
    // The ping leaves, and the client stops to take anything before it answers.
    while !peer.frames().iter().any(|frame| frame.opcode == OpCode::Ping) {
        world.pass(secs(1));
    }
    let ping = peer.frames().pop().unwrap().payload;
    peer.forget();
    peer.take_only(0);
    peer.send_bytes(&input(&texts(1000)));
    world.run();
    peer.pong(&ping);
    let heard = world.texts_from(&peer).len();
    world.pass(secs(12));
    assert_eq!(world.texts_from(&peer).len(), heard, "paused all the time");
    assert_eq!(world.ended(&peer), None);
    peer.take_all();
    world.run();
    assert_eq!(peer.texts(), texts(1000));
    assert_eq!(world.ended(&peer), None);
}

#[test]
fn a_client_whose_queue_is_full_of_what_others_caused_is_not_read_either() {
    let mut world = World::echo();
    let [peer, other] = world.connect_some();
    peer.take_only(0);
    for text in texts(30) {
        world.visit(|io| {
            io.publish(&mut [peer.id, other.id].into_iter(), Message::Text(&text), Slow::DropOldest);
        });
    }
    peer.send("question");
    world.run();
    assert_eq!(peer.close_code(), None);
    peer.take_all();
    world.run();
    assert_eq!(peer.close_code(), None, "it asked no more than it may, and is not at fault");
    assert_eq!(peer.texts().last().map(String::as_str), Some("question"));
}

#[test]
fn the_end_of_a_client_that_came_while_it_was_paused_is_noticed() {
    let (mut world, peer) = eager();
    peer.end();
    world.run();
    peer.take_all();
    world.run();
    assert_eq!(peer.texts(), texts(1000));
    assert_eq!(world.ended(&peer), Some(Ended::TransportClosed));
    world.assert_empty();
}

#[test]
fn the_end_of_a_client_that_came_while_it_was_paused_for_large_messages_is_noticed() {
    let mut world = World::echo();
    let peer = world.connect();
    peer.take_only(10);
    for number in 0..40 {
        peer.send_bytes(&frames::binary(&vec![number; 50_000]));
    }
    world.run();
    assert!(peer.unread() > 0, "paused");
    peer.end();
    world.run();
    peer.take_all();
    world.run();
    assert_eq!(peer.frames().len(), 40);
    assert_eq!(world.ended(&peer), Some(Ended::TransportClosed));
    world.assert_empty();
}

#[test]
fn a_paused_client_that_is_cut_off_is_closed_once() {
    let (mut world, peer) = eager();
    peer.reset();
    world.run();
    assert_eq!(world.ended(&peer), Some(Ended::TransportFailed));
    world.assert_empty();
}

#[test]
fn a_paused_client_that_the_app_closes_gets_what_waits_and_is_heard_no_more() {
    let (mut world, peer) = eager();
    let heard = world.texts_from(&peer).len();
    world.visit(|io| io.close(peer.id, tautline_proto::CloseCode::NORMAL, ""));
    peer.close(tautline_proto::CloseCode::NORMAL);
    peer.take_all();
    world.run();
    assert_eq!(world.texts_from(&peer).len(), heard);
    assert_eq!(peer.texts(), texts(heard));
    assert_eq!(peer.close_code(), Some(1000));
    assert!(world.ended(&peer).is_some_and(Ended::is_clean));
    world.assert_empty();
}

#[test]
fn large_messages_pause_a_client_as_well() {
    let mut world = World::echo();
    let peer = world.connect();
    peer.take_only(10);
    let message = |number: u8| vec![number; 50_000];
    let input: Vec<u8> = (0..40).flat_map(|number| frames::binary(&message(number))).collect();
    for piece in input.chunks(33_333) {
        peer.send_bytes(piece);
        world.run();
    }
    assert!(world.binaries_from(&peer).len() <= 4, "{}", world.binaries_from(&peer).len());
    assert!(peer.unread() > input.len() / 2);
    for _ in 0..21 {
        peer.take(100_000);
        world.run();
    }
    let all: Vec<Vec<u8>> = peer.frames().into_iter().map(|frame| frame.payload).collect();
    assert!(all == (0..40).map(message).collect::<Vec<_>>());
}

#[test]
fn a_blocked_client_that_the_app_does_not_answer_is_read_on() {
    let mut world = World::new(|_, _| {});
    let peer = world.connect_blocked("something");
    peer.send_bytes(&input(&texts(1000)));
    world.run();
    assert_eq!(world.texts_from(&peer), texts(1000));
}

#[test]
fn a_client_that_is_paused_again_and_again_by_its_drained_app_gets_everything() {
    // On every drained the app sends a little more of its own.
    let mut more = 20;
    let mut world = World::new(move |io, call| match call {
        Call::Message(id, message) => {
            io.send(id, message);
        }
        Call::Drained(id) if more > 0 => {
            more -= 1;
            while io.send(id, Message::Text("more")) == Sent::Written && more > 0 {
                more -= 1;
            }
        }
        _ => {}
    });
    let peer = world.connect();
    peer.take_only(0);
    peer.send_bytes(&input(&texts(300)));
    world.run();
    for _ in 0..400 {
        peer.take(150);
        world.run();
    }
    let texts_got: Vec<String> = peer.texts().into_iter().filter(|text| text != "more").collect();
    assert_eq!(texts_got, texts(300));
}
