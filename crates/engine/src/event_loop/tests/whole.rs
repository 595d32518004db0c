//! Frames are never torn and never interleaved.

use tautline_proto::app::{Message, Slow};
use tautline_proto::{CloseCode, OpCode};

use super::support::{Frame, Peer, World, frames};

fn text(text: &str) -> Frame {
    Frame { opcode: OpCode::Text, payload: text.into() }
}

fn pong(payload: &[u8]) -> Frame {
    Frame { opcode: OpCode::Pong, payload: payload.to_vec() }
}

/// Peers that take `room` bytes of what they get: over a plain transport, and over ones that hold some themselves.
fn peers_with_room(world: &mut World, room: usize) -> Vec<Peer> {
    [0, 1, 3, 4096]
        .map(|hold| {
            let peer = world.connect();
            peer.hold(hold);
            peer.take_only(room);
            peer
        })
        .to_vec()
}

#[test]
fn a_pong_overtakes_what_waits_but_tears_no_frame_wherever_a_write_ended() {
    for room in 0..40 {
        let mut world = World::new(|_, _| {});
        for peer in peers_with_room(&mut world, room) {
            world.visit(|io| {
                io.publish(&mut std::iter::once(peer.id), Message::Text("published"), Slow::Disconnect);
                io.send(peer.id, Message::Text("sent"));
            });
            world.visit(|io| io.send(peer.id, Message::Text("later")));
            peer.ping(b"?");
            world.run();
            world.visit(|io| io.send(peer.id, Message::Text("last")));
            peer.take_all();
            world.run();
            let mut all = peer.frames();
            let at = all.iter().position(|frame| *frame == pong(b"?")).expect("a pong");
            all.remove(at);
            assert_eq!(all, ["published", "sent", "later", "last"].map(text), "room {room}");
            // The frames are 11, 6, 7 and 6 bytes; up to 4096 bytes are in the transport's own hand.
            if peer.wire().slices.len() > 1 && room < 24 {
                assert!(at <= 4, "room {room}");
            }
        }
    }
}

#[test]
fn a_pong_leaves_at_the_next_boundary() {
    for (room, at) in [(0, 0), (1, 1), (5, 1), (6, 1), (7, 2), (11, 2), (12, 2), (13, 3)] {
        let mut world = World::new(|_, _| {});
        let peer = world.connect();
        peer.take_only(room);
        world.visit(|io| ["aaaa", "bbbb", "cccc"].map(|text| io.send(peer.id, Message::Text(text))));
        peer.ping(b"?");
        world.run();
        peer.take_all();
        world.run();
        let position = peer.frames().iter().position(|frame| *frame == pong(b"?"));
        assert_eq!(position, Some(at), "after {room} bytes");
    }
}

#[test]
fn a_close_frame_is_the_last_one_wherever_a_write_ended() {
    for room in 0..40 {
        let mut world = World::new(|_, _| {});
        for peer in peers_with_room(&mut world, room) {
            world.visit(|io| ["one", "two"].map(|text| io.send(peer.id, Message::Text(text))));
            peer.ping(b"?");
            world.run();
            world.visit(|io| io.send(peer.id, Message::Text("three")));
            world.visit(|io| io.close(peer.id, CloseCode::NORMAL, "done"));
            peer.ping(b"late");
            world.run();
            for _ in 0..60 {
                peer.take(1);
                world.run();
            }
            let all = peer.frames();
            let texts: Vec<_> = all.iter().filter(|frame| frame.opcode == OpCode::Text).cloned().collect();
            assert_eq!(texts, ["one", "two", "three"].map(text), "room {room}");
            assert_eq!(peer.close_code(), Some(1000), "room {room}");
            assert!(!all.contains(&pong(b"late")), "no pong for what comes behind the close");
        }
    }
}

#[test]
fn a_message_that_a_socket_takes_byte_by_byte_arrives_whole() {
    for len in [0, 1, 125, 126, 300, 20_000] {
        let mut world = World::new(|_, _| {}).with_queue(usize::MAX);
        for peer in peers_with_room(&mut world, 0) {
            let message = "m".repeat(len);
            world.visit(|io| {
                for _ in 0..2 {
                    io.publish(&mut std::iter::once(peer.id), Message::Text(&message), Slow::Disconnect);
                    io.send(peer.id, Message::Text(&message));
                }
            });
            let step = (len / 100).max(1);
            while peer.wire().written.len() < 4 * len + 8 {
                peer.take(step);
                world.run();
            }
            peer.take_all();
            world.run();
            assert_eq!(peer.frames(), vec![text(&message); 4]);
            world.assert_turn_is_empty();
        }
    }
}

#[test]
fn a_large_message_follows_what_was_sent_before_it_in_the_same_turn() {
    for room in [0, 1, 4, 5, 6, 14, 15, 20_000, 60_000, usize::MAX] {
        let mut world = World::new(|_, _| {}).with_queue(usize::MAX);
        for peer in peers_with_room(&mut world, room) {
            let large = "l".repeat(50_000);
            world.visit(|io| {
                for text in ["sm", &large, "all", &large, "end"] {
                    io.send(peer.id, Message::Text(text));
                }
            });
            peer.ping(b"?");
            world.run();
            peer.take_all();
            world.run();
            let all: Vec<Frame> = peer.frames().into_iter().filter(|frame| frame.opcode == OpCode::Text).collect();
            assert!(all == ["sm", &large, "all", &large, "end"].map(text), "room {room}");
        }
    }
}

#[test]
fn nothing_is_left_inside_a_transport() {
    let mut world = World::echo();
    let peer = world.connect();
    peer.hold(100);
    peer.take_only(0);
    peer.send("hello");
    world.run();
    assert_eq!(peer.frames(), [], "the transport holds it");
    peer.take_all();
    world.run();
    assert_eq!(peer.texts(), ["hello"]);
}

#[test]
fn a_client_frame_may_be_cut_anywhere() {
    let input = [
        frames::text("hällo"),
        frames::masked(OpCode::Ping, true, b"ping"),
        frames::fragmented(OpCode::Text, "frägmented".as_bytes(), 3),
        frames::binary(&[7; 300]),
    ]
    .concat();
    let mut whole = World::echo();
    let peer = whole.connect();
    peer.send_bytes(&input);
    whole.run();
    let expected = peer.frames();
    assert_eq!(expected.len(), 4);
    for cut in 1..input.len() {
        let mut world = World::echo();
        let peer = world.connect();
        peer.send_bytes(&input[..cut]);
        world.run();
        peer.send_bytes(&input[cut..]);
        world.run();
        assert_eq!(peer.frames(), expected, "cut at {cut}");
    }
    let mut world = World::echo();
    let peer = world.connect();
    for byte in &input {
        peer.send_bytes(&[*byte]);
        world.run();
    }
    assert_eq!(peer.frames(), expected);
    assert!(world.is_idle(&peer));
}
