//! What the client costs in memory: how large it is, and that it never allocates.

#[path = "memory/counting.rs"]
mod counting;
#[path = "device/world/mod.rs"]
mod world;

use std::cell::Cell;
use std::pin::Pin;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use tautline_device::{Client, Event, Link, Message, Settings, Stopped};

use counting::{Counted, calls};
use world::*;

static SETTINGS: Settings<'static> = Settings::new("10.0.0.1", 8000).path("/rooms/lab/{client_id}");

#[test]
fn ten_thousand_reconnects_allocate_nothing() {
    let world = World::new();
    world.server.borrow_mut().notes = false;
    let mut memory = [0; 512];
    let link = Link::<NoopRawMutex>::new(&mut memory);
    let (mut receive, mut transmit) = ([0; 512], [0; 512]);
    let mut client = Client::new(&SETTINGS, &link, &mut receive, &mut transmit);
    let (mut net, mut random) = (world.net.clone(), random(1));
    let connected = Cell::new(0);
    let mut handler = |event: Event<'_>| {
        connected.set(connected.get() + u32::from(matches!(event, Event::Connected(_))));
        let _ = link.try_send(Message::text("something happened"));
    };
    let run = Counted::new(client.run(&mut net, &world, &mut random, &mut handler));
    let mut run: Pin<Box<dyn Future<Output = Stopped>>> = Box::pin(run);
    let mut ended = 0;
    while connected.get() < 10_000 {
        let before = connected.get();
        world.run_until(|| connected.get() > before && world.server.borrow().is_open(), &mut run);
        ended += 1;
        match ended % 3 {
            0 => link.reconnect(),
            1 => world.net.to_client.borrow_mut().error = Some(embedded_io_async::ErrorKind::Other),
            _ => world.server.borrow_mut().close(world.now(), tautline_device::CloseCode::GOING_AWAY, "bye"),
        }
    }
    assert_eq!(calls(), 0);
}

/// Measured on a 64-bit machine, where pointers and their alignment take more than on a chip.
#[test]
fn client_link_and_future_are_at_most_2_kib() {
    let world = World::new();
    let mut memory = [0; 512];
    let link = Link::<NoopRawMutex>::new(&mut memory);
    let (mut receive, mut transmit) = ([0; 512], [0; 512]);
    let mut client = Client::new(&SETTINGS, &link, &mut receive, &mut transmit);
    let (mut net, mut random) = (world.net.clone(), random(1));
    let mut handler = |_: Event<'_>| {};
    let sizes = [size_of_val(&link), size_of_val(&client)];
    let run = client.run(&mut net, &world, &mut random, &mut handler);
    let sizes = [sizes[0], sizes[1], size_of_val(&run)];
    assert!(sizes.iter().sum::<usize>() <= 2048, "link, client, future: {sizes:?}");
}
