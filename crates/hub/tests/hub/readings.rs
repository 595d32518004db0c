//! Readings by WebSocket.

use serde_json::{Value, json};
use tautline::{Config, ConnectError, Message, Server, WebSocket, connect};
use tautline_hub::Hub;
use tautline_store::{Settings, Store};

use crate::api::look;
use crate::tokens::{Keeper, MEMBER, PUBLISHER, SUBSCRIBER};
use crate::{Running, text};

async fn start() -> Running {
    Running::start(Hub::new().store(Store::in_memory(Settings::new()).unwrap())).await
}

async fn told(ws: &mut WebSocket) -> Value {
    serde_json::from_str(&text(ws).await).unwrap()
}

#[tokio::test]
async fn every_form_is_taken_and_answered_when_it_is_stored() {
    let hub = start().await;
    let mut kitchen = hub.open("/readings/kitchen").await;
    kitchen
        .send(r#"[{"n":"temperature","u":"Cel","t":1.7e9,"v":21.5},{"n":"open","t":1.7e9,"vb":true}]"#)
        .await
        .unwrap();
    kitchen.send(r#"{"at_ms": 1700000001000, "readings": {"temperature": 22}}"#).await.unwrap();
    // [{0: "temperature", 6: 1.7e9 + 2, 2: 23}]
    let cbor = b"\x81\xa3\x00\x6btemperature\x06\x1a\x65\x53\xf1\x02\x02\x17";
    kitchen.send(Message::binary(cbor.to_vec())).await.unwrap();
    for (message, stored) in [(1, 2), (2, 1), (3, 1)] {
        assert_eq!(told(&mut kitchen).await, json!({"message": message, "stored": stored}));
    }
    let path = "/api/devices/kitchen/readings?from=0&sensor=temperature";
    let points = json!([[1_700_000_000_000_i64, 21.5], [1_700_000_001_000_i64, 22], [1_700_000_002_000_i64, 23]]);
    assert_eq!(look(&hub, path).await["series"][0]["points"], points);

    let mut gateway = hub.open("/readings").await;
    gateway.send(r#"[{"n":"cellar/humidity","u":"%RH","v":60}]"#).await.unwrap();
    assert_eq!(told(&mut gateway).await["stored"], 1);
    assert_eq!(look(&hub, "/api/devices/cellar/sensors").await["sensors"][0]["unit"], "%RH");
    hub.stop().await;
}

#[tokio::test]
async fn what_is_not_good_is_answered_with_its_number_and_the_connection_goes_on() {
    let hub = start().await;
    let mut kitchen = hub.open("/readings/kitchen").await;
    for bad in [r#"{"readings": {"t": null}}"#, "[{}", r#"[{"n":"ä","v":1}]"#, r#"{"device":"x","readings":{"t":1}}"#]
    {
        kitchen.send(bad).await.unwrap();
    }
    kitchen.send(Message::binary(vec![0xff])).await.unwrap();
    kitchen.send(r#"{"readings": {"t": 1}}"#).await.unwrap();
    for message in 1..=5 {
        let answer = told(&mut kitchen).await;
        assert_eq!((&answer["message"], &answer["error"]), (&json!(message), &json!("bad-request")), "{answer}");
        assert!(!answer["detail"].as_str().unwrap().is_empty());
    }
    assert_eq!(told(&mut kitchen).await, json!({"message": 6, "stored": 1}));
    hub.stop().await;
    let hub = Running::all().await;
    let mut kitchen = hub.open("/readings/kitchen").await;
    kitchen.send(r#"{"readings": {"t": 1}}"#).await.unwrap();
    assert_eq!(told(&mut kitchen).await["error"], "no-store");
    let Err(ConnectError::Refused(refused)) = connect(hub.url("/readings/a/b")).await else { panic!() };
    assert_eq!(refused.status(), 404);
    hub.stop().await;
}

#[tokio::test]
async fn a_token_has_to_permit_it() {
    let keeper = Keeper::new();
    let (member, subscriber) = (keeper.add("m", &MEMBER), keeper.add("s", &SUBSCRIBER));
    let hub = keeper.start(Hub::new().require_authentication(true)).await;
    let open = |token: &str| connect(hub.url(&format!("/readings/kitchen?token={token}")));
    let Err(ConnectError::Refused(refused)) = open(subscriber.reveal()).await else { panic!() };
    assert_eq!(refused.status(), 403);
    let mut kitchen = open(member.reveal()).await.unwrap();
    kitchen.send(r#"{"readings": {"t": 1}}"#).await.unwrap();
    assert_eq!(told(&mut kitchen).await["stored"], 1);
    hub.stop().await;
}

#[tokio::test]
async fn whoever_listens_is_told_what_is_stored_of_what_it_wants() {
    let hub = start().await;
    let mut all = hub.open("/readings?live").await;
    let mut heat = hub.open("/readings?live&device=kitchen,attic&sensor=heat").await;
    let mut kitchen = hub.open("/readings/kitchen?live=1&device=attic").await;
    let mut gateway = hub.open("/readings").await;
    for (device, sensor) in [("kitchen", "open"), ("cellar", "heat"), ("attic", "heat"), ("kitchen", "heat")] {
        let reading = json!({"device": device, "at_ms": 1000, "readings": {sensor: 1}}).to_string();
        gateway.send(reading.as_str()).await.unwrap();
        assert_eq!(told(&mut gateway).await["stored"], 1);
        let reading = json!({"device": device, "sensor": sensor, "at_ms": 1000, "value": 1});
        assert_eq!(told(&mut all).await, reading);
        if sensor == "heat" && device != "cellar" {
            assert_eq!(told(&mut heat).await, reading);
        }
        if device == "kitchen" {
            assert_eq!(told(&mut kitchen).await, reading);
        }
    }
    all.send("{}").await.unwrap();
    assert_eq!(told(&mut all).await["error"], "bad-request", "it only listens");
    hub.stop().await;
}

#[tokio::test]
async fn a_slow_listener_is_told_how_much_it_has_missed_and_holds_nobody_up() {
    // It would be given up if it took nothing for long.
    let server = Server::new().send_queue(128 * 1024).config(Config::new().ping_interval(None));
    let store = Store::in_memory(Settings::new()).unwrap();
    let hub = Running::start(Hub::new().server(server).store(store)).await;
    let mut slow = hub.open("/readings?live").await;
    let mut gateway = hub.open("/readings").await;
    // Several times what the sockets between them hold.
    let (times, each) = (120, 100);
    let text = "x".repeat(1000);
    for round in 0..times {
        let readings: Vec<_> =
            (0..each).map(|number| json!({"n": format!("d/{number}"), "vs": format!("{round} {text}")})).collect();
        gateway.send(Value::Array(readings).to_string()).await.unwrap();
        assert_eq!(told(&mut gateway).await["stored"], each);
    }
    let (mut heard, mut missed) = (0, 0);
    while heard + missed < times * each {
        let news = told(&mut slow).await;
        match news["missed"].as_u64() {
            Some(count) => missed += count,
            None => heard += 1,
        }
    }
    assert!(heard + missed == times * each && missed > 0, "{heard} {missed}");
    hub.stop().await;
}

#[tokio::test]
async fn listening_needs_the_right_that_events_need() {
    let keeper = Keeper::new();
    let (member, publisher) = (keeper.add("m", &MEMBER), keeper.add("p", &PUBLISHER));
    let subscriber = keeper.add("s", &SUBSCRIBER);
    let hub = keeper.start(Hub::new().require_authentication(true)).await;
    let refused = async |target: &str| match connect(hub.url(target)).await {
        Err(ConnectError::Refused(refused)) => refused.status(),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused("/readings?live").await, 401);
    assert_eq!(refused(&format!("/readings?live&token={}", publisher.reveal())).await, 403);
    for token in [&member, &subscriber] {
        let mut live = connect(hub.url(&format!("/readings?live&token={}", token.reveal()))).await.unwrap();
        assert!(live.close(tautline::CloseCode::NORMAL, "").await.is_clean());
    }
    hub.stop().await;
}

#[tokio::test]
async fn so_many_can_listen_and_their_places_are_free_when_they_leave() {
    let hub = start().await;
    let mut all = Vec::new();
    for _ in 0..64 {
        all.push(hub.open("/readings?live").await);
    }
    let Err(ConnectError::Refused(refused)) = connect(hub.url("/readings?live")).await else { panic!() };
    assert_eq!(refused.status(), 503);
    drop(all);
    let again = async {
        while connect(hub.url("/readings?live")).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), again).await.unwrap();
    hub.stop().await;
}
