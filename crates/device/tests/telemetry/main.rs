//! Sensor data of a device in a simulated world.

mod faults;
mod life;
mod world;

use std::pin::Pin;

use tautline_device::telemetry::{Client, MAX_MESSAGE, Settings};

use world::{Diary, TestLink, World, random};

static SETTINGS: Settings = Settings::new();

/// The future of a client.
type Run<'r> = Pin<Box<dyn Future<Output = ()> + 'r>>;

/// Runs a client of this link over this world.
fn with_client(world: &World, link: &TestLink<'_>, diary: &Diary, test: impl FnOnce(&mut Run<'_>)) {
    let (mut receive, mut transmit) = ([0; MAX_MESSAGE], [0; MAX_MESSAGE]);
    let mut client = Client::new(&SETTINGS, link, &mut receive, &mut transmit);
    let (mut random, mut handler) = (random(3), diary.handler(link));
    let stream = world.hub.borrow().stream;
    let (mut tcp, mut udp) = (world.air.tcp(), world.air.udp());
    let mut run: Run<'_> = if stream {
        Box::pin(client.run(&mut tcp, &world.time, &mut random, &mut handler))
    } else {
        Box::pin(client.run(&mut udp, &world.time, &mut random, &mut handler))
    };
    test(&mut run);
}

/// As [`with_client`], with a device that begins.
fn with_device(world: &World, test: impl FnOnce(&TestLink<'_>, &Diary, &mut Run<'_>)) {
    let (link, diary) = (world.link(1), Diary::default());
    with_client(world, &link, &diary, |run| test(&link, &diary, run));
}
