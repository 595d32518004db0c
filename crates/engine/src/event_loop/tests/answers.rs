//! What is answered, and in how many writes.

use tautline_proto::app::{Message, Sent};

use super::support::{Call, Happened, World, frames};

#[test]
fn all_messages_of_one_read_are_answered_in_one_write() {
    let mut world = World::echo();
    let peer = world.connect();
    let texts: Vec<String> = (0..100).map(|number| format!("message {number}")).collect();
    peer.send_bytes(&texts.iter().flat_map(|text| frames::text(text)).collect::<Vec<_>>());
    world.run();
    assert_eq!(peer.texts(), texts);
    assert_eq!(peer.writes(), 1);
    world.assert_turn_is_empty();
    assert!(world.is_idle(&peer), "an idle connection owns no memory");
}

#[test]
fn a_connection_that_does_not_take_its_answer_gets_it_later_and_the_app_hears_of_it() {
    let mut world = World::new(|io, call| {
        if let Call::Message(id, message) = call {
            let expected = if message == Message::Text("1") { Sent::Written } else { Sent::Queued };
            assert_eq!(io.send(id, message), expected);
        }
    });
    let peer = world.connect();
    peer.take_only(0);
    peer.send("1");
    world.run();
    peer.send("2");
    world.run();
    assert_eq!(peer.frames(), []);
    peer.take_all();
    world.run();
    assert_eq!(peer.texts(), ["1", "2"]);
    let id = peer.id;
    let told: Vec<_> = world.of(&peer).into_iter().filter(|happened| *happened == Happened::Drained(id)).collect();
    assert_eq!(told, [Happened::Drained(id)], "once");
    world.assert_turn_is_empty();
    assert!(world.is_idle(&peer));
}
