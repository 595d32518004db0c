//! What the client costs in memory: how large it is, and that it never allocates.

#[path = "memory/counting.rs"]
mod counting;
#[path = "device/world/mod.rs"]
mod world;

use std::cell::Cell;
use std::pin::Pin;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use tautline_device::{Client, Event, Link, MEMORY, Message, Settings, Stopped};

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

#[cfg(feature = "deflate")]
#[test]
fn compression_allocates_nothing_and_takes_at_most_7_kib() {
    use tautline_device::{Deflate, Kind, WindowBits};
    const BITS: WindowBits = WindowBits::new(9).expect("between 8 and 15");
    const TEXT: &str = "{\"sensor\":\"kitchen\",\"temperature\":21.5,\"humidity\":40}";

    let world = World::new();
    world.server.borrow_mut().deflate = Some(Default::default());
    let mut memory = [0; 512];
    let link = Link::<NoopRawMutex>::new(&mut memory);
    let (mut receive, mut transmit) = ([0; 512], [0; 512]);
    let mut memory = [0; Deflate::memory(BITS, 256)];
    let bytes = size_of_val(&memory) + size_of::<Deflate<'_>>();
    assert!(bytes <= 7 * 1024, "{bytes}");
    let mut deflate = Deflate::new(BITS, &mut memory);
    let mut client = Client::new(&SETTINGS, &link, &mut receive, &mut transmit).with_deflate(&mut deflate);
    let (mut net, mut random) = (world.net.clone(), random(1));
    let received = Cell::new(0);
    let (mut whole, mut len) = ([0; TEXT.len()], 0);
    let mut handler = |event: Event<'_>| {
        let Event::Data(data) = event else { return };
        whole[len..][..data.bytes().len()].copy_from_slice(data.bytes());
        len += data.bytes().len();
        if data.is_last() {
            assert_eq!((data.kind(), &whole[..len]), (Kind::Text, TEXT.as_bytes()));
            len = 0;
            received.set(received.get() + 1);
            link.try_send(Message::text(TEXT)).unwrap();
        }
    };
    let run = Counted::new(client.run(&mut net, &world, &mut random, &mut handler));
    let mut run: Pin<Box<dyn Future<Output = Stopped>>> = Box::pin(run);
    for connection in 1..=100 {
        world.run_until(|| world.server.borrow().is_open() && link.is_open(), &mut run);
        for message in 1..=10 {
            world.server.borrow_mut().send_compressed(world.now(), &world.net, TEXT.as_bytes(), 20);
            let all = 10 * (connection - 1) + message;
            world.run_until(|| received.get() == all && world.server.borrow().compressed == all, &mut run);
        }
        link.reconnect();
        world.run_until(|| !link.is_open(), &mut run);
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
    assert_eq!(sizes[0] + sizes[1], MEMORY);
    let run = client.run(&mut net, &world, &mut random, &mut handler);
    let sizes = [sizes[0], sizes[1], size_of_val(&run)];
    assert!(sizes.iter().sum::<usize>() <= 2048, "link, client, future: {sizes:?}");
}
