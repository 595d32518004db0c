//! Devices, twins and commands by HTTP, with devices on WebSockets.

use std::time::Duration;

use serde_json::{Value, json};
use tautline::{CloseCode, WebSocket, connect};
use tautline_hub::{Hub, SUBPROTOCOL};
use tautline_store::Store;

use super::{Answer, get, look, post, request};
use crate::{LIMIT, Running, text};

const JSON: &str = "Content-Type: application/json\r\n";

/// A hub with a store.
struct Kept {
    hub: Running,
    directory: tempfile::TempDir,
}

impl Kept {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { hub: Self::running(directory.path()).await, directory }
    }

    async fn running(directory: &std::path::Path) -> Running {
        let store = Store::open(directory, tautline_store::Settings::new()).unwrap();
        Running::start(Hub::new().store(store)).await
    }

    async fn restart(self) -> Self {
        let Self { hub, directory } = self;
        hub.stop().await;
        Self { hub: Self::running(directory.path()).await, directory }
    }
}

/// A device with envelopes, welcomed.
async fn device(hub: &Running, path: &str) -> WebSocket {
    let mut ws = connect(hub.url(path)).subprotocol(SUBPROTOCOL).await.unwrap();
    assert_eq!(next(&mut ws).await["type"], "welcome");
    ws
}

/// The next envelope that is not about presence.
async fn next(ws: &mut WebSocket) -> Value {
    loop {
        let envelope: Value = serde_json::from_str(&text(ws).await).unwrap();
        if envelope["type"] != "presence" {
            return envelope;
        }
    }
}

async fn patch(hub: &Running, target: &str, headers: &str, body: &Value) -> Answer {
    request(hub, "PATCH", target, &format!("{JSON}{headers}"), &body.to_string()).await
}

#[tokio::test]
async fn a_command_reaches_its_device_and_comes_back_with_its_result() {
    let hub = Running::all().await;
    let mut esp = device(&hub, "/rooms/lab/esp").await;
    let command = json!({"name": "led", "payload": {"on": true}});
    let obeys = async {
        let command = next(&mut esp).await;
        assert_eq!((&command["type"], &command["name"]), (&json!("command"), &json!("led")));
        assert_eq!(command["payload"], json!({"on": true}));
        assert!(command["deadline"].as_u64().unwrap() > 1_700_000_000_000);
        let result = json!({"type": "result", "id": command["id"], "data": {"was": false}});
        esp.send(result.to_string()).await.unwrap();
        command["id"].clone()
    };
    let (answer, id) = tokio::join!(post(&hub, "/api/devices/esp/commands", &command), obeys);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json(), json!({"id": id, "state": "done", "result": {"was": false}}));

    let refuses = async {
        let id = next(&mut esp).await["id"].clone();
        let result = json!({"type": "result", "id": id, "error": "no such lamp"});
        esp.send(result.to_string()).await.unwrap();
    };
    let (answer, ()) = tokio::join!(post(&hub, "/api/devices/esp/commands", &command), refuses);
    assert_eq!(answer.problem(422, "refused-by-device"), "no such lamp");
    hub.stop().await;
}

#[tokio::test]
async fn a_raw_client_gets_a_command_as_json_text() {
    let hub = Running::all().await;
    let mut esp = hub.open("/esp").await;
    let answer = post(&hub, "/api/devices/esp/commands", &json!({"name": "led", "payload": true})).await;
    assert_eq!((answer.status, &answer.json()["state"]), (200, &json!("done")));
    let command = next(&mut esp).await;
    assert_eq!(
        (&command["type"], &command["name"], &command["payload"]),
        (&json!("command"), &json!("led"), &json!(true))
    );
    hub.stop().await;
}

#[tokio::test]
async fn a_command_for_a_device_that_is_not_there_fails_or_waits_even_for_another_hub() {
    let kept = Kept::start().await;
    let command = json!({"name": "led", "payload": 1});
    let answer = post(&kept.hub, "/api/devices/esp/commands", &command).await;
    assert!(answer.problem(409, "not-connected").contains("ttl_seconds"));
    let command = json!({"name": "led", "payload": 2, "ttl_seconds": 60});
    let answer = post(&kept.hub, "/api/devices/esp/commands", &command).await;
    assert_eq!((answer.status, &answer.json()["state"]), (202, &json!("queued")));
    let kept = kept.restart().await;
    let mut esp = device(&kept.hub, "/esp").await;
    let delivered = next(&mut esp).await;
    assert_eq!((&delivered["id"], &delivered["payload"]), (&answer.json()["id"], &json!(2)));
    kept.hub.stop().await;
}

#[tokio::test]
async fn a_device_that_does_not_answer_is_told_apart() {
    let hub = Running::all().await;
    let _esp = device(&hub, "/esp").await;
    let command = json!({"name": "led", "timeout_seconds": 0.05});
    post(&hub, "/api/devices/esp/commands", &command).await.problem(504, "no-answer");
    for bad in
        [json!({"name": ""}), json!({"name": "x", "timeout_seconds": -1}), json!({"name": "x", "timeout_seconds": 1e9})]
    {
        post(&hub, "/api/devices/esp/commands", &bad).await.problem(400, "bad-request");
    }
    for bad in [json!({}), json!({"name": "x", "wrong": 1})] {
        assert_eq!(post(&hub, "/api/devices/esp/commands", &bad).await.status, 400, "{bad}");
    }
    hub.stop().await;
}

#[tokio::test]
async fn a_twin_tells_the_device_what_is_different() {
    let kept = Kept::start().await;
    let twin = "/api/devices/esp/twin";
    let empty = json!({"version": 0, "data": {}});
    assert_eq!(look(&kept.hub, twin).await, json!({"desired": empty, "reported": empty}));
    let desired = patch(&kept.hub, &format!("{twin}/desired"), "", &json!({"interval": 5, "led": {"on": true}})).await;
    assert_eq!((desired.status, desired.header("etag")), (200, Some("\"1\"")), "{desired:?}");

    let kept = kept.restart().await;
    let mut esp = device(&kept.hub, "/esp").await;
    let delta = json!({"type": "twin", "version": 1, "delta": {"interval": 5, "led": {"on": true}}});
    assert_eq!(next(&mut esp).await, delta);
    esp.send(json!({"type": "report", "id": "r1", "patch": {"interval": 5, "uptime": 1}}).to_string()).await.unwrap();
    assert_eq!(next(&mut esp).await, json!({"type": "report", "id": "r1", "version": 1}));
    assert_eq!(
        look(&kept.hub, twin).await,
        json!({
            "desired": {"version": 1, "data": {"interval": 5, "led": {"on": true}}},
            "reported": {"version": 1, "data": {"interval": 5, "uptime": 1}},
            "delta": {"led": {"on": true}},
        })
    );
    let conflict = patch(&kept.hub, &format!("{twin}/desired"), "If-Match: \"7\"\r\n", &json!({"interval": 6})).await;
    conflict.problem(412, "other-version");
    assert_eq!(conflict.json()["current"]["version"], 1);
    let changed = patch(&kept.hub, &format!("{twin}/desired"), "If-Match: \"1\"\r\n", &json!({"interval": 6})).await;
    assert_eq!(changed.json()["version"], 2);
    let delta = json!({"type": "twin", "version": 2, "delta": {"interval": 6, "led": {"on": true}}});
    assert_eq!(next(&mut esp).await, delta);
    patch(&kept.hub, &format!("{twin}/desired"), "", &json!([1])).await.problem(400, "bad-request");
    kept.hub.stop().await;
}

#[tokio::test]
async fn devices_are_listed_while_they_are_here_and_afterwards() {
    let kept = Kept::start().await;
    let esp = device(&kept.hub, "/rooms/lab/esp").await;
    let also = kept.hub.open("/esp").await;
    let _nobody = kept.hub.open("/").await;
    let devices = look(&kept.hub, "/api/devices").await;
    let [device] = &devices["devices"].as_array().unwrap()[..] else { panic!("{devices}") };
    assert_eq!((&device["id"], &device["online"]), (&json!("esp"), &json!(true)));
    let mut rooms: Vec<_> = device["rooms"].as_array().unwrap().iter().map(|room| room.as_str().unwrap()).collect();
    rooms.sort_unstable();
    assert_eq!(rooms, ["lab", "main"]);
    assert!(device["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    let mut esp = esp;
    esp.close(CloseCode::NORMAL, "").await;
    let mut also = also;
    also.close(CloseCode::NORMAL, "").await;
    // The hub may still be about to notice, and to store it.
    let gone = async {
        loop {
            // Between its leaving and its being stored it is not known at all.
            let answer = get(&kept.hub, "/api/devices/esp").await;
            let device = if answer.status == 200 { answer.json() } else { Value::Null };
            if device["online"] == false && device["last_reason"].is_string() {
                return device;
            }
            tokio::task::yield_now().await;
        }
    };
    let device = tokio::time::timeout(LIMIT, gone).await.unwrap();
    assert_eq!(device["last_reason"], "the client closed the connection");
    assert!(device["last_seen_ms"].as_i64().unwrap() > 1_700_000_000_000);
    let kept = kept.restart().await;
    let history = look(&kept.hub, "/api/connections?device=esp&limit=1").await;
    assert_eq!(history["connections"].as_array().unwrap().len(), 1);
    assert!(history["next"].is_u64());
    let older = look(&kept.hub, &format!("/api/connections?device=esp&after={}", history["next"])).await;
    assert_eq!(older["connections"].as_array().unwrap().len(), 1);
    assert_eq!(look(&kept.hub, "/api/devices?limit=5").await["devices"][0]["online"], false);
    get(&kept.hub, "/api/devices/nobody").await.problem(404, "not-found");
    kept.hub.stop().await;
}

#[tokio::test]
async fn a_connection_that_was_replaced_is_nobodys_device() {
    let takes_over =
        tautline_rooms::RoomSettings { duplicates: tautline_rooms::Duplicates::TakeOver, ..Default::default() };
    let rooms = tautline_rooms::Settings { default: takes_over.into(), ..Default::default() };
    let hub = Running::start(Hub::new().rooms(rooms)).await;
    let mut old = device(&hub, "/esp").await;
    let mut new = device(&hub, "/esp").await;
    while old.recv().await.is_some() {}
    let command = json!({"name": "led", "timeout_seconds": 60});
    let obeys = async {
        let id = next(&mut new).await["id"].clone();
        new.send(json!({"type": "result", "id": id}).to_string()).await.unwrap();
    };
    let (answer, ()) = tokio::join!(post(&hub, "/api/devices/esp/commands", &command), obeys);
    assert_eq!(answer.status, 200, "{answer:?}");
    new.close(CloseCode::NORMAL, "").await;
    let gone = async {
        while look(&hub, "/api/devices").await["devices"] != json!([]) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, gone).await.unwrap();
    post(&hub, "/api/devices/esp/commands", &command).await.problem(409, "not-connected");
    hub.stop().await;
}

#[tokio::test]
async fn the_latency_of_a_device_is_known_once_it_has_answered_a_ping() {
    let config = tautline::Config::new().ping_interval(Some(Duration::from_millis(20)));
    let hub = Running::start(Hub::new().server(tautline::Server::new().config(config))).await;
    let mut esp = device(&hub, "/rooms/lab/esp").await;
    // Its connection answers by itself.
    let listening = tokio::spawn(async move { while esp.recv().await.is_some() {} });
    let latency = loop {
        let device = look(&hub, "/api/devices/esp").await;
        assert_eq!(device["transport"], "ws");
        if let Some(latency) = device["latency_ms"].as_f64() {
            break latency;
        }
        tokio::task::yield_now().await;
    };
    assert!((0.0..6_554.0).contains(&latency), "{latency}");
    hub.stop().await;
    listening.await.unwrap();
}
