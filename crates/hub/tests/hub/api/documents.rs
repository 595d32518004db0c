//! Documents of rooms by HTTP.

use serde_json::json;

use super::{get, look, request};
use crate::Running;

const LAMP: &str = "/api/rooms/lab/documents/lamp";
const JSON: &str = "Content-Type: application/json\r\n";

#[tokio::test]
async fn documents_are_made_changed_and_removed() {
    let hub = Running::all().await;
    get(&hub, LAMP).await.problem(404, "not-found");
    let made = request(&hub, "PUT", LAMP, &format!("{JSON}If-None-Match: *\r\n"), r#"{"on":false,"hue":1}"#).await;
    assert_eq!((made.status, made.header("etag")), (200, Some("\"1\"")), "{made:?}");
    let again = request(&hub, "PUT", LAMP, &format!("{JSON}If-None-Match: *\r\n"), "1").await;
    again.problem(412, "other-version");
    assert_eq!(again.json()["current"], json!({"version": 1, "data": {"on": false, "hue": 1}}));
    let patched =
        request(&hub, "PATCH", LAMP, &format!("{JSON}If-Match: \"1\"\r\n"), r#"{"hue":null,"on":true}"#).await;
    assert_eq!(patched.json(), json!({"version": 2, "data": {"on": true}}));
    assert_eq!(look(&hub, LAMP).await, json!({"version": 2, "data": {"on": true}}));
    let list = look(&hub, "/api/rooms/lab/documents").await;
    assert_eq!(list, json!({"documents": [{"name": "lamp", "version": 2, "bytes": 11}]}));
    let removed = request(&hub, "DELETE", LAMP, "If-Match: \"2\"\r\n", "").await;
    assert_eq!(removed.json(), json!({"version": 3}));
    get(&hub, LAMP).await.problem(404, "not-found");
    assert_eq!(look(&hub, "/api/rooms/lab/documents").await, json!({"documents": []}));
    hub.stop().await;
}

#[tokio::test]
async fn the_list_comes_in_parts() {
    let hub = Running::all().await;
    for name in ["a", "b%20c", "d", "e"] {
        let made = request(&hub, "PUT", &format!("/api/rooms/lab/documents/{name}"), JSON, "1").await;
        assert_eq!(made.status, 200);
    }
    let mut names = Vec::new();
    let mut next = Some(String::new());
    while let Some(after) = next {
        let part = look(&hub, &format!("/api/rooms/lab/documents?limit=2{after}")).await;
        let documents = part["documents"].as_array().unwrap();
        names.extend(documents.iter().map(|document| document["name"].as_str().unwrap().to_owned()));
        next = part["next"].as_str().map(|next| format!("&after={}", next.replace(' ', "%20")));
    }
    assert_eq!(names, ["a", "b c", "d", "e"]);
    hub.stop().await;
}

#[tokio::test]
async fn what_is_too_deep_too_large_or_no_version_is_refused() {
    let hub = Running::all().await;
    let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
    request(&hub, "PUT", LAMP, JSON, &deep).await.problem(400, "bad-request");
    let large = format!("\"{}\"", "x".repeat(70_000));
    request(&hub, "PUT", LAMP, JSON, &large).await.problem(413, "too-large");
    for headers in ["If-Match: 1\r\n", "If-Match: \"x\"\r\n", "If-None-Match: \"1\"\r\n"] {
        request(&hub, "PUT", LAMP, &format!("{JSON}{headers}"), "1").await.problem(400, "bad-request");
    }
    let long = format!("/api/rooms/lab/documents/{}", "x".repeat(129));
    request(&hub, "PUT", &long, JSON, "1").await.problem(414, "too-long");
    hub.stop().await;
}
