//! Rooms by HTTP.

use serde_json::{Value, json};
use tautline::WebSocket;
use tautline_hub::Hub;
use tautline_rooms::{RoomSettings, Settings};
use tautline_store::Store;

use super::{get, look, post};
use crate::rooms::{enter, envelope, with};
use crate::{Running, text};

fn names(list: &Value, of: &str, name: &str) -> Vec<String> {
    let names = list[of].as_array().unwrap().iter();
    names.map(|entry| entry[name].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn rooms_are_listed_by_name_part_by_part() {
    let hub = Running::start(Hub::new().loops(3)).await;
    assert_eq!(look(&hub, "/api/rooms").await, json!({"rooms": []}));
    let mut open: Vec<WebSocket> = Vec::new();
    for room in ["d", "b", "a%20x", "c", "e"] {
        open.push(hub.open(&format!("/rooms/{room}/esp")).await);
    }
    let first = look(&hub, "/api/rooms?limit=2").await;
    assert_eq!((names(&first, "rooms", "name"), &first["next"]), (vec!["a x".into(), "b".into()], &json!("b")));
    let second = look(&hub, "/api/rooms?limit=2&after=b").await;
    assert_eq!((names(&second, "rooms", "name"), &second["next"]), (vec!["c".into(), "d".into()], &json!("d")));
    let last = look(&hub, "/api/rooms?limit=2&after=d").await;
    assert_eq!((names(&last, "rooms", "name"), last.get("next")), (vec!["e".into()], None));
    assert_eq!(last["rooms"][0]["members"], 1);
    for limit in ["0", "1001", "x"] {
        let detail = get(&hub, &format!("/api/rooms?limit={limit}")).await.problem(400, "bad-request");
        assert!(detail.contains("limit"), "{detail}");
    }
    hub.stop().await;
}

#[tokio::test]
async fn a_room_tells_who_is_there_and_what_became_of_its_messages() {
    let hub = Running::all().await;
    let (mut esp, mut raw) = (hub.open("/rooms/lab/esp").await, hub.open("/rooms/lab/raw").await);
    let mut page = enter(&hub, "/rooms/lab/page").await;
    let epoch = envelope(&mut page).await["epoch"].clone();
    esp.send("one").await.unwrap();
    assert_eq!(text(&mut raw).await, "one");
    assert_eq!(envelope(&mut page).await["text"], "one");
    let room = look(&hub, "/api/rooms/lab?limit=2").await;
    assert_eq!((&room["epoch"], &room["offset"], &room["members"]), (&epoch, &json!(1), &json!(3)));
    assert_eq!((&room["durable"], &room["remembered"], &room["name"]), (&json!(false), &json!(1), &json!("lab")));
    assert_eq!(room["deliveries"], json!({"sent": 2, "dropped": 0, "disconnected": 0}));
    let clients = json!([{"client": "esp", "form": "raw"}, {"client": "page", "form": "envelopes"}]);
    assert_eq!((&room["clients"], &room["next"]), (&clients, &json!("page")));
    let rest = look(&hub, "/api/rooms/lab?after=page").await;
    assert_eq!((&rest["clients"], rest.get("next")), (&json!([{"client": "raw", "form": "raw"}]), None));
    hub.stop().await;
}

#[tokio::test]
async fn what_names_no_room_is_refused() {
    let hub = Running::all().await;
    assert!(get(&hub, "/api/rooms/none").await.problem(404, "not-found").contains("no room"));
    get(&hub, "/api/rooms/none/messages").await.problem(404, "not-found");
    get(&hub, "/api/rooms/%ff").await.problem(400, "bad-request");
    get(&hub, "/api/rooms/a%0ab").await.problem(400, "bad-request");
    get(&hub, &format!("/api/rooms/{}", "x".repeat(129))).await.problem(414, "too-long");
    post(&hub, &format!("/api/rooms/{}/messages", "x".repeat(129)), &json!({"text": ""}))
        .await
        .problem(414, "too-long");
    hub.stop().await;
}

#[tokio::test]
async fn messages_are_published_and_remembered() {
    let hub = Running::all().await;
    let mut esp = hub.open("/rooms/lab/esp").await;
    let messages = "/api/rooms/lab/messages";
    let bodies =
        [json!({"data": {"led": true}}), json!({"text": "héllo"}), json!({"base64": "AP8="}), json!({"data": null})];
    for (offset, body) in (1..).zip(&bodies) {
        let answer = post(&hub, messages, body).await;
        assert_eq!((answer.status, answer.json()), (201, json!({"offset": offset, "duplicate": false})));
    }
    assert_eq!(text(&mut esp).await, r#"{"led":true}"#);
    assert_eq!(text(&mut esp).await, "héllo");
    assert_eq!(esp.recv().await.unwrap().as_bytes(), [0, 255]);
    assert_eq!(text(&mut esp).await, "null");

    let part = look(&hub, &format!("{messages}?after=1&limit=2")).await;
    assert_eq!((&part["offset"], &part["next"], part["messages"].as_array().unwrap().len()), (&json!(4), &json!(3), 2));
    let first = &part["messages"][0];
    assert!(first["at"].as_u64().unwrap() > 1_700_000_000_000);
    let expected = json!({"type": "message", "offset": 2, "at": first["at"], "from": "api", "text": "héllo"});
    assert_eq!(first, &expected);
    let rest = look(&hub, &format!("{messages}?after=3")).await;
    assert_eq!((rest["messages"][0].get("data"), rest.get("next")), (Some(&Value::Null), None));
    hub.stop().await;
}

#[tokio::test]
async fn a_message_with_an_id_is_published_once() {
    let hub = Running::all().await;
    let body = json!({"id": "m1", "text": "once"});
    let answer = post(&hub, "/api/rooms/lab/messages", &body).await;
    assert_eq!((answer.status, answer.json()), (201, json!({"offset": 1, "duplicate": false})));
    let again = post(&hub, "/api/rooms/lab/messages", &body).await;
    assert_eq!((again.status, again.json()), (200, json!({"offset": 1, "duplicate": true})));
    assert_eq!(look(&hub, "/api/rooms/lab").await["offset"], 1);
    for id in [String::new(), "x".repeat(65)] {
        let body = json!({"id": id, "text": ""});
        let detail = post(&hub, "/api/rooms/lab/messages", &body).await.problem(400, "bad-request");
        assert!(detail.contains("1 to 64 bytes"), "{detail}");
    }
    hub.stop().await;
}

#[tokio::test]
async fn what_is_no_message_is_refused_and_it_is_said_where() {
    let hub = Running::all().await;
    for (body, words) in [
        (json!({}), "one of `data`"),
        (json!({"text": "a", "data": 1}), "one of `data`"),
        (json!({"base64": "?"}), "not Base64"),
        (json!({"text": 1}), "line 1 column 9"),
        (json!([]), "line 1"),
    ] {
        let detail = post(&hub, "/api/rooms/lab/messages", &body).await.problem(400, "bad-request");
        assert!(detail.contains(words), "{body}: {detail}");
    }
    get(&hub, "/api/rooms/lab").await.problem(404, "not-found");
    hub.stop().await;
}

#[tokio::test]
async fn a_message_of_a_durable_room_is_answered_when_it_is_stored() {
    let directory = tempfile::tempdir().unwrap();
    let open = || Store::open(directory.path(), tautline_store::Settings::new()).unwrap();
    let durable = || with(RoomSettings { durable: true, ..RoomSettings::default() });
    let hub = Running::start(durable().store(open())).await;
    let body = json!({"id": "m1", "data": 21.5});
    assert_eq!(post(&hub, "/api/rooms/lab/messages", &body).await.status, 201);
    let epoch = look(&hub, "/api/rooms/lab").await["epoch"].clone();
    hub.stop().await;

    let hub = Running::start(durable().store(open())).await;
    let found = look(&hub, "/api/rooms/lab/messages").await;
    assert_eq!((&found["epoch"], &found["messages"][0]["data"]), (&epoch, &json!(21.5)));
    assert_eq!(post(&hub, "/api/rooms/lab/messages", &body).await.status, 200, "it is known even now");
    hub.stop().await;
}

#[tokio::test]
async fn what_cannot_be_stored_or_has_no_room_is_refused_for_now() {
    let hub = Running::start(with(RoomSettings { durable: true, ..RoomSettings::default() })).await;
    let answer = post(&hub, "/api/rooms/lab/messages", &json!({"text": ""})).await;
    answer.problem(503, "not-stored");
    assert_eq!(answer.header("retry-after"), Some("2"));
    hub.stop().await;

    let hub = Running::start(Hub::new().loops(1).rooms(Settings { rooms: 1, ..Settings::default() })).await;
    let _esp = hub.open("/rooms/one/esp").await;
    let answer = post(&hub, "/api/rooms/two/messages", &json!({"text": ""})).await;
    answer.problem(503, "full");
    assert_eq!(answer.header("retry-after"), Some("2"));
    hub.stop().await;
}
