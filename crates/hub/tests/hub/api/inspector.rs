//! What connections look like on the wire.

use serde_json::{Value, json};
use tautline::{CloseCode, connect};
use tautline_hub::Hub;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::events::Events;
use super::{exchange, get, look};
use crate::rooms::{enter, envelope};
use crate::tokens::{Keeper, MEMBER};
use crate::{Running, text};

/// A connection of a client of bytes, whose handshake is answered.
async fn raw(hub: &Running, target: &str, headers: &str) -> TcpStream {
    let mut tcp = TcpStream::connect(hub.address).await.unwrap();
    let head = format!(
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n"
    );
    tcp.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(tcp.read_u8().await.unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&answer));
    tcp
}

fn header<'a>(handshake: &'a Value, part: &str, name: &str) -> Option<&'a str> {
    let headers = handshake[part].as_array().unwrap().iter();
    headers.filter(|header| header["name"] == name).find_map(|header| header["value"].as_str())
}

/// The connections, once there are so many: one whose handshake is answered may take a moment to be there.
async fn connections(hub: &Running, count: usize) -> Vec<Value> {
    loop {
        let mut list = look(hub, "/api/inspector/connections").await;
        let found = list["connections"].as_array_mut().unwrap();
        if found.len() == count {
            return std::mem::take(found);
        }
        assert!(found.len() < count, "{list}");
        tokio::task::yield_now().await;
    }
}

/// The id of the only connection there is.
async fn only_connection(hub: &Running) -> String {
    connections(hub, 1).await[0]["id"].as_str().unwrap().to_owned()
}

async fn watch(hub: &Running, id: &str) -> Events {
    let mut frames = Events::open_at(hub, &format!("/api/inspector/connections/{id}/frames"), "").await;
    frames.next("begun").await;
    frames
}

#[tokio::test]
async fn handshakes_are_shown_with_their_answers_and_without_secrets() {
    let keeper = Keeper::new();
    let token = keeper.add("page", &MEMBER);
    let sesame = token.reveal();
    let hub = keeper.start(Hub::new()).await;
    let secret = format!(
        "Authorization: Bearer {sesame}\r\nCookie: a={sesame}\r\n\
         Sec-WebSocket-Protocol: tautline.token.{sesame}, tautline.v1.json\r\n"
    );
    let client = raw(&hub, &format!("/rooms/lab/esp?token={sesame}&epoch="), "").await;
    let envelopes = raw(&hub, &format!("/rooms/lab/page?token={sesame}"), &secret).await;
    let refused = "GET /x HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Key: short\r\nSec-WebSocket-Version: 13\r\n\r\n";
    assert_eq!(exchange(&hub, refused.as_bytes()).await.status, 400);
    let origin = refused
        .replace("short", "dGhlIHNhbXBsZSBub25jZQ==")
        .replace("\r\n\r\n", "\r\nOrigin: http://evil.example\r\n\r\n");
    assert_eq!(exchange(&hub, origin.as_bytes()).await.status, 403);

    let list = look(&hub, "/api/inspector/handshakes").await;
    assert!(!list.to_string().contains(sesame), "{list}");
    let [foreign, bad, second, first] = &list["handshakes"].as_array().unwrap()[..] else { panic!("{list}") };
    assert_eq!(
        (&first["status"], &first["method"], &first["version"]),
        (&json!(101), &json!("GET"), &json!("HTTP/1.1"))
    );
    assert_eq!(first["target"], "/rooms/lab/esp?token=[redacted]&epoch=");
    assert_eq!(first["peer"], client.local_addr().unwrap().to_string());
    assert_eq!(header(first, "headers", "sec-websocket-key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));
    assert_eq!(header(first, "answer", "sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(first.get("tls"), None);
    assert_eq!(header(second, "headers", "authorization"), Some("Bearer [redacted]"));
    let offered = "tautline.token.[redacted], tautline.v1.json";
    assert_eq!(header(second, "headers", "sec-websocket-protocol"), Some(offered));
    assert_eq!(header(second, "answer", "sec-websocket-protocol"), Some("tautline.v1.json"));
    assert_eq!(bad["status"], 400);
    assert!(foreign["refused"].as_str().unwrap().contains("origin"), "{foreign}");
    drop((client, envelopes));
    hub.stop().await;
}

#[tokio::test]
async fn open_connections_are_listed_with_what_is_known_of_them() {
    let hub = Running::all().await;
    let mut counter = hub.open("/state/x").await;
    text(&mut counter).await;
    let mut page = enter(&hub, "/rooms/lab/page").await;
    envelope(&mut page).await;
    let echo = hub.open("/echo").await;
    let connections = connections(&hub, 3).await;
    let of = |app: &str| connections.iter().find(|one| one["app"] == app).unwrap_or_else(|| panic!("{app}"));
    let (room, number, echoes) = (of("rooms"), of("counter"), of("echo"));
    assert_eq!((&room["room"], &room["client"], &room["transport"]), (&json!("lab"), &json!("page"), &json!("ws")));
    assert_eq!((&number["room"], number.get("client")), (&json!("x"), None));
    for one in [room, number, echoes] {
        assert!(one["connected_ms"].as_u64().unwrap() > 1_600_000_000_000, "{one}");
        assert!(one["peer"].as_str().unwrap().starts_with("127.0.0.1:") && one["queued"] == 0, "{one}");
    }
    let mut ids = Vec::new();
    let mut next = Some(String::new());
    while let Some(after) = next {
        let part = look(&hub, &format!("/api/inspector/connections?limit=1{after}")).await;
        ids.push(part["connections"][0]["id"].as_str().unwrap().to_owned());
        next = part["next"].as_str().map(|next| format!("&after={next}"));
    }
    let all: Vec<_> = connections.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, all, "part by part");
    drop((counter, page, echo));
    hub.stop().await;
}

#[tokio::test]
async fn frames_are_shown_as_they_are_on_the_wire() {
    let hub = Running::all().await;
    let mut client = raw(&hub, "/echo", "").await;
    let mut frames = watch(&hub, &only_connection(&hub).await).await;
    client.write_all(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58").await.unwrap();
    let hello = frames.next("frame").await;
    let expected = json!({
        "number": 1, "at_ms": hello["at_ms"], "direction": "received", "head": "818537fa213d", "fin": true,
        "rsv1": false, "rsv2": false, "rsv3": false, "opcode": 1, "name": "text", "masked": true, "mask": "37fa213d",
        "length": 5, "payload": "48656c6c6f",
    });
    assert_eq!(hello, expected);
    let back = frames.next("frame").await;
    assert_eq!((&back["direction"], &back["head"], &back["masked"]), (&json!("sent"), &json!("8105"), &json!(false)));
    // A ping with a reserved bit: the hub says why it ends, and the page can show both.
    client.write_all(b"\xc9\x80\x00\x00\x00\x00").await.unwrap();
    let bad = frames.next("frame").await;
    assert_eq!(
        (&bad["name"], &bad["rsv1"], &bad["violation"]),
        (&json!("ping"), &json!(true), &json!("reserved bit set (RFC 6455 5.2)"))
    );
    let close = frames.next("frame").await;
    assert_eq!(close["close"], json!({"code": 1002, "reason": "reserved bit set (RFC 6455 5.2)"}));
    drop(client);
    assert!(frames.next("ended").await["reason"].as_str().unwrap().starts_with("the connection has ended"));
    assert_eq!(frames.block().await, None);
    hub.stop().await;
}

#[tokio::test]
async fn what_is_no_connection_cannot_be_looked_at() {
    let hub = Running::all().await;
    let target = |id: &str| format!("/api/inspector/connections/{id}/frames");
    get(&hub, &target("esp")).await.problem(400, "bad-request");
    for id in ["0000000000000000", "ffffffffffffffff"] {
        get(&hub, &target(id)).await.problem(404, "not-found");
    }
    let mut client = connect(hub.url("/echo")).await.unwrap();
    let id = only_connection(&hub).await;
    client.close(CloseCode::NORMAL, "").await;
    // The hub may take a moment to hear of it.
    while get(&hub, "/api/inspector/connections").await.json()["connections"] != json!([]) {
        tokio::task::yield_now().await;
    }
    get(&hub, &target(&id)).await.problem(404, "not-found");
    hub.stop().await;
}

#[tokio::test]
async fn some_connections_can_be_looked_at_at_once_and_who_leaves_makes_room() {
    let hub = Running::all().await;
    let client = hub.open("/echo").await;
    let id = only_connection(&hub).await;
    let mut watching = vec![watch(&hub, &id).await];
    for _ in 1..8 {
        let next = watch(&hub, &id).await;
        // Who comes next takes the place of who was there, who is told so and leaves.
        let mut before = watching.pop().unwrap();
        before.next("ended").await;
        watching.push(next);
    }
    drop(watching);
    let mut others = Vec::new();
    for number in 0..8 {
        others.push(hub.open(&format!("/rooms/lab/{number}")).await);
    }
    let list = connections(&hub, 9).await;
    let ids: Vec<_> = list.iter().map(|one| one["id"].as_str().unwrap()).collect();
    let target = |id: &str| format!("/api/inspector/connections/{id}/frames");
    let mut watching = Vec::new();
    for id in &ids[..8] {
        // The places of those who have left may take a moment to be free.
        let frames = loop {
            match Events::try_open(&hub, &target(id), "").await {
                Ok(frames) => break frames,
                Err(head) => assert!(head[0].contains(" 503 "), "{head:?}"),
            }
        };
        watching.push(frames);
    }
    let full = get(&hub, &target(ids[8])).await;
    full.problem(503, "full");
    assert!(full.header("retry-after").is_some());
    hub.stop().await;
    for mut frames in watching {
        // It sees the closing handshake too.
        while frames.block().await.expect("it is told that it ends").0 != "ended" {}
        assert_eq!(frames.block().await, None);
    }
    drop((client, others));
}
