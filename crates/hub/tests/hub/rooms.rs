//! Rooms over real connections, with a store that survives the hub.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use tautline::{CloseCode, Config, ConnectError, Ended, Server, WebSocket, connect};
use tautline_hub::{Hub, SUBPROTOCOL};
use tautline_rooms::{Duplicates, RoomSettings, Settings, SlowConsumer};
use tautline_store::Store;

use crate::api::look;
use crate::{Running, text};

pub(crate) fn with(room: RoomSettings) -> Hub {
    Hub::new().rooms(Settings { default: room.into(), ..Settings::default() })
}

/// All apps, where an id is taken for as long as its client does not say for a minute whether it is there: the default may
/// be too short on a busy machine.
pub(crate) fn patient() -> Hub {
    with(RoomSettings { probe_timeout: Duration::from_secs(60), ..RoomSettings::default() })
}

pub(crate) async fn enter(hub: &Running, target: &str) -> WebSocket {
    connect(hub.url(target)).subprotocol(SUBPROTOCOL).await.unwrap_or_else(|error| panic!("{error}"))
}

/// The next envelope that is not about presence.
pub(crate) async fn envelope(ws: &mut WebSocket) -> Value {
    loop {
        let envelope: Value = serde_json::from_str(&text(ws).await).unwrap();
        if envelope["type"] != "presence" {
            return envelope;
        }
    }
}

async fn publish(ws: &mut WebSocket, id: &str, data: Value) {
    ws.send(json!({"type": "publish", "id": id, "data": data}).to_string()).await.unwrap();
}

#[tokio::test]
async fn rooms_are_apart_and_raw_clients_and_envelopes_mix() {
    let hub = Running::all().await;
    let (mut esp, mut other) = (hub.open("/rooms/lab/esp").await, hub.open("/rooms/else/esp").await);
    let mut page = enter(&hub, "/rooms/lab/page").await;
    assert_eq!(page.info().subprotocol.as_deref(), Some(SUBPROTOCOL));
    let welcome = envelope(&mut page).await;
    assert_eq!((&welcome["type"], &welcome["count"], &welcome["offset"]), (&json!("welcome"), &json!(2), &json!(0)));
    esp.send("SOS").await.unwrap();
    let message = envelope(&mut page).await;
    assert_eq!((&message["text"], &message["from"], &message["offset"]), (&json!("SOS"), &json!("esp"), &json!(1)));
    publish(&mut page, "m", json!({"led": true})).await;
    assert_eq!(text(&mut esp).await, r#"{"led":true}"#);
    assert_eq!(envelope(&mut page).await, json!({"type": "ack", "id": "m", "offset": 2}));
    // The other room heard nothing of all this.
    let mut second = hub.open("/rooms/else/second").await;
    second.send("here").await.unwrap();
    assert_eq!(text(&mut other).await, "here");
    hub.stop().await;
}

#[tokio::test]
async fn a_client_that_comes_back_gets_what_it_missed() {
    let hub = Running::all().await;
    let mut esp = enter(&hub, "/esp").await;
    let epoch = envelope(&mut esp).await["epoch"].as_str().unwrap().to_owned();
    let mut page = hub.open("/page").await;
    page.send("1").await.unwrap();
    assert_eq!(envelope(&mut esp).await["offset"], 1);
    assert!(esp.close(CloseCode::NORMAL, "").await.is_clean());
    for missed in ["2", "3"] {
        page.send(missed).await.unwrap();
    }
    // What comes next has been taken after those.
    drop(hub.open("/witness").await);
    let mut esp = enter(&hub, &format!("/esp?epoch={epoch}&offset=1")).await;
    assert_eq!(envelope(&mut esp).await["recovered"], "all");
    assert_eq!(envelope(&mut esp).await["text"], "2");
    assert_eq!(envelope(&mut esp).await["text"], "3");
    hub.stop().await;
}

#[tokio::test]
async fn durable_rooms_and_counters_survive_the_hub() {
    let directory = tempfile::tempdir().unwrap();
    let start = || async {
        let store = Store::open(directory.path(), tautline_store::Settings::new()).unwrap();
        Running::start(with(RoomSettings { durable: true, ..RoomSettings::default() }).store(store)).await
    };
    let hub = start().await;
    let mut esp = enter(&hub, "/esp").await;
    let epoch = envelope(&mut esp).await["epoch"].as_str().unwrap().to_owned();
    for number in 1..=3 {
        publish(&mut esp, &format!("m{number}"), json!(number)).await;
        assert_eq!(envelope(&mut esp).await, json!({"type": "ack", "id": format!("m{number}"), "offset": number}));
    }
    let mut counter = hub.open("/state/lamps").await;
    counter.send(r#"{"action":"set","value":41}"#).await.unwrap();
    while text(&mut counter).await != r#"{"type": "state", "value": 41}"# {}
    hub.stop().await;

    let hub = start().await;
    let mut page = enter(&hub, &format!("/page?epoch={epoch}&offset=1")).await;
    let welcome = envelope(&mut page).await;
    assert_eq!((&welcome["recovered"], &welcome["epoch"]), (&json!("all"), &json!(epoch)));
    assert_eq!(envelope(&mut page).await["data"], 2);
    assert_eq!(envelope(&mut page).await["data"], 3);
    let mut esp = enter(&hub, "/esp").await;
    envelope(&mut esp).await;
    publish(&mut esp, "m3", json!(3)).await;
    assert_eq!(envelope(&mut esp).await, json!({"type": "ack", "id": "m3", "duplicate": true}));
    publish(&mut esp, "m4", json!(4)).await;
    assert_eq!(envelope(&mut page).await["offset"], 4);
    let mut counter = hub.open("/state/lamps").await;
    text(&mut counter).await;
    assert_eq!(text(&mut counter).await, r#"{"type": "state", "value": 41}"#);
    hub.stop().await;
}

#[tokio::test]
async fn documents_are_shared_and_survive_the_hub() {
    let directory = tempfile::tempdir().unwrap();
    let start = || async {
        let store = Store::open(directory.path(), tautline_store::Settings::new()).unwrap();
        Running::start(Hub::new().store(store)).await
    };
    let hub = start().await;
    let (mut page, mut esp) = (enter(&hub, "/rooms/lab/page").await, enter(&hub, "/rooms/lab/esp").await);
    for ws in [&mut page, &mut esp] {
        assert_eq!(envelope(ws).await["type"], "welcome");
    }
    let ask = |id: &str, rest: Value| {
        let mut envelope = json!({"type": "state", "id": id, "document": "lamp"});
        envelope.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        envelope.to_string()
    };
    esp.send(ask("s1", json!({"subscribe": true}))).await.unwrap();
    assert_eq!(envelope(&mut esp).await, json!({"type": "state", "document": "lamp", "version": 0, "removed": true}));
    page.send(ask("s2", json!({"put": {"on": false, "since": [1, 2, 3]}, "if_version": 0}))).await.unwrap();
    assert_eq!(envelope(&mut page).await["version"], 1);
    assert_eq!(envelope(&mut esp).await["data"], json!({"on": false, "since": [1, 2, 3]}));
    page.send(ask("s3", json!({"patch": {"on": true}, "if_version": 1}))).await.unwrap();
    assert_eq!(envelope(&mut page).await["version"], 2);
    let change = json!({"type": "state", "document": "lamp", "version": 2, "patch": {"on": true}});
    assert_eq!(envelope(&mut esp).await, change);
    hub.stop().await;

    let hub = start().await;
    let mut page = enter(&hub, "/rooms/lab/page").await;
    envelope(&mut page).await;
    page.send(ask("s4", json!({"remove": true, "if_version": 1}))).await.unwrap();
    let conflict = envelope(&mut page).await;
    assert_eq!(conflict["current"], json!({"version": 2, "data": {"on": true, "since": [1, 2, 3]}}));
    // Another room has other documents.
    let mut other = enter(&hub, "/rooms/else/page").await;
    envelope(&mut other).await;
    other.send(ask("s5", json!({"get": true}))).await.unwrap();
    assert_eq!(envelope(&mut other).await["version"], 0);
    hub.stop().await;
}

/// A client that answers nothing, not even pings: a device that lost its power.
fn dead(hub: &Running, path: &str) -> TcpStream {
    let (stream, answer) = asked(hub, path, "Host: x\r\n");
    assert_eq!(&answer, b"HTTP/1.1 101");
    stream
}

/// Asks for a WebSocket; answers the beginning of the answer.
fn asked(hub: &Running, path: &str, headers: &str) -> (TcpStream, [u8; 12]) {
    let mut stream = TcpStream::connect(hub.address).unwrap();
    let head = format!(
        "GET {path} HTTP/1.1\r\n{headers}Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    (stream, answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_was_behind_gets_the_latest_of_each_client() {
    const ROUNDS: usize = 300;
    let hub = with(RoomSettings { slow: SlowConsumer::LatestPerKey, ..RoomSettings::default() });
    // It would be given up for not answering pings.
    let hub = Running::start(hub.server(Server::new().config(Config::new().ping_interval(None)))).await;
    let mut slow = dead(&hub, "/slow");
    let mut lamps = [hub.open("/lamp").await, hub.open("/heater").await];
    let name = |lamp: usize, round: usize| format!("{lamp} {round:03} ");
    for round in 0..ROUNDS {
        for (number, lamp) in lamps.iter_mut().enumerate() {
            lamp.send(name(number, round) + &"x".repeat(60_000)).await.unwrap();
        }
        // In step with each other, so that they are ahead of `slow` alone.
        for lamp in &mut lamps {
            text(lamp).await;
        }
    }
    let reading = tokio::task::spawn_blocking(move || {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            slow.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let mut got = Vec::new();
        while !(0..2).all(|lamp| got.contains(&name(lamp, ROUNDS - 1))) {
            let mut frame = [0; 4 + 60_006];
            slow.read_exact(&mut frame).unwrap();
            assert_eq!(frame[..2], [0x81, 126]);
            got.push(String::from_utf8(frame[4..10].to_vec()).unwrap());
        }
        got
    });
    let got = tokio::time::timeout(Duration::from_secs(60), reading).await.unwrap().unwrap();
    assert!(got.len() < 2 * ROUNDS, "all {} fit into the sockets' buffers: this proves nothing", got.len());
    for lamp in 0..2 {
        let of: Vec<_> = got.iter().filter(|got| got.starts_with(&lamp.to_string())).collect();
        assert!(of.is_sorted(), "{of:?}");
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_under_a_foreign_name_for_this_hub_opens_nothing() {
    let hub = Running::start(Hub::new().hosts(["hub.example"])).await;
    let page = |name: &str| {
        let headers = format!("Host: {name}:8000\r\nOrigin: http://{name}:8000\r\n");
        asked(&hub, "/esp", &headers).1
    };
    assert_eq!(&page("evil.example"), b"HTTP/1.1 421");
    assert_eq!(&page("hub.example"), b"HTTP/1.1 101");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_connection_gives_its_id_to_the_device_that_comes_back() {
    let probe_timeout = Duration::from_millis(200);
    let hub = Running::start(with(RoomSettings { probe_timeout, ..RoomSettings::default() })).await;
    let _dead = dead(&hub, "/esp");
    let mut esp = hub.open("/esp").await;
    let mut page = hub.open("/page").await;
    page.send("hi").await.unwrap();
    assert_eq!(text(&mut esp).await, "hi");
    hub.stop().await;
}

#[tokio::test]
async fn a_connection_that_lives_keeps_its_id() {
    let hub = Running::start(patient()).await;
    let mut esp = hub.open("/esp").await;
    let listening = tokio::spawn(async move {
        let heard = esp.recv().await;
        (esp, heard)
    });
    let Err(ConnectError::Refused(refusal)) = connect(hub.url("/esp")).await else { panic!("it is taken") };
    assert_eq!((refusal.status().as_u16(), refusal.retry_after()), (409, Some(Duration::from_secs(5))));
    let mut page = hub.open("/page").await;
    page.send("still there?").await.unwrap();
    let (_esp, heard) = listening.await.unwrap();
    assert_eq!(heard.unwrap().as_text(), Some("still there?"));
    hub.stop().await;
}

#[tokio::test]
async fn with_the_policy_take_over_the_newcomer_wins() {
    let hub = Running::start(with(RoomSettings { duplicates: Duplicates::TakeOver, ..RoomSettings::default() })).await;
    let mut old = hub.open("/esp").await;
    let _new = hub.open("/esp").await;
    assert!(old.recv().await.is_none());
    let code = CloseCode::REPLACED;
    assert_eq!(old.ended(), Some(Ended::ClosedByPeer { code, clean: true }));
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_has_its_own_limit_of_what_may_wait_for_a_member() {
    let small = RoomSettings { queue_bytes: Some(512 * 1024), ..RoomSettings::default() };
    let settings = Settings { named: [("small".to_owned(), small.into())].into(), ..Settings::default() };
    // Elsewhere everything may wait that is sent here.
    let server = Server::new().send_queue(64 * 1024 * 1024);
    let hub = Running::start(Hub::new().server(server).rooms(settings)).await;
    // Several times what sockets hold.
    let large = "x".repeat(60_000);
    for room in ["large", "small"] {
        let _deaf = dead(&hub, &format!("/rooms/{room}/deaf"));
        let mut esp = hub.open(&format!("/rooms/{room}/esp")).await;
        let mut page = hub.open(&format!("/rooms/{room}/page")).await;
        for _ in 0..300 {
            esp.send(large.as_str()).await.unwrap();
            assert_eq!(text(&mut page).await.len(), large.len());
        }
        let dropped = look(&hub, &format!("/api/rooms/{room}")).await["deliveries"]["disconnected"].clone();
        assert_eq!(dropped, u32::from(room == "small"), "{room}");
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn why_a_silent_client_was_given_up_is_kept_with_numbers() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), tautline_store::Settings::new()).unwrap();
    let probe_timeout = Duration::from_millis(200);
    let hub = with(RoomSettings { probe_timeout, ..RoomSettings::default() }).store(store.clone());
    let hub = Running::start(hub).await;
    let _dead = dead(&hub, "/esp");
    let _esp = hub.open("/esp").await;
    store.flush();
    let history = store.read(|reader| reader.connections(Some("esp"), None, 10)).unwrap();
    let reason = &history[0].connection.reason;
    assert!(reason.starts_with("no pong in time") && reason.contains("; last heard "), "{reason}");
    hub.stop().await;
}
