//! What sensor data costs in memory: how large it is, and that it never allocates.

#[path = "memory/counting.rs"]
mod counting;
#[path = "telemetry/world/mod.rs"]
mod world;

use std::cell::Cell;
use std::pin::Pin;

use tautline_device::telemetry::{Client, Event, FromHub, MAX_MESSAGE, Outcome, Settings, Status, Value};

use counting::{Counted, calls};
use world::{World, random};

static SETTINGS: Settings = Settings::new();

#[test]
fn a_thousand_reconnects_and_all_that_is_sent_allocate_nothing() {
    for stream in [false, true] {
        let world = World::new(stream, 1);
        let link = world.link(1);
        let (mut receive, mut transmit) = ([0; MAX_MESSAGE], [0; MAX_MESSAGE]);
        let mut client = Client::new(&SETTINGS, &link, &mut receive, &mut transmit);
        let (mut tcp, mut udp, mut random) = (world.air.tcp(), world.air.udp(), random(1));
        let commands = Cell::new(0);
        let mut handler = |event: Event<'_>| match event {
            Event::BeforeConnect { .. } => drop(link.push(world.now(), 1, Value::U32(commands.get()))),
            Event::Hub(FromHub::Command { number, .. }) => {
                let outcome = Outcome { status: Status::Done, value: Some(Value::U32(number)) };
                assert_eq!(link.answer(number, &outcome), Ok(true));
                commands.set(number);
            }
            _ => {}
        };
        let mut run: Pin<Box<dyn Future<Output = ()>>> = if stream {
            Box::pin(Counted::new(client.run(&mut tcp, &world.time, &mut random, &mut handler)))
        } else {
            Box::pin(Counted::new(client.run(&mut udp, &world.time, &mut random, &mut handler)))
        };
        for turn in 1..=1_000 {
            world.run_until(|| link.is_open() && world.air.with(|air| air.connections == turn), &mut run);
            world.hub.borrow_mut().command(turn);
            world.run_until(|| commands.get() == turn, &mut run);
            match turn % 3 {
                0 => link.reconnect(),
                1 => world.air.with(|air| air.broken = true),
                _ => world.air.with(|air| (air.broken, air.ended) = (!stream, true)),
            }
        }
        assert_eq!(calls(), 0);
    }
}

/// Measured on a 64-bit machine, where pointers and their alignment take more than on a chip.
#[test]
fn link_client_and_future_are_at_most_2_kib() {
    let world = World::new(true, 1);
    let link = world.link(1);
    let (mut receive, mut transmit) = ([0; MAX_MESSAGE], [0; MAX_MESSAGE]);
    let mut client = Client::new(&SETTINGS, &link, &mut receive, &mut transmit);
    let (mut tcp, mut random) = (world.air.tcp(), random(1));
    let mut handler = |_: Event<'_>| {};
    let sizes = [size_of_val(&link), size_of_val(&client)];
    let run = client.run(&mut tcp, &world.time, &mut random, &mut handler);
    let sizes = [sizes[0], sizes[1], size_of_val(&run)];
    assert!(sizes.iter().sum::<usize>() <= 2048, "link, client, future: {sizes:?}");
}
