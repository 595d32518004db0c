//! Compression: who gets it, and that messages are the same with it and without.

use tautline::deflate::{Offer, Sender, WindowBits};
use tautline::{WebSocket, connect};
use tautline_hub::Hub;
use tautline_rooms::{Compression, RoomSettings, Settings};

use crate::{Running, text};

const TWELVE: WindowBits = WindowBits::new(12).expect("8 to 15");

/// A hub of which the room `small` compresses each message by itself, `short` with reference to earlier ones, and `plain` not.
fn hub(usual: Compression) -> Hub {
    let room = |compression| RoomSettings { compression: Some(compression), ..RoomSettings::default() }.into();
    let named = [
        ("small", Compression::NoContextTakeover),
        ("short", Compression::ContextTakeover),
        ("plain", Compression::Off),
    ];
    let named = named.map(|(name, compression)| (name.to_owned(), room(compression)));
    Hub::new().rooms(Settings { named: named.into(), ..Settings::default() }).compression(usual, TWELVE)
}

async fn open(hub: &Running, path: &str, offer: Offer) -> WebSocket {
    connect(hub.url(path)).deflate(offer).await.unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[tokio::test]
async fn nothing_is_compressed_unless_the_hub_says_so() {
    let hub = Running::start(Hub::new()).await;
    for path in ["/esp", "/rooms/lab/esp", "/echo", "/counter", "/clock"] {
        assert_eq!(open(&hub, path, Offer::default()).await.info().deflate, None, "{path}");
    }
    hub.stop().await;
}

#[tokio::test]
async fn a_room_says_how_its_messages_are_compressed_and_other_paths_are_as_usual() {
    for usual in [Compression::Off, Compression::NoContextTakeover, Compression::ContextTakeover] {
        let hub = Running::start(hub(usual)).await;
        for (path, compression) in [
            ("/rooms/small/esp", Compression::NoContextTakeover),
            ("/rooms/short/esp", Compression::ContextTakeover),
            ("/rooms/plain/esp", Compression::Off),
            ("/rooms/other/esp", usual),
            ("/esp", usual),
            ("/echo", usual),
            ("/state/lamp", usual),
        ] {
            let agreed = open(&hub, path, Offer::default()).await.info().deflate;
            let expected = match compression {
                Compression::Off => None,
                Compression::NoContextTakeover => Some(Sender { window: TWELVE, takeover: false }),
                Compression::ContextTakeover => Some(Sender { window: TWELVE, takeover: true }),
            };
            assert_eq!(agreed.map(|agreed| agreed.server), expected, "{path}, usually {usual:?}");
            assert_eq!(agreed.map(|agreed| agreed.client), expected, "{path}, usually {usual:?}");
        }
        hub.stop().await;
    }
}

#[tokio::test]
async fn members_who_compress_and_members_who_do_not_get_the_same() {
    for room in ["small", "short"] {
        let hub = Running::start(hub(Compression::Off)).await;
        let narrow = Sender { window: WindowBits::MIN, takeover: true };
        let mut members = Vec::new();
        for (id, offer) in
            [("a", Some(Offer::default())), ("b", Some(Offer { server: narrow, client: narrow })), ("c", None)]
        {
            let path = format!("/rooms/{room}/{id}");
            members.push(match offer {
                Some(offer) => open(&hub, &path, offer).await,
                None => hub.open(&path).await,
            });
        }
        for number in 0..60 {
            let long = if number % 10 == 0 { 400 } else { 1 };
            let message = format!(r#"{{"sensor":"kitchen","number":{number},"celsius":21.5}}"#).repeat(long);
            let from = number % members.len();
            members[from].send(message.as_str()).await.unwrap();
            for (index, member) in members.iter_mut().enumerate() {
                if index != from {
                    assert!(text(member).await == message, "{index} in {room}, number {number}");
                }
            }
        }
        hub.stop().await;
    }
}
