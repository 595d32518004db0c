//! Readings by WebSocket.

use serde_json::{Value, json};
use tautline::{ConnectError, Message, WebSocket, connect};
use tautline_hub::Hub;
use tautline_store::{Settings, Store};

use crate::api::look;
use crate::tokens::{Keeper, MEMBER, SUBSCRIBER};
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
