//! Nothing takes for ever.

use std::time::Duration;

use tautline_device::{Config, Message, Stopped};

use crate::world::*;
use crate::{SETTINGS, with_client};

#[test]
fn connecting_has_a_deadline() {
    let world = World::new();
    world.net.attempts.borrow_mut().push_back(Attempt::Hangs);
    let began = world.now();
    with_client(&world, &SETTINGS, |link, notes, run| {
        world.run_until(|| notes.has("disconnected"), run);
        assert!(notes.has("error connecting took too long"));
        assert_eq!(world.now() - began, 15 * SECOND);
        world.run_until(|| link.is_open(), run);
    });
}

#[test]
fn the_answer_to_the_handshake_has_a_deadline() {
    let world = World::new();
    world.server.borrow_mut().answers.push_back(Answer::Silence);
    let began = world.now();
    with_client(&world, &SETTINGS, |link, notes, run| {
        world.run_until(|| notes.has("disconnected"), run);
        assert!(notes.has("error the server did not answer in time"));
        assert_eq!(world.now() - began, 10 * SECOND);
        world.run_until(|| link.is_open(), run);
    });
}

#[test]
fn sending_has_a_deadline_also_without_pings() {
    let world = World::new();
    let settings = SETTINGS.config(Config::new().ping_interval(None)).send_timeout(4 * SECOND);
    with_client(&world, &settings, |link, notes, run| {
        world.run_until(|| link.is_open(), run);
        world.run_for(SECOND, run);
        world.net.to_server.borrow_mut().takes = false;
        link.try_send(Message::text("stuck")).unwrap();
        let began = world.now();
        world.run_until(|| notes.has("disconnected"), run);
        assert!(notes.has("error send queue stuck"), "{:?}", notes.take());
        assert_eq!(world.now() - began, 4 * SECOND);
        world.net.to_server.borrow_mut().takes = true;
        world.run_until(|| !world.server.borrow().messages.is_empty(), run);
        assert_eq!(world.server.borrow().texts(), ["stuck"]);
    });
}

#[test]
fn a_slow_transport_that_moves_is_not_stuck() {
    let world = World::new();
    let settings = SETTINGS.config(Config::new().ping_interval(None)).send_timeout(SECOND);
    with_client(&world, &settings, |link, notes, run| {
        world.run_until(|| link.is_open(), run);
        // The message takes 30 s, ten bytes at a time.
        world.net.to_server.borrow_mut().takes = false;
        link.try_send(Message::text(&"x".repeat(600))).unwrap();
        while world.server.borrow().messages.is_empty() {
            world.net.to_server.borrow_mut().chunk = 10;
            world.net.to_server.borrow_mut().capacity = 10;
            world.net.to_server.borrow_mut().takes = true;
            world.run_for(Duration::from_millis(500), run);
        }
        assert!(!notes.has("disconnected"));
    });
}

#[test]
fn closing_has_a_deadline() {
    let world = World::new();
    with_client(&world, &SETTINGS, |link, notes, run| {
        world.run_until(|| link.is_open(), run);
        world.server.borrow_mut().reads = false;
        world.net.close_hangs.set(true);
        link.stop();
        let began = world.now();
        assert_eq!(world.run_until(|| false, run), Some(Stopped::Asked));
        // The closing handshake, and the transport.
        assert_eq!(world.now() - began, 5 * SECOND);
        assert!(notes.has("closed 1000 \"\" clean=false"), "{:?}", notes.take());
    });
}

#[test]
fn waiting_for_room_has_a_deadline() {
    let world = World::new();
    world.net.attempts.borrow_mut().extend([Attempt::Hangs; 10]);
    with_client(&world, &SETTINGS, |link, _, run| {
        link.try_send(Message::text(&"x".repeat(900))).unwrap();
        let payload = "y".repeat(500);
        let mut both: std::pin::Pin<Box<dyn Future<Output = _>>> = Box::pin(async {
            let deadline = world.now() + 3 * SECOND;
            let sending = link.send(Message::text(&payload), &world, deadline);
            select(sending, run).await
        });
        let began = world.now();
        let result = world.run_until(|| false, &mut both).unwrap();
        assert_eq!(result, Some(Err(tautline_device::PushError::Full)));
        assert_eq!(world.now() - began, 3 * SECOND);
        assert_eq!(link.counters().refused, 1);
    });
}
