//! The hub's envelopes.

use std::cell::RefCell;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use tautline_device::rooms::{Incoming, Member, PublishError, Room, SUBPROTOCOL};
use tautline_device::{Client, Link, Policy, Settings};

use crate::Run;
use crate::world::*;

static SETTINGS: Settings<'static> =
    Settings::new("10.0.0.1", 8000).path("/rooms/lab/{client_id}").client_id("esp").subprotocols(&[SUBPROTOCOL]);

const RUN: u32 = 0x00c0_ffee;

/// Runs a member, with what it is told in words.
fn with_member(test: impl FnOnce(&World, Room<'_, '_, NoopRawMutex>, &RefCell<Vec<String>>, &mut Run<'_>)) {
    let world = World::new();
    world.server.borrow_mut().subprotocols = &[SUBPROTOCOL];
    let mut memory = [0; 1024];
    let link = Link::<NoopRawMutex>::new(&mut memory);
    let room = Room::new(&link, RUN);
    let (mut receive, mut transmit) = ([0; 512], [0; 512]);
    let mut client = Client::new(&SETTINGS, &link, &mut receive, &mut transmit);
    let told = RefCell::new(Vec::new());
    let mut whole = [0; 256];
    let mut member = Member::new(room, &mut whole, |incoming: Incoming<'_>| {
        if !matches!(incoming, Incoming::Link(_)) {
            told.borrow_mut().push(format!("{incoming:?}"));
        }
    });
    let (mut net, mut random) = (world.net.clone(), random(1));
    let mut run: Run<'_> = Box::pin(client.run(&mut net, &world, &mut random, &mut member));
    world.run_until(|| link.is_open() && world.server.borrow().is_open(), &mut run);
    test(&world, room, &told, &mut run);
}

fn say(world: &World, run: &mut Run<'_>, text: &str) {
    world.server.borrow_mut().text(world.now(), &world.net, text);
    world.run_for(SECOND, run);
}

/// Ends the connection, and waits for the next.
fn come_back(world: &World, run: &mut Run<'_>) {
    let connections = world.net.connections.get();
    world.net.to_client.borrow_mut().error = Some(embedded_io_async::ErrorKind::Other);
    world.run_until(|| world.net.connections.get() > connections && world.server.borrow().is_open(), run);
}

const WELCOME: &str = r#"{"type":"welcome","client":"esp","room":"lab","epoch":"0123456789abcdef","offset":3,"recovered":"none","members":["esp"],"count":1,"limits":{"message_bytes":1}}"#;

#[test]
fn envelopes_are_taken_apart() {
    with_member(|world, _, told, run| {
        for (text, words) in [
            (WELCOME, r#"Welcome { client: "esp", room: "lab", recovered: None, count: 1 }"#),
            (
                r#"{"type":"message","offset":4,"at":7,"from":"p\"q","data":{"a": [1]},"new":0}"#,
                r#"Message { from: "p\"q", at: 7, offset: 4, content: Data("{\"a\": [1]}") }"#,
            ),
            (
                r#"{"text":"gr\u00fc\u00df\n","from":"p","offset":5,"at":7,"type":"message"}"#,
                r#"Message { from: "p", at: 7, offset: 5, content: Text("grüß\n") }"#,
            ),
            (
                r#"{"type":"command","id":"c1","name":"led","payload":{"on":true},"deadline":9}"#,
                r#"Command(Command { id: "c1", name: "led", payload: "{\"on\":true}", deadline: 9, again: false })"#,
            ),
            (
                r#"{"type":"command","id":"c1","name":"led","deadline":9}"#,
                r#"Command(Command { id: "c1", name: "led", payload: "null", deadline: 9, again: true })"#,
            ),
            (r#"{"type":"twin","version":7,"delta":{"led":1}}"#, r#"Twin { version: 7, delta: "{\"led\":1}" }"#),
            (r#"{"type":"dance"}"#, r#"Other("{\"type\":\"dance\"}")"#),
            ("hello", r#"Other("hello")"#),
        ] {
            say(world, run, text);
            assert_eq!(told.take(), [words]);
        }
        say(world, run, &format!("\"{}\"", "x".repeat(300)));
        assert_eq!(told.take(), ["Unreadable"]);
    });
}

#[test]
fn it_resumes_from_the_highest_offset_that_it_saw() {
    with_member(|world, _, told, run| {
        say(world, run, WELCOME);
        say(world, run, r#"{"type":"message","offset":6,"at":7,"from":"p","data":1}"#);
        say(world, run, r#"{"type":"ack","id":"somebody-else","offset":8}"#);
        come_back(world, run);
        assert_eq!(world.server.borrow().targets, ["/rooms/lab/esp", "/rooms/lab/esp?epoch=0123456789abcdef&offset=8"]);
        told.take();
        // What it has seen already is not told again.
        say(world, run, r#"{"type":"message","offset":8,"at":7,"from":"p","data":1}"#);
        assert!(told.take().is_empty());
    });
}

#[test]
fn what_is_published_is_sent_again_with_its_id_until_it_is_acknowledged() {
    with_member(|world, room, told, run| {
        let number = room.publish_data(r#" {"celsius": 21.5} "#, Policy::DropNewest).unwrap();
        let second = room.publish_text("SOS\n\"!\"", Policy::DropNewest).unwrap();
        world.run_for(SECOND, run);
        let first_text = r#"{"type":"publish","id":"00c0ffee-00000000","data":{"celsius": 21.5}}"#;
        let second_text = r#"{"type":"publish","id":"00c0ffee-00000001","text":"SOS\n\"!\""}"#;
        assert_eq!(world.server.borrow().texts(), [first_text, second_text]);
        say(world, run, r#"{"type":"ack","id":"00c0ffee-00000000","offset":1}"#);
        assert_eq!(told.take(), [format!("Acknowledged {{ number: {number} }}")]);
        come_back(world, run);
        world.run_for(SECOND, run);
        assert_eq!(world.server.borrow().texts(), [first_text, second_text, second_text]);
        say(world, run, r#"{"type":"ack","id":"00c0ffee-00000001","duplicate":true}"#);
        assert_eq!(told.take(), [format!("Acknowledged {{ number: {second} }}")]);
        come_back(world, run);
        world.run_for(SECOND, run);
        assert_eq!(world.server.borrow().messages.len(), 3);
        assert_eq!(room.publish_data("{", Policy::DropNewest), Err(PublishError::NotJson));
    });
}

#[test]
fn what_the_hub_was_too_busy_for_is_sent_again_and_what_it_never_takes_is_not() {
    with_member(|world, room, told, run| {
        room.publish_text("a", Policy::DropNewest).unwrap();
        room.publish_text("b", Policy::DropNewest).unwrap();
        world.run_for(SECOND, run);
        say(world, run, r#"{"type":"error","id":"00c0ffee-00000000","code":"busy","message":"later"}"#);
        say(world, run, r#"{"type":"error","id":"00c0ffee-00000001","code":"forbidden","message":"no"}"#);
        assert_eq!(
            told.take(),
            [
                r#"Error { number: Some(0), code: "busy", message: "later" }"#,
                r#"Error { number: Some(1), code: "forbidden", message: "no" }"#
            ]
        );
        assert_eq!(world.server.borrow().messages.len(), 2);
        // The next ping is answered.
        world.run_for(60 * SECOND, run);
        assert_eq!(world.server.borrow().texts()[2..], [r#"{"type":"publish","id":"00c0ffee-00000000","text":"a"}"#]);
    });
}

#[test]
fn commands_are_answered_and_the_twin_is_reported() {
    with_member(|world, room, _, run| {
        room.answer("c\"1", Ok("{\"was\":false}")).unwrap();
        room.answer("c2", Err("no such lamp")).unwrap();
        room.report("{\"interval\":5}", Policy::KeepLatest(1)).unwrap();
        world.run_for(SECOND, run);
        assert_eq!(
            world.server.borrow().texts(),
            [
                r#"{"type":"result","id":"c\"1","data":{"was":false}}"#,
                r#"{"type":"result","id":"c2","error":"no such lamp"}"#,
                r#"{"type":"report","id":"00000002","patch":{"interval":5}}"#
            ]
        );
    });
}
