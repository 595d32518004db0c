//! Names: too long, not to be read, too many, and those of others.

use tautline_hub::Hub;
use tautline_rooms::Settings;

use super::{Arena, Hostile};
use crate::api::{post, request};

#[tokio::test]
async fn names_that_are_none_are_refused_by_websocket_and_by_http_alike() {
    let mut arena = Arena::start(Hub::new()).await;
    let long = "x".repeat(129);
    for (name, status) in [(&*long, 414), ("%ff", 400), ("a%00b", 400), ("a%0d%0aX:%20y", 400), ("%1b%5b2J", 400)] {
        for path in
            [format!("/rooms/{name}/esp"), format!("/rooms/lab/{name}"), format!("/{name}"), format!("/state/{name}")]
        {
            let head = Hostile::dial(&arena.hub).await.upgrade(&path, "").await;
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{path:.40}: {head}");
        }
        for target in [format!("/api/rooms/{name}"), format!("/api/state/{name}"), format!("/api/devices/{name}/twin")]
        {
            let answer = request(&arena.hub, "GET", &target, "", "").await;
            assert_eq!(answer.status, status, "{target:.40}: {}", answer.body);
        }
    }
    arena.is_well().await;
    arena.stop().await;
}

#[tokio::test]
async fn a_list_of_subprotocols_is_bounded_by_its_head() {
    let mut arena = Arena::start(Hub::new()).await;
    let list = |count: usize| {
        let names: Vec<String> = (0..count).map(|number| format!("p{number}")).collect();
        format!("Sec-WebSocket-Protocol: {}\r\n", names.join(", "))
    };
    let head = Hostile::dial(&arena.hub).await.upgrade("/esp", &list(64)).await;
    assert!(head.starts_with("HTTP/1.1 101 ") && !head.to_lowercase().contains("sec-websocket-protocol"), "{head}");
    for (bad, status) in [(list(65), "400"), (list(5000), "431"), (list(1).repeat(100), "431")] {
        let head = Hostile::dial(&arena.hub).await.upgrade("/esp", &bad).await;
        assert_eq!(&head[9..12], status, "{head}");
    }
    arena.is_well().await;
    arena.stop().await;
}

#[tokio::test]
async fn a_client_that_makes_rooms_without_end_takes_none_from_others() {
    let rooms = Settings { rooms: 8, ..Settings::default() };
    let mut arena = Arena::start(Hub::new().loops(1).rooms(rooms)).await;
    let mut members = Vec::new();
    let mut refused = 0;
    for number in 0..50 {
        let mut hostile = Hostile::dial(&arena.hub).await;
        let head = hostile.upgrade(&format!("/rooms/r{number}/x"), "").await;
        match &head[9..12] {
            "101" => members.push(hostile),
            status => {
                assert_eq!(status, "503", "{head}");
                refused += 1;
            }
        }
        let answer =
            post(&arena.hub, &format!("/api/rooms/h{number}/messages"), &serde_json::json!({"text": "x"})).await;
        assert!(matches!(answer.status, 201 | 503), "{}", answer.body);
    }
    assert_eq!((members.len(), refused), (7, 43), "one room is the innocents'");
    assert!(arena.counted("tautline_rooms").await <= 8);
    drop(members);
    arena.is_well().await;
    arena.stop().await;
}
