//! The API for those who show access tokens.

use std::time::Duration;

use serde_json::{Value, json};
use tautline_hub::{Hub, Permissions};
use tautline_identity::TokenText;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Answer, look, request};
use crate::Running;
use crate::tokens::{Keeper, MEMBER, PUBLISHER, SUBSCRIBER, for_room};

const PLUS: &str = r#"{"action":"plus"}"#;
const HI: &str = r#"{"text":"hi"}"#;

async fn ask(hub: &Running, method: &str, target: &str, token: &TokenText, body: &str) -> Answer {
    let headers = format!("Authorization: Bearer {}\r\nContent-Type: application/json\r\n", token.reveal());
    request(hub, method, target, &headers, body).await
}

#[tokio::test]
async fn a_token_is_needed_and_good_where_authentication_is_required() {
    let keeper = Keeper::new();
    let token = keeper.add("page", &MEMBER);
    let hub = keeper.start(Hub::new().require_authentication(true)).await;
    let refused = request(&hub, "GET", "/api/rooms", "", "").await;
    refused.problem(401, "unauthorized");
    assert_eq!(refused.header("www-authenticate"), Some("Bearer realm=\"tautline\""));
    assert_eq!(ask(&hub, "GET", "/api/rooms", &token, "").await.status, 200);
    // For those who cannot set headers.
    assert_eq!(look(&hub, &format!("/api/rooms?limit=5&token={}", token.reveal())).await["rooms"], json!([]));
    for open in ["/", "/api", "/api/openapi.json", "/livez"] {
        assert_eq!(request(&hub, "GET", open, "", "").await.status, 200, "{open}");
    }
    hub.stop().await;
}

#[tokio::test]
async fn a_wrong_token_is_worse_than_none() {
    let keeper = Keeper::new();
    let (token, other) = (keeper.add("page", &MEMBER), TokenText::random());
    let hub = keeper.start(Hub::new()).await;
    assert_eq!(look(&hub, "/api/rooms").await["rooms"], json!([]));
    let detail = ask(&hub, "GET", "/api/rooms", &other, "").await.problem(401, "unauthorized");
    assert!(!detail.contains(other.reveal()), "{detail}");
    let both = ask(&hub, "GET", &format!("/api/rooms?token={}", other.reveal()), &token, "").await;
    both.problem(400, "bad-request");
    hub.stop().await;
}

#[tokio::test]
async fn each_right_is_for_its_own() {
    let keeper = Keeper::new();
    let nothing = Permissions::default();
    let tokens = [
        (keeper.add("publisher", &PUBLISHER), [403, 201, 403, 403]),
        (keeper.add("subscriber", &SUBSCRIBER), [200, 403, 403, 403]),
        (keeper.add("member", &MEMBER), [200, 201, 200, 403]),
        (keeper.add("boss", &Permissions { command: true, ..nothing.clone() }), [403, 403, 403, 200]),
        (keeper.add("root", &Permissions { admin: true, ..nothing.clone() }), [200, 201, 200, 200]),
        (keeper.add("nobody", &nothing), [403; 4]),
    ];
    let hub = keeper.start(Hub::new()).await;
    for (token, expected) in tokens {
        let statuses = [
            ask(&hub, "GET", "/api/state/x", &token, "").await.status,
            ask(&hub, "POST", "/api/rooms/lab/messages", &token, HI).await.status,
            ask(&hub, "POST", "/api/state/x", &token, PLUS).await.status,
            ask(&hub, "PUT", "/api/devices/esp/twin/desired", &token, "{}").await.status,
        ];
        assert_eq!(statuses, expected, "{token:?}");
        let document = ask(&hub, "PATCH", "/api/rooms/lab/documents/lamp", &token, r#"{"on":true}"#).await.status;
        assert_eq!(document, expected[2], "{token:?}");
    }
    hub.stop().await;
}

#[tokio::test]
async fn a_token_for_a_room_is_good_for_what_is_in_it() {
    let keeper = Keeper::new();
    let token = keeper.add("lab", &for_room("l b"));
    let hub = keeper.start(Hub::new()).await;
    assert_eq!(ask(&hub, "POST", "/api/rooms/l%20b/messages", &token, HI).await.status, 201);
    assert_eq!(ask(&hub, "GET", "/api/rooms/l%20b", &token, "").await.status, 200);
    assert_eq!(ask(&hub, "PUT", "/api/rooms/l%20b/documents/lamp", &token, "1").await.status, 200);
    for elsewhere in [
        "/api/rooms",
        "/api/rooms/else",
        "/api/rooms/else/messages",
        "/api/rooms/else/documents",
        "/api/state",
        "/api/state/l%20b",
        "/api/devices",
        "/api/connections",
        "/api/events",
        "/api/events?rooms=l%20b,else",
        "/api/events?kinds=message",
    ] {
        ask(&hub, "GET", elsewhere, &token, "").await.problem(403, "refused");
    }
    ask(&hub, "POST", "/api/rooms/else/messages", &token, HI).await.problem(403, "refused");
    hub.stop().await;
}

#[tokio::test]
async fn a_message_is_from_whose_token_it_is() {
    let keeper = Keeper::new();
    let token = keeper.add("Python at home", &MEMBER);
    let hub = keeper.start(Hub::new()).await;
    assert_eq!(ask(&hub, "POST", "/api/rooms/lab/messages", &token, HI).await.status, 201);
    request(&hub, "POST", "/api/rooms/lab/messages", "Content-Type: application/json\r\n", HI).await;
    let messages = look(&hub, "/api/rooms/lab/messages").await;
    let from: Vec<&Value> = messages["messages"].as_array().unwrap().iter().map(|message| &message["from"]).collect();
    assert_eq!(from, ["Python at home", "api"]);
    hub.stop().await;
}

#[tokio::test]
async fn the_name_of_a_device_is_that_of_its_token() {
    let keeper = Keeper::new();
    let token = keeper.add("plant 7", &MEMBER);
    let hub = keeper.start(Hub::new()).await;
    let _device = tautline::connect(hub.url("/rooms/lab/esp")).bearer(token.reveal()).await.unwrap();
    assert_eq!(look(&hub, "/api/devices/esp").await["identity"], "plant 7");
    hub.stop().await;
}

#[tokio::test]
async fn a_stream_of_events_ends_with_its_token() {
    let keeper = Keeper::new();
    let token = keeper.add("screen", &for_room("lab"));
    let hub = keeper.start(Hub::new()).await;
    let mut tcp = TcpStream::connect(hub.address).await.unwrap();
    let head = format!("GET /api/events?rooms=lab&token={} HTTP/1.0\r\nHost: localhost\r\n\r\n", token.reveal());
    tcp.write_all(head.as_bytes()).await.unwrap();
    let mut begun = [0; 12];
    tcp.read_exact(&mut begun).await.unwrap();
    assert_eq!(&begun, b"HTTP/1.0 200");
    keeper.revoke(&token);
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(20), tcp.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "it goes on: {}", String::from_utf8_lossy(&rest));
    ask(&hub, "GET", "/api/events?rooms=lab", &token, "").await.problem(401, "unauthorized");
    hub.stop().await;
}
