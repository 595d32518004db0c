//! Compressed messages.

use tautline_proto::app::{ConnectionId, Message, Sent, Slow};
use tautline_proto::compression::Backend;
use tautline_proto::handshake::deflate::{Parameters, Sender, WindowBits};
use tautline_proto::{CloseCode, Kind, Part};

use super::support::{Client, World};
use crate::encoded::Encoded;

fn agreed(bits: u8, takeover: bool) -> Option<Parameters> {
    let sender = Sender { window: WindowBits::new(bits).unwrap(), takeover };
    Some(Parameters { server: sender, client: sender })
}

/// A client that compresses like that.
fn connect(world: &mut World, agreed: Option<Parameters>) -> Client {
    world.deflate = agreed;
    let peer = world.connect();
    Client::new(peer, world.now).with_deflate(agreed)
}

fn json(number: usize) -> String {
    format!(r#"{{"sensor":"kitchen","number":{number},"celsius":21.{}}}"#, number % 10)
}

fn publish(world: &mut World, to: &[ConnectionId], text: &str, slow: Slow) {
    let delivery = world.visit(|io| io.publish(&mut to.iter().copied(), Message::Text(text), slow));
    assert_eq!(delivery.sent, to.len() as u64);
}

#[test]
fn messages_come_back_as_they_were_in_each_window() {
    come_back(Backend::Small);
}

#[cfg(feature = "zlib-rs")]
#[test]
fn messages_come_back_as_they_were_in_each_window_by_zlib_rs() {
    come_back(Backend::ZlibRs);
}

fn come_back(backend: Backend) {
    for bits in 8..=15 {
        for takeover in [true, false] {
            let mut world = World::echo().with_queue(10_000_000);
            world.event_loop.compress_with(backend);
            let mut client = connect(&mut world, agreed(bits, takeover));
            let mut sent: Vec<String> = (0..50).map(json).collect();
            sent.extend([String::new(), "SOS".into(), (0..20_000).map(json).collect(), "x".repeat(3_000_000)]);
            for message in &sent {
                assert!(client.send(Part::Whole(Kind::Text), message.as_bytes()));
                world.run();
            }
            client.receive(world.now);
            let received: Vec<_> = client.messages.iter().map(|(_, bytes)| bytes.clone()).collect();
            assert!(received.iter().eq(sent.iter().map(|text| text.as_bytes())), "{bits} bits, takeover {takeover}");
            assert!(world.texts_from(&client.peer) == sent);
        }
    }
}

#[test]
fn what_is_published_is_compressed_once_for_each_window_and_for_each_who_takes_over() {
    let mut world = World::new(|_, _| {});
    let mut alike = [12, 12, 12, 9].map(|bits| connect(&mut world, agreed(bits, false)));
    let mut own = [connect(&mut world, agreed(12, true)), connect(&mut world, agreed(12, true))];
    let mut plain = connect(&mut world, None);
    let clients: Vec<_> = alike.iter().chain(&own).chain([&plain]).map(|client| client.peer.id).collect();
    let text = json(1).repeat(3);
    // Who has a history of its own gets something else than the others, already the first time.
    publish(&mut world, &clients[4..5], &json(1), Slow::Disconnect);
    world.run();
    let before = own[0].peer.wire().written.len();
    let turn = world.turn_with(|event_loop| {
        event_loop.visit(0, |_, io| {
            io.publish(&mut clients.iter().copied(), Message::Text(&text), Slow::Disconnect);
        });
        event_loop.world.turn.total()
    });
    world.run();
    let wire = |client: &Client| client.peer.wire().written.clone();
    assert_eq!(wire(&alike[0]), wire(&alike[1]));
    assert_eq!(wire(&plain).len(), text.len() + 4);
    let variants = [&alike[0], &alike[3], &own[1], &plain].map(|client| wire(client).len()).iter().sum::<usize>();
    let first = wire(&own[0]).len() - before;
    assert_eq!(turn, variants + first, "the frames are in the turn once");
    assert!(wire(&alike[0]).len() < text.len() / 2 && first < wire(&own[1]).len());
    for client in alike.iter_mut().chain(&mut own).chain([&mut plain]) {
        client.receive(world.now);
        assert_eq!(client.messages.last(), Some(&(Kind::Text, text.clone().into_bytes())));
    }
}

#[test]
fn what_a_slow_receiver_misses_is_never_what_later_messages_refer_to() {
    for slow in [Slow::DropOldest, Slow::KeepLatest] {
        for takeover in [true, false] {
            let mut world = World::new(|_, _| {}).with_queue(300);
            let mut client = connect(&mut world, agreed(15, takeover));
            let id = client.peer.id;
            for number in 0..30 {
                publish(&mut world, &[id], &json(number), slow);
            }
            client.peer.take_only(0);
            for number in 30..200 {
                world.visit(|io| io.publish(&mut [id].into_iter(), Message::Text(&json(number)), slow));
            }
            client.peer.take_all();
            world.run();
            for number in 200..230 {
                publish(&mut world, &[id], &json(number), slow);
            }
            world.run();
            client.receive(world.now);
            let texts: Vec<String> =
                client.messages.iter().map(|(_, text)| String::from_utf8(text.clone()).unwrap()).collect();
            assert!(texts.len() < 200 && texts.len() > 60, "{} with {slow:?}", texts.len());
            assert!(texts[..30].iter().eq((0..30).map(json).collect::<Vec<_>>().iter()));
            assert!(texts[texts.len() - 30..].iter().eq((200..230).map(json).collect::<Vec<_>>().iter()));
        }
    }
}

#[test]
fn r7692_s6_a_message_that_is_not_to_be_compressed_goes_as_it_is() {
    for takeover in [true, false] {
        let mut world = World::new(|_, _| {}).with_queue(10_000_000);
        let mut client = connect(&mut world, agreed(12, takeover));
        let id = client.peer.id;
        let texts = [json(1).repeat(3), json(2).repeat(3), json(1).repeat(1000)];
        for (number, text) in texts.iter().enumerate() {
            let mut to_it = [id].into_iter();
            let (message, before) = (Message::Text(text), client.peer.wire().written.len());
            let as_it_is = Encoded::new(message).compress(false);
            match number % 2 {
                0 => world.visit(|io| assert_ne!(io.send_uncompressed(id, message), Sent::Closed)),
                _ => world.event_loop.publish(&mut to_it, &as_it_is, Slow::Disconnect),
            }
            world.event_loop.publish(&mut [id].into_iter(), &as_it_is, Slow::DropOldest);
            world.run();
            let plain = client.peer.wire().written.len() - before;
            assert!(plain > 2 * text.len(), "{plain} bytes");
            let before = client.peer.wire().written.len();
            world.visit(|io| assert_ne!(io.send(id, message), Sent::Closed));
            world.event_loop.publish(&mut [id].into_iter(), &Encoded::new(message), Slow::Disconnect);
            world.run();
            assert!(client.peer.wire().written.len() - before < plain, "takeover {takeover}, {} bytes", text.len());
        }
        client.receive(world.now);
        let received = client.messages.iter().map(|(_, bytes)| &bytes[..]);
        assert!(received.eq(texts.iter().flat_map(|text| std::iter::repeat_n(text.as_bytes(), 4))));
    }
}

#[test]
fn whoever_gets_the_place_of_a_connection_that_compressed_starts_anew() {
    let mut world = World::echo();
    for round in 0..4 {
        let mut client = connect(&mut world, if round % 2 == 0 { agreed(12, true) } else { None });
        for number in 0..3 {
            client.send(Part::Whole(Kind::Text), json(number).as_bytes());
            world.run();
        }
        client.receive(world.now);
        assert_eq!(client.messages.len(), 3, "round {round}");
        client.close(world.now, CloseCode::NORMAL);
        world.run();
        client.receive(world.now);
        world.run();
        world.assert_empty();
    }
}
