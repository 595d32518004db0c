//! What the client tells, and when.

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use tautline_device::{Client, CloseCode, ConnectError, Kind, Link, Message, Part, Settings, Stopped};

use crate::world::*;

pub static SETTINGS: Settings<'static> = Settings::new("10.0.0.1", 8000).client_id("esp 1");

/// Runs a client over this world, with its link and what it notes at hand.
pub fn with_client(
    world: &World,
    settings: &Settings<'_>,
    test: impl FnOnce(&Link<'_, NoopRawMutex>, &Notes, &mut std::pin::Pin<Box<dyn Future<Output = Stopped> + '_>>),
) {
    let mut memory = [0; 1024];
    let link = Link::new(&mut memory);
    let (mut receive, mut transmit) = ([0; 512], [0; 512]);
    let mut client = Client::new(settings, &link, &mut receive, &mut transmit);
    let notes = Notes::default();
    let (mut net, mut random, mut handler) = (world.net.clone(), random(1), notes.handler());
    let mut run: std::pin::Pin<Box<dyn Future<Output = Stopped>>> =
        Box::pin(client.run(&mut net, world, &mut random, &mut handler));
    test(&link, &notes, &mut run);
}

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
