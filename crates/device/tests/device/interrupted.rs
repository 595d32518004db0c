//! Stopped, and dropped, at every point.

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use tautline_device::{Client, Link, Message, Stopped};

use crate::world::*;
use crate::{Run, SETTINGS, with_client};

/// More turns than the client takes for what the tests here have it do.
const TURNS: usize = 250;

/// A server one byte at a time away, so that there is an await for everything.
fn slow() -> World {
    let world = World::new();
    world.net.to_client.borrow_mut().chunk = 3;
    world.net.to_server.borrow_mut().chunk = 5;
    world.net.attempts.borrow_mut().push_back(Attempt::Fails(tautline_device::ConnectError::Lookup));
    world
}

/// Lets the client have so many turns.
fn turns(world: &World, turns: usize, run: &mut Run<'_>) -> Option<Stopped> {
    let mut left = turns;
    world.run_until(
        || {
            left = left.saturating_sub(1);
            left == 0
        },
        run,
    )
}

#[test]
fn it_stops_at_every_point_and_at_once_where_there_is_no_link() {
    for before in 1..TURNS {
        let world = slow();
        with_client(&world, &SETTINGS, |link, _, run| {
            link.try_send(Message::text("kept or sent")).unwrap();
            assert_eq!(turns(&world, before, run), None);
            let open = link.is_open();
            link.stop();
            let began = world.now();
            assert_eq!(world.run_until(|| false, run), Some(Stopped::Asked), "after {before} turns");
            if !open {
                assert_eq!(world.now(), began, "after {before} turns");
            }
            assert!(world.now() - began <= 3 * SECOND);
        });
        assert_eq!(world.net.open.get(), 0);
    }
}

#[test]
fn it_stops_at_once_in_a_wait_and_in_an_attempt_that_hangs() {
    let world = World::new();
    world.net.attempts.borrow_mut().push_back(Attempt::Hangs);
    with_client(&world, &SETTINGS, |link, notes, run| {
        world.run_for(SECOND, run);
        let began = world.now();
        link.stop();
        assert_eq!(world.run_until(|| false, run), Some(Stopped::Asked));
        assert_eq!(world.now(), began);
        assert!(notes.has("disconnected asked"));
    });
    world.server.borrow_mut().answers.push_back(Answer::Bytes(b"HTTP/1.1 503 No\r\nRetry-After: 60\r\n\r\n".to_vec()));
    with_client(&world, &SETTINGS, |link, notes, run| {
        world.run_until(|| notes.has("disconnected"), run);
        world.run_for(SECOND, run);
        let began = world.now();
        link.stop();
        assert_eq!(world.run_until(|| false, run), Some(Stopped::Asked));
        assert_eq!(world.now(), began);
    });
}

#[test]
fn it_may_be_dropped_at_every_point_and_run_again_and_each_message_arrives_once() {
    for before in 1..TURNS {
        let world = slow();
        let mut memory = [0; 256];
        let link = Link::<NoopRawMutex>::new(&mut memory);
        let (mut receive, mut transmit) = ([0; 256], [0; 256]);
        let mut client = Client::new(&SETTINGS, &link, &mut receive, &mut transmit);
        let (mut net, mut random, notes) = (world.net.clone(), random(1), Notes::default());
        let mut handler = notes.handler();
        for text in ["one", "two", "three"] {
            link.try_send(Message::text(text)).unwrap();
        }
        let mut run: Run<'_> = Box::pin(client.run(&mut net, &world, &mut random, &mut handler));
        turns(&world, before, &mut run);
        drop(run);
        // What has left arrives before the next connection.
        let mut nobody: Run<'_> = Box::pin(std::future::pending());
        world.run_for(SECOND, &mut nobody);
        let mut run: Run<'_> = Box::pin(client.run(&mut net, &world, &mut random, &mut handler));
        world.run_until(|| world.server.borrow().messages.len() >= 3, &mut run);
        world.run_for(SECOND, &mut run);
        assert_eq!(world.server.borrow().texts(), ["one", "two", "three"], "after {before} turns");
    }
}

#[test]
fn it_may_be_dropped_in_its_goodbye_and_run_again() {
    let world = World::new();
    let mut memory = [0; 256];
    let link = Link::<NoopRawMutex>::new(&mut memory);
    let (mut receive, mut transmit) = ([0; 256], [0; 256]);
    let mut client = Client::new(&SETTINGS, &link, &mut receive, &mut transmit);
    let (mut net, mut random, mut handler) = (world.net.clone(), random(1), Notes::default().handler());
    let mut run: Run<'_> = Box::pin(client.run(&mut net, &world, &mut random, &mut handler));
    world.run_until(|| link.is_open(), &mut run);
    // So the server does not answer the goodbye.
    world.server.borrow_mut().reads = false;
    link.stop();
    assert_eq!(world.run_for(SECOND, &mut run), None);
    assert!(!link.is_open());
    drop(run);
    world.server.borrow_mut().reads = true;
    link.try_send(Message::text("again")).unwrap();
    let mut run: Run<'_> = Box::pin(client.run(&mut net, &world, &mut random, &mut handler));
    assert_eq!(world.run_until(|| !world.server.borrow().messages.is_empty(), &mut run), None);
    assert_eq!((world.server.borrow().texts(), world.net.connections.get()), (vec!["again"], 2));
}

#[test]
fn it_may_be_run_again_after_a_stop() {
    let world = World::new();
    let mut memory = [0; 256];
    let link = Link::<NoopRawMutex>::new(&mut memory);
    let (mut receive, mut transmit) = ([0; 256], [0; 256]);
    let mut client = Client::new(&SETTINGS, &link, &mut receive, &mut transmit);
    let (mut net, mut random, mut handler) = (world.net.clone(), random(1), Notes::default().handler());
    for _ in 0..3 {
        let mut run: Run<'_> = Box::pin(client.run(&mut net, &world, &mut random, &mut handler));
        world.run_until(|| link.is_open(), &mut run);
        link.stop();
        assert_eq!(world.run_until(|| false, &mut run), Some(Stopped::Asked));
        assert!(!link.is_open());
    }
    assert_eq!(world.net.connections.get(), 3);
}
