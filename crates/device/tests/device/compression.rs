//! Compressed messages (RFC 7692), both ways.

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use tautline_device::{Client, Config, Deflate, Link, Message, Settings, Stopped, WindowBits};
use tautline_proto::handshake::deflate::{Acceptance, Sender};

use crate::world::*;
use crate::{Run, SETTINGS};

const BITS: WindowBits = WindowBits::new(9).unwrap();
const CHUNK: usize = 100;

/// As [`with_client`](crate::with_client), for a client that compresses.
fn with_deflate(
    world: &World,
    settings: &Settings<'_>,
    test: impl FnOnce(&Link<'_, NoopRawMutex>, &Notes, &mut Run<'_>),
) {
    let mut memory = [0; 4096];
    let link = Link::new(&mut memory);
    let (mut receive, mut transmit) = ([0; 512], [0; 400]);
    let mut memory = [0; Deflate::memory(BITS, CHUNK)];
    let mut deflate = Deflate::new(BITS, &mut memory);
    let mut client = Client::new(settings, &link, &mut receive, &mut transmit).with_deflate(&mut deflate);
    let notes = Notes::default();
    let (mut net, mut random, mut handler) = (world.net.clone(), random(1), notes.handler());
    let mut run: Run<'_> = Box::pin(client.run(&mut net, world, &mut random, &mut handler));
    test(&link, &notes, &mut run);
}

/// A world whose server compresses in this way.
fn world(server: Sender, client: Sender) -> World {
    let world = World::new();
    world.server.borrow_mut().deflate = Some(Acceptance { server, client, ..Acceptance::default() });
    world
}

fn sender(bits: u8, takeover: bool) -> Sender {
    Sender { window: WindowBits::new(bits).unwrap(), takeover }
}

fn reading(number: u32) -> String {
    let value = 20 + number % 3;
    format!(
        "{{\"room\":\"kitchen\",\"temperature\":{value},\"temperature-least\":{value},\"temperature-most\":{value}}}"
    )
}

/// Letters that hardly compress.
fn noise(len: usize) -> String {
    let mut random = fastrand::Rng::with_seed(7);
    (0..len).map(|_| random.alphanumeric()).collect()
}

/// The payloads of what was told, put together.
fn received(notes: &Notes) -> Vec<String> {
    let (mut messages, mut message) = (Vec::new(), String::new());
    for note in notes.take().iter().filter(|note| note.starts_with("data ")) {
        let [_, opcode, fin, len, offset, payload] = note.splitn(6, ' ').collect::<Vec<_>>()[..] else { panic!() };
        assert_eq!(opcode, if message.is_empty() { "Text" } else { "Continuation" }, "{note}");
        assert_eq!((len, offset), (&*format!("len={}", payload.len()), "offset=0"));
        assert!(payload.len() <= CHUNK);
        message += payload;
        if fin == "fin=true" {
            messages.push(std::mem::take(&mut message));
        }
    }
    messages
}

#[test]
fn messages_are_compressed_both_ways_whatever_was_agreed_on() {
    for (server, client) in [
        (sender(15, true), sender(15, true)),
        (sender(9, true), sender(9, false)),
        (sender(8, false), sender(8, true)),
        (sender(15, false), sender(9, false)),
    ] {
        let world = world(server, client);
        with_deflate(&world, &SETTINGS, |link, notes, run| {
            world.run_until(|| link.is_open(), run);
            let texts: Vec<String> = (0..40).map(reading).collect();
            for text in &texts {
                link.try_send(Message::text(text)).unwrap();
                world.server.borrow_mut().send_compressed(world.now(), &world.net, text.as_bytes(), 20);
                world.run_for(SECOND, run);
            }
            assert_eq!(world.server.borrow().texts(), texts);
            assert_eq!(world.server.borrow().compressed, 40);
            assert_eq!(received(notes), texts);
        });
    }
}

#[test]
fn with_context_a_message_is_a_fraction_of_its_length() {
    let world = world(sender(15, true), sender(15, true));
    with_deflate(&world, &SETTINGS, |link, _, run| {
        world.run_until(|| link.is_open(), run);
        link.try_send(Message::text(&reading(1))).unwrap();
        world.run_for(SECOND, run);
        world.net.to_server.borrow_mut().capacity = 20;
        link.try_send(Message::text(&reading(2))).unwrap();
        // All of it is in the pipe, which holds no more than that.
        world.server.borrow_mut().reads = false;
        world.run_until(|| link.counters().sent == 2, run);
        world.server.borrow_mut().reads = true;
        world.run_for(SECOND, run);
        assert_eq!(world.server.borrow().texts(), [reading(1), reading(2)]);
    });
}

#[test]
fn a_message_larger_than_the_buffers_is_cut_and_nothing_is_lost() {
    for chunk in [1, 13, usize::MAX] {
        let world = world(sender(15, true), sender(15, true));
        world.net.to_server.borrow_mut().chunk = chunk;
        world.net.to_client.borrow_mut().chunk = chunk;
        with_deflate(&world, &SETTINGS, |link, notes, run| {
            world.run_until(|| link.is_open(), run);
            for text in [noise(3_000), "x".repeat(3_000), reading(1)] {
                link.try_send(Message::text(&text)).unwrap();
                world.server.borrow_mut().send_compressed(world.now(), &world.net, text.as_bytes(), 700);
                // Others may come in between.
                world.server.borrow_mut().ping(world.now());
                world.run_for(5 * SECOND, run);
                assert_eq!(received(notes), [&*text]);
                assert_eq!(world.server.borrow_mut().messages.pop().unwrap().1, text);
            }
            assert_eq!(world.server.borrow().compressed, 3);
        });
    }
}

#[test]
fn nothing_is_compressed_that_is_short_or_streamed_or_not_agreed_on() {
    let world = world(sender(15, true), sender(15, true));
    with_deflate(&world, &SETTINGS, |link, _, run| {
        world.run_until(|| link.is_open(), run);
        assert!(
            world.server.borrow().heads[0]
                .contains("permessage-deflate; server_max_window_bits=9; client_max_window_bits=9\r\n")
        );
        link.try_send(Message::text("short")).unwrap();
        let text = reading(1);
        let sending = async {
            let mut stream = link.begin(tautline_device::Kind::Text).unwrap();
            let deadline = world.now() + SECOND;
            stream.write(&text.as_bytes()[..30], &world, deadline).await.unwrap();
            stream.finish(&text.as_bytes()[30..], &world, deadline).await.unwrap();
        };
        let mut both: std::pin::Pin<Box<dyn Future<Output = _>>> = Box::pin(async { select(sending, run).await });
        world.run_until(|| false, &mut both);
        drop(both);
        world.run_for(SECOND, run);
        assert_eq!(world.server.borrow().texts(), ["short", &text]);
        assert_eq!(world.server.borrow().compressed, 0);
        // The next server knows nothing of it.
        world.server.borrow_mut().deflate = None;
        link.reconnect();
        world.run_for(SECOND, run);
        link.try_send(Message::text(&text)).unwrap();
        world.run_for(SECOND, run);
        assert_eq!((world.server.borrow().messages.len(), world.server.borrow().compressed), (3, 0));
    });
}

#[test]
fn each_connection_begins_anew_and_what_was_cut_off_is_sent_again() {
    let world = world(sender(15, true), sender(15, true));
    with_deflate(&world, &SETTINGS, |link, notes, run| {
        for connection in 1..=3 {
            world.run_until(|| link.is_open(), run);
            notes.take();
            world.server.borrow_mut().send_compressed(world.now(), &world.net, reading(connection).as_bytes(), 1_000);
            link.try_send(Message::text(&reading(connection))).unwrap();
            world.run_for(SECOND, run);
            assert_eq!(received(notes), [reading(connection)]);
            // Its beginning has left when the connection breaks.
            world.net.to_server.borrow_mut().capacity = 300;
            world.server.borrow_mut().reads = false;
            let text = noise(2_000);
            link.try_send(Message::text(&text)).unwrap();
            world.run_for(SECOND, run);
            world.net.to_server.borrow_mut().error = Some(embedded_io_async::ErrorKind::ConnectionReset);
            world.run_until(|| !link.is_open(), run);
            world.net.to_server.borrow_mut().capacity = 64 * 1024;
            world.server.borrow_mut().reads = true;
            world.run_until(|| link.is_open(), run);
            world.run_for(SECOND, run);
            let messages = std::mem::take(&mut world.server.borrow_mut().messages);
            let texts: Vec<&str> = messages.iter().map(|(_, text)| text.as_str()).collect();
            assert_eq!(texts, [&*reading(connection), &text]);
        }
    });
}

#[test]
fn what_is_too_large_once_inflated_ends_the_connection_with_1009() {
    let world = world(sender(15, true), sender(15, true));
    let settings = SETTINGS.config(Config::new().max_message(1_000));
    with_deflate(&world, &settings, |link, notes, run| {
        world.run_until(|| link.is_open(), run);
        world.server.borrow_mut().send_compressed(world.now(), &world.net, &[b'x'; 100_000], 1_000);
        assert!(matches!(world.run_until(|| notes.has("disconnected"), run), None | Some(Stopped::Useless(_))));
        assert!(notes.has("error peer broke the protocol: message over the size limit"), "{:?}", notes.take());
    });
}

#[test]
fn rfc7692_s7_2_2_what_is_not_deflate_ends_the_connection_with_1007_and_the_next_one_works() {
    let world = world(sender(15, true), sender(15, true));
    with_deflate(&world, &SETTINGS, |link, notes, run| {
        world.run_until(|| link.is_open(), run);
        world.net.to_client.borrow_mut().put(world.now(), &[0xc1, 2, 0xff, 0xff]);
        world.run_until(|| notes.has("disconnected"), run);
        assert!(notes.has("error peer broke the protocol: compressed message is corrupt"), "{:?}", notes.take());
        world.run_until(|| link.is_open(), run);
        notes.take();
        world.server.borrow_mut().send_compressed(world.now(), &world.net, reading(1).as_bytes(), 1_000);
        world.run_for(SECOND, run);
        assert_eq!(received(notes), [reading(1)]);
    });
}
