//! Bodies and messages that are more than they look like.

use serde_json::json;
use tautline::connect;
use tautline_hub::{Hub, SUBPROTOCOL};

use super::{Arena, Hostile};
use crate::api::{look, post, request};
use crate::rooms::{enter, envelope};

const JSON: &str = "Content-Type: application/json\r\n";

#[tokio::test]
async fn bodies_that_do_not_end_are_answered_with_408() {
    let mut arena = Arena::start(Hub::new()).await;
    let mut slow = Vec::new();
    for target in ["/api/state/x", "/any"] {
        for framing in ["Content-Length: 1000\r\n", "Transfer-Encoding: chunked\r\n"] {
            let mut client = Hostile::dial(&arena.hub).await;
            let head = format!("POST {target} HTTP/1.1\r\nHost: localhost\r\n{JSON}{framing}\r\n");
            client.send(head.as_bytes()).await;
            client.send(b"5\r\n{\"act").await;
            slow.push(client);
        }
    }
    assert_eq!(look(&arena.hub, "/api/state/x").await["value"], 0);
    tokio::time::pause();
    for client in &mut slow {
        assert_eq!(client.status().await, 408);
    }
    tokio::time::resume();
    arena.is_well().await;
    arena.stop().await;
}

/// JSON that many programs fall over.
fn bombs() -> [String; 3] {
    [
        format!("{}{}", "[".repeat(20_000), "]".repeat(20_000)),
        format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000)),
        "[".repeat(60_000),
    ]
}

#[tokio::test]
async fn json_bombs_by_http_are_refused() {
    let mut arena = Arena::start(Hub::new()).await;
    for bomb in bombs() {
        for (method, target, body) in [
            ("PUT", "/api/rooms/lab/documents/x", bomb.clone()),
            ("PATCH", "/api/devices/esp/twin/desired", format!("{{\"x\":{bomb}}}")),
            ("POST", "/api/rooms/lab/messages", format!("{{\"data\":{bomb}}}")),
            ("POST", "/api/state/x", format!("{{\"action\":\"set\",\"value\":{bomb}}}")),
            ("POST", "/api/devices/esp/commands", format!("{{\"name\":\"x\",\"payload\":{bomb}}}")),
        ] {
            let answer = request(&arena.hub, method, target, JSON, &body).await;
            answer.problem(400, "bad-request");
            assert!(answer.body.len() < 1000, "{method} {target}: {}", answer.body.len());
        }
    }
    arena.is_well().await;
    arena.stop().await;
}

#[tokio::test]
async fn json_bombs_in_envelopes_are_errors_and_reach_nobody() {
    let mut arena = Arena::start(Hub::new()).await;
    let mut hostile = enter(&arena.hub, "/rooms/lab/hostile").await;
    let mut page = enter(&arena.hub, "/rooms/lab/page").await;
    for ws in [&mut hostile, &mut page] {
        assert_eq!(envelope(ws).await["type"], "welcome");
    }
    for bomb in bombs() {
        for bad in [
            bomb.clone(),
            format!("{{\"type\":\"publish\",\"data\":{bomb}}}"),
            format!("{{\"type\":\"state\",\"document\":\"x\",\"put\":{bomb}}}"),
            format!("{{\"type\":\"report\",\"id\":\"r\",\"patch\":{{\"x\":{bomb}}}}}"),
        ] {
            hostile.send(bad.as_str()).await.unwrap();
            assert_eq!(envelope(&mut hostile).await["type"], "error", "{bad:.60}");
        }
    }
    hostile.send(json!({"type": "publish", "data": "harmless"}).to_string()).await.unwrap();
    assert_eq!(envelope(&mut page).await["data"], "harmless", "and nothing before it");
    drop((hostile, page));
    arena.is_well().await;
    arena.stop().await;
}

#[tokio::test]
async fn numbers_out_of_bounds_change_no_counter() {
    let mut arena = Arena::start(Hub::new()).await;
    let mut counter = connect(arena.hub.url("/state/x")).await.unwrap();
    for bad in ["1e400", "1e30", "-0.5", "99999999999999999999", "\"1\"", "[]"] {
        counter.send(format!("{{\"action\":\"set\",\"value\":{bad}}}")).await.unwrap();
        while !crate::text(&mut counter).await.contains("\"error\"") {}
        let answer =
            request(&arena.hub, "POST", "/api/state/x", JSON, &format!("{{\"action\":\"set\",\"value\":{bad}}}")).await;
        assert_eq!(answer.status, 400, "{bad}");
    }
    post(&arena.hub, "/api/state/x", &json!({"action": "set", "value": i64::MAX})).await;
    post(&arena.hub, "/api/state/x", &json!({"action": "plus", "by": i64::MAX})).await;
    let value = look(&arena.hub, "/api/state/x").await["value"].clone();
    assert!(value.as_i64().is_some_and(|value| value >= 0), "it does not wrap: {value}");
    drop(counter);
    arena.is_well().await;
    arena.stop().await;
}

#[tokio::test]
async fn a_client_that_floods_a_room_with_mistakes_gets_an_answer_to_each_and_disturbs_nobody() {
    let mut arena = Arena::start(Hub::new()).await;
    let mut hostile = connect(arena.hub.url("/rooms/calm/hostile")).subprotocol(SUBPROTOCOL).await.unwrap();
    assert_eq!(envelope(&mut hostile).await["type"], "welcome");
    for _ in 0..20 {
        for _ in 0..50 {
            hostile.send("not an envelope").await.unwrap();
        }
        for _ in 0..50 {
            assert_eq!(envelope(&mut hostile).await["code"], "bad-envelope");
        }
    }
    drop(hostile);
    arena.is_well().await;
    arena.stop().await;
}
