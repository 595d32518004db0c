//! Shared numbers by HTTP.

use serde_json::json;
use tautline_hub::Hub;
use tautline_store::Store;

use super::{get, look, post};
use crate::{Running, text};

#[tokio::test]
async fn numbers_are_changed_for_everybody() {
    let hub = Running::all().await;
    let mut page = hub.open("/state/l%C3%A1mpara").await;
    text(&mut page).await;
    text(&mut page).await;
    let state = "/api/state/l%C3%A1mpara";
    for (change, value) in [
        (json!({"action": "plus"}), 1),
        (json!({"action": "plus", "by": 5}), 6),
        (json!({"action": "minus", "by": 8}), -2),
        (json!({"action": "set", "value": 41}), 41),
    ] {
        let answer = post(&hub, state, &change).await;
        assert_eq!((answer.status, answer.json()), (200, json!({"name": "lámpara", "value": value})));
        assert_eq!(text(&mut page).await, format!(r#"{{"type": "state", "value": {value}}}"#));
    }
    assert_eq!(look(&hub, state).await, json!({"name": "lámpara", "value": 41, "users": 1}));
    assert_eq!(look(&hub, "/api/state/other").await, json!({"name": "other", "value": 0, "users": 0}));
    hub.stop().await;
}

#[tokio::test]
async fn numbers_are_listed_by_name_part_by_part() {
    let hub = Running::start(Hub::new().loops(3)).await;
    for name in ["c", "a", "b"] {
        post(&hub, &format!("/api/state/{name}"), &json!({"action": "plus"})).await;
    }
    // One that is zero again and has no users is as if it had never been.
    for action in ["plus", "minus"] {
        post(&hub, "/api/state/gone", &json!({"action": action})).await;
    }
    let first = look(&hub, "/api/state?limit=2").await;
    let entry = |name| json!({"name": name, "value": 1, "users": 0});
    assert_eq!(first, json!({"states": [entry("a"), entry("b")], "next": "b"}));
    assert_eq!(look(&hub, "/api/state?after=b").await, json!({"states": [entry("c")]}));
    hub.stop().await;
}

#[tokio::test]
async fn what_is_no_change_is_refused() {
    let hub = Running::all().await;
    for (change, words) in [
        (json!({}), "action"),
        (json!({"action": "reset"}), "plus"),
        (json!({"action": "plus", "by": 0.5}), "i64"),
        (json!({"action": "set"}), "value"),
        (json!(7), "line 1"),
    ] {
        let detail = post(&hub, "/api/state/x", &change).await.problem(400, "bad-request");
        assert!(detail.contains(words), "{change}: {detail}");
    }
    get(&hub, "/api/state/%ff").await.problem(400, "bad-request");
    assert_eq!(look(&hub, "/api/state").await, json!({"states": []}));
    hub.stop().await;
}

#[tokio::test]
async fn a_change_is_answered_when_it_is_stored() {
    let directory = tempfile::tempdir().unwrap();
    let open = || Store::open(directory.path(), tautline_store::Settings::new()).unwrap();
    let hub = Running::start(Hub::new().store(open())).await;
    assert_eq!(post(&hub, "/api/state/x", &json!({"action": "set", "value": 7})).await.json()["value"], 7);
    hub.stop().await;
    let hub = Running::start(Hub::new().store(open())).await;
    assert_eq!(look(&hub, "/api/state/x").await["value"], 7);
    hub.stop().await;
}
