//! Closing, from either side.

use tautline_proto::app::{Message, Sent};
use tautline_proto::{CloseCode, Ended, Violation};

use super::support::{Call, Happened, World, echo, frames, secs};

const BYE: CloseCode = CloseCode::NORMAL;

#[test]
fn a_client_that_closes_gets_the_answers_to_what_it_sent_before_and_a_reply() {
    let mut world = World::echo();
    let peer = world.connect();
    peer.send_bytes(&[frames::text("1"), frames::text("2")].concat());
    peer.close(BYE);
    world.run();
    assert_eq!(peer.texts(), ["1", "2"]);
    assert_eq!(peer.close_code(), Some(1000));
    assert_eq!(peer.writes(), 1);
    assert_eq!(world.ended(&peer), Some(Ended::ClosedByPeer { code: BYE, clean: true }));
    world.assert_empty();
}

#[test]
fn a_client_that_closes_while_blocked_gets_what_waits_before_the_reply() {
    let mut world = World::echo();
    let peer = world.connect_blocked("waits");
    peer.close(BYE);
    world.run();
    assert_eq!(world.ended(&peer), None, "the last word is not said");
    assert_eq!(world.visit(|io| io.send(peer.id, Message::Text("x"))), Sent::Closed);
    peer.take_all();
    world.run();
    assert_eq!(peer.texts(), ["waits"]);
    assert_eq!(peer.close_code(), Some(1000));
    assert_eq!(world.ended(&peer), Some(Ended::ClosedByPeer { code: BYE, clean: true }));
    world.assert_empty();
}

#[test]
fn a_client_that_closes_and_ends_its_side_still_gets_the_reply() {
    let mut world = World::echo();
    let peer = world.connect_blocked("waits");
    peer.close(BYE);
    peer.end();
    world.run();
    assert!(!peer.dropped());
    peer.take_all();
    world.run();
    assert_eq!(peer.close_code(), Some(1000));
    assert_eq!(world.ended(&peer), Some(Ended::ClosedByPeer { code: BYE, clean: true }));
    world.assert_empty();
}

#[test]
fn a_client_that_is_cut_off_while_blocked_is_closed_once() {
    let mut world = World::echo();
    let peer = world.connect_blocked("waits");
    peer.reset();
    world.run();
    assert_eq!(world.ended(&peer), Some(Ended::TransportFailed));
    world.assert_empty();
}

#[test]
fn what_was_sent_before_a_close_still_leaves_and_nothing_after_it() {
    let mut world = World::new(|io, call| {
        if let Call::Message(id, _) = call {
            assert_eq!(io.send(id, Message::Text("bye")), Sent::Written);
            io.close(id, BYE, "enough");
            io.close(id, CloseCode::POLICY_VIOLATION, "again");
            assert_eq!(io.send(id, Message::Text("too late")), Sent::Closed);
        }
    });
    let peer = world.connect();
    peer.send_bytes(&[frames::text("1"), frames::text("2"), frames::text("3")].concat());
    world.run();
    assert_eq!(peer.texts(), ["bye"]);
    assert_eq!(peer.frames().last().unwrap().payload, b"\x03\xe8enough");
    assert_eq!(peer.writes(), 1);
    peer.send("4");
    world.run();
    assert_eq!(world.texts_from(&peer), ["1"], "nothing more is heard");
    peer.close(BYE);
    world.run();
    assert_eq!(world.ended(&peer), Some(Ended::ClosedByUs { code: BYE, clean: true }));
    world.assert_empty();
}

#[test]
fn a_busy_connection_that_is_closed_is_not_reported_as_drained() {
    let mut world = World::echo();
    let peer = world.connect_blocked("waits");
    world.visit(|io| assert_eq!(io.send(peer.id, Message::Text("too")), Sent::Queued));
    world.visit(|io| io.close(peer.id, BYE, ""));
    peer.take_all();
    world.run();
    assert_eq!(peer.texts(), ["waits", "too"]);
    peer.close(BYE);
    world.run();
    assert!(!world.of(&peer).contains(&Happened::Drained(peer.id)));
    assert!(world.ended(&peer).is_some_and(Ended::is_clean));
}

#[test]
fn a_connection_can_be_closed_in_any_call() {
    for kind in ["open", "message", "drained", "timer", "closed"] {
        let mut own = None;
        let mut world = World::new(move |io, call| match call {
            Call::Open(id) => {
                own = Some(id);
                io.set_timer(1, io.now() + secs(1));
                if kind == "open" {
                    io.close(id, BYE, "");
                }
            }
            Call::Message(id, _) if kind == "message" => io.close(id, BYE, ""),
            Call::Message(id, message) => {
                io.send(id, message);
            }
            Call::Drained(id) if kind == "drained" => io.close(id, BYE, ""),
            Call::Timer(_) if kind == "timer" => io.close(own.unwrap(), BYE, ""),
            Call::Closed(id, _) if kind == "closed" => io.close(id, BYE, ""),
            _ => {}
        });
        let peer = world.connect();
        if kind != "open" {
            peer.take_only(0);
            peer.send("a");
            world.run();
            peer.send("b");
            world.run();
            peer.take_all();
        }
        world.pass(secs(2));
        if kind != "closed" {
            assert_eq!(peer.close_code(), Some(1000), "{kind}");
        }
        peer.close(BYE);
        world.run();
        assert!(world.ended(&peer).is_some_and(Ended::is_clean), "{kind}");
        world.assert_empty();
    }
}

#[test]
fn a_client_that_breaks_a_rule_is_told_and_read_on_until_it_ends() {
    let mut world = World::echo();
    let peer = world.connect();
    peer.send("fine");
    // Not masked (RFC 6455 5.1).
    peer.send_bytes(b"\x81\x01x");
    world.run();
    assert_eq!(peer.texts(), ["fine"]);
    assert_eq!(peer.close_code(), Some(1002));
    assert_eq!(peer.writes(), 1);
    assert!(peer.wire().shut, "our direction has ended");
    assert!(!peer.dropped(), "or the reset could overtake the close frame");
    assert_eq!(world.ended(&peer), Some(Ended::Violation(Violation::NotMasked)));
    for _ in 0..100 {
        peer.send_bytes(&[0x81; 100_000]);
        world.run();
    }
    assert_eq!(peer.unread(), 0, "it is read");
    assert_eq!(world.texts_from(&peer), ["fine"], "and discarded");
    peer.end();
    world.run();
    assert_eq!(world.ended(&peer), Some(Ended::Violation(Violation::NotMasked)));
    world.assert_empty();
}

#[test]
fn a_client_that_breaks_a_rule_and_does_not_end_has_the_close_timeout() {
    let mut world = World::echo();
    let peer = world.connect();
    peer.send_bytes(b"\x81\x01x");
    world.pass(secs(9));
    assert!(!peer.dropped());
    peer.send_bytes(b"more");
    world.pass(secs(2));
    assert!(peer.dropped());
    world.assert_empty();
}

#[test]
fn a_blocked_client_that_breaks_a_rule_is_told_behind_what_waits() {
    let mut world = World::echo();
    let peer = world.connect_blocked("waits");
    peer.hold(100);
    peer.send_bytes(b"\x81\x01x");
    world.run();
    assert!(!peer.wire().shut);
    peer.take(8);
    world.run();
    assert!(!peer.wire().shut, "the transport holds a part of the close frame");
    peer.take_all();
    world.run();
    assert_eq!(peer.texts(), ["waits"]);
    assert_eq!(peer.close_code(), Some(1002));
    assert!(peer.wire().shut);
    peer.end();
    world.run();
    assert_eq!(world.ended(&peer), Some(Ended::Violation(Violation::NotMasked)));
    world.assert_empty();
}

#[test]
fn messages_before_the_end_of_a_client_are_answered() {
    let mut world = World::echo();
    let peer = world.connect();
    peer.send("1");
    peer.send("2");
    peer.end();
    world.run();
    assert_eq!(peer.texts(), ["1", "2"]);
    assert_eq!(world.ended(&peer), Some(Ended::TransportClosed));
    world.assert_empty();
}

#[test]
fn an_end_behind_more_input_than_a_turn_takes_is_noticed() {
    let mut world = World::new(|_, _| {});
    let peer = world.connect();
    let message = frames::binary(&[7; 10_000]);
    for _ in 0..500 {
        peer.send_bytes(&message);
    }
    peer.end();
    world.run();
    assert_eq!(world.binaries_from(&peer).len(), 500);
    assert_eq!(world.ended(&peer), Some(Ended::TransportClosed));
    world.assert_empty();
}

#[test]
fn a_message_that_came_before_a_reset_is_delivered() {
    let mut world = World::new(|_, _| {});
    let peer = world.connect();
    peer.send("last words");
    peer.reset();
    world.run();
    assert_eq!(world.texts_from(&peer), ["last words"]);
    assert_eq!(world.ended(&peer), Some(Ended::TransportFailed));
    world.assert_empty();
}

#[test]
fn both_sides_may_close_at_once() {
    let mut world = World::echo();
    let peer = world.connect_blocked("waits");
    world.visit(|io| io.close(peer.id, BYE, ""));
    peer.close(CloseCode::GOING_AWAY);
    world.run();
    peer.take_all();
    world.run();
    assert_eq!(peer.close_code(), Some(1000));
    assert_eq!(world.ended(&peer), Some(Ended::ClosedByUs { code: BYE, clean: true }));
    world.assert_empty();
}

#[test]
fn an_app_can_send_to_others_when_one_is_closed() {
    let mut other = None;
    let mut world = World::new(move |io, call| match call {
        Call::Open(id) => {
            other.get_or_insert(id);
        }
        Call::Closed(id, _) if Some(id) != other => {
            assert_eq!(io.send(id, Message::Text("gone")), Sent::Closed);
            io.send(other.unwrap(), Message::Text("somebody left"));
        }
        call => echo(io, call),
    });
    let [stays, leaves] = world.connect_some();
    leaves.reset();
    world.run();
    assert_eq!(stays.texts(), ["somebody left"]);
    assert!(leaves.dropped());
}

#[test]
fn a_transport_on_which_a_write_fails_is_closed_once() {
    let mut world = World::echo();
    let peer = world.connect();
    {
        let sent = world.visit(|io| {
            // The break is not told yet.
            peer.reset();
            io.send(peer.id, Message::Binary(&[0; 100_000]))
        });
        assert_ne!(sent, Sent::Closed);
    }
    world.run();
    assert_eq!(world.ended(&peer), Some(Ended::TransportFailed));
    world.assert_empty();
}
