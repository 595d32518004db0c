//! The client in a simulated world.

#[cfg(feature = "deflate")]
mod compression;
mod deadlines;
mod events;
mod interrupted;
mod messages;
mod reconnecting;
mod rooms;
mod world;

use std::pin::Pin;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use tautline_device::{Client, Link, Settings, Stopped};

use world::{Notes, World, random};

static SETTINGS: Settings<'static> = Settings::new("10.0.0.1", 8000).client_id("esp 1");

/// The future of a client.
type Run<'r> = Pin<Box<dyn Future<Output = Stopped> + 'r>>;

/// Runs a client over this world, with its link and what it notes at hand.
fn with_client(
    world: &World,
    settings: &Settings<'_>,
    test: impl FnOnce(&Link<'_, NoopRawMutex>, &Notes, &mut Run<'_>),
) {
    let mut memory = [0; 1024];
    let link = Link::new(&mut memory);
    let (mut receive, mut transmit) = ([0; 512], [0; 512]);
    let mut client = Client::new(settings, &link, &mut receive, &mut transmit);
    let notes = Notes::default();
    let (mut net, mut random, mut handler) = (world.net.clone(), random(1), notes.handler());
    let mut run: Run<'_> = Box::pin(client.run(&mut net, world, &mut random, &mut handler));
    test(&link, &notes, &mut run);
}
