//! Requests that are refused whatever they ask for, and the description of the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;
use tautline::{Origins, Server};
use tautline_hub::Hub;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{exchange, get, look, post, request};
use crate::Running;

const JSON: &str = "Content-Type: application/json\r\n";
const PLUS: &str = r#"{"action":"plus"}"#;

#[tokio::test]
async fn only_this_hubs_own_hosts_are_served() {
    let hub = Running::start(Hub::new().hosts(["Hub.example"])).await;
    let status = async |method: &str, host: &str| {
        let headers = format!("{JSON}Host: {host}\r\n");
        let body = if method == "POST" { PLUS } else { "" };
        request(&hub, method, "/api/state/x", &headers, body).await
    };
    for host in ["127.0.0.1", "[::1]:8000", "localhost", "hub.example:8000"] {
        assert_eq!(status("POST", host).await.status, 200, "{host}");
        assert_eq!(status("GET", host).await.status, 200, "{host}");
    }
    for host in ["evil.example", "127.0.0.1.evil.example", "hub.example.evil.example"] {
        status("POST", host).await.problem(421, "wrong-host");
        status("GET", host).await.problem(421, "wrong-host");
    }
    assert_eq!(look(&hub, "/api/state/x").await["value"], 4, "and nothing has changed");
    hub.stop().await;
}

#[tokio::test]
async fn pages_of_other_sites_change_nothing() {
    let hub = Running::all().await;
    let from = async |hub: &Running, origin: &str| {
        request(hub, "POST", "/api/state/x", &format!("{JSON}Origin: {origin}\r\n"), PLUS).await
    };
    for origin in ["http://evil.example", "null", "http://localhost:1", &format!("http://{}", hub.address.ip())] {
        from(&hub, origin).await.problem(403, "cross-site");
    }
    assert_eq!(from(&hub, &format!("http://{}", hub.address)).await.json()["value"], 1);
    let read = request(&hub, "GET", "/api/state/x", "Origin: http://evil.example\r\n", "").await;
    assert_eq!((read.status, read.header("access-control-allow-origin")), (200, None), "its browser will not tell it");
    hub.stop().await;

    let server = Server::new().origins(Origins::List(vec!["https://app.example".into()]));
    let hub = Running::start(Hub::new().server(server)).await;
    assert_eq!(from(&hub, "https://app.example").await.status, 200);
    from(&hub, "https://other.example").await.problem(403, "cross-site");
    hub.stop().await;
}

#[tokio::test]
async fn what_is_not_there_and_methods_that_are_not_are_problems() {
    let hub = Running::all().await;
    for target in ["/api/nothing", "/api/rooms/lab/members", "/api/state/x/y", "/api/"] {
        assert!(get(&hub, target).await.problem(404, "not-found").contains(target), "{target}");
        post(&hub, target, &json!({})).await.problem(404, "not-found");
    }
    let answer = request(&hub, "DELETE", "/api/rooms/lab/messages", "", "").await;
    answer.problem(405, "method-not-allowed");
    let mut allowed: Vec<_> = answer.header("allow").unwrap().split(',').collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
    request(&hub, "POST", "/api/rooms", JSON, "{}").await.problem(405, "method-not-allowed");
    let head = request(&hub, "HEAD", "/api/rooms", "", "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    hub.stop().await;
}

#[tokio::test]
async fn bodies_have_to_be_json_and_not_too_large() {
    let hub = Running::all().await;
    let target = "/api/rooms/lab/messages";
    for headers in ["", "Content-Type: text/plain\r\n", "Content-Type: application/x-www-form-urlencoded\r\n"] {
        request(&hub, "POST", target, headers, r#"{"text":"hi"}"#).await.problem(415, "not-json");
    }
    let detail = request(&hub, "POST", target, JSON, "{\"text\":\n oops}").await.problem(400, "bad-request");
    assert!(detail.contains("line 2 column 2"), "{detail}");
    let deep = "[".repeat(500_000);
    request(&hub, "POST", target, JSON, &format!(r#"{{"data":{deep}"#)).await.problem(400, "bad-request");

    let message = |bytes: usize| json!({"text": "x".repeat(bytes - r#"{"text":""}"#.len())});
    assert_eq!(post(&hub, target, &message(1024 * 1024)).await.status, 201);
    let answer = post(&hub, target, &message(1024 * 1024 + 1)).await;
    answer.problem(413, "too-large");
    assert_eq!(answer.header("connection"), Some("close"));
    let chunk = format!("100000\r\n{}\r\n", "x".repeat(0x10_0000));
    let head = format!("POST {target} HTTP/1.1\r\nHost: localhost\r\n{JSON}Transfer-Encoding: chunked\r\n\r\n");
    exchange(&hub, format!("{head}{chunk}1\r\nx\r\n0\r\n\r\n").as_bytes()).await.problem(413, "too-large");
    hub.stop().await;
}

#[tokio::test]
async fn a_slow_body_does_not_keep_others_waiting() {
    let hub = Running::all().await;
    let mut slow = TcpStream::connect(hub.address).await.unwrap();
    let head = format!("POST /api/state/x HTTP/1.1\r\nHost: localhost\r\n{JSON}Content-Length: {}\r\n\r\n", PLUS.len());
    slow.write_all(head.as_bytes()).await.unwrap();
    slow.write_all(&PLUS.as_bytes()[..5]).await.unwrap();
    assert_eq!(look(&hub, "/api/state/x").await["value"], 0);
    assert!(
        tokio::time::timeout(Duration::from_millis(100), slow.read_u8()).await.is_err(),
        "an answer before its end"
    );
    slow.write_all(&PLUS.as_bytes()[5..]).await.unwrap();
    let mut answer = [0; 12];
    slow.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    hub.stop().await;
}

#[tokio::test]
async fn the_description_is_openapi_and_has_every_route() {
    let hub = Running::all().await;
    let answer = get(&hub, "/api/openapi.json").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let spec = oas3::from_json(&answer.body).expect("an OpenAPI 3.1 document");
    assert!(spec.openapi.starts_with("3.1."), "{}", spec.openapi);
    // The router says which methods it has, and the document which ones it describes.
    let mut described = BTreeMap::<String, BTreeSet<String>>::new();
    for (path, method, _) in spec.operations() {
        described.entry(path).or_default().insert(method.to_string());
    }
    assert!(described.len() > 8, "{described:?}");
    for (path, mut methods) in described {
        let target: String =
            path.split_inclusive('/').map(|part| if part.starts_with('{') { "x/" } else { part }).collect();
        let target = if path.ends_with('}') { target.trim_end_matches('/') } else { &target };
        let answer = request(&hub, "OPTIONS", target, "", "").await;
        answer.problem(405, "method-not-allowed");
        let allowed: BTreeSet<String> = answer.header("allow").unwrap().split(',').map(str::to_owned).collect();
        if methods.contains("GET") {
            methods.insert("HEAD".to_owned());
        }
        assert_eq!(allowed, methods, "{path}");
    }
    let document = answer.json();
    // Whatever it refers to is there, and every operation says how it fails.
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(!references.is_empty());
    for reference in references {
        let target = document.pointer(reference.strip_prefix('#').expect("in the document"));
        assert!(target.is_some(), "{reference}");
    }
    let tags: Vec<_> = spec.tags.iter().map(|tag| tag.name.as_str()).collect();
    for (path, _, operation) in spec.operations() {
        assert!(operation.responses.as_ref().is_some_and(|responses| responses.contains_key("default")), "{path}");
        assert!(operation.summary.is_some(), "{path}");
        // The page for people goes by tags.
        assert!(matches!(&operation.tags[..], [tag] if tags.contains(&tag.as_str())), "{path}");
    }
    hub.stop().await;
}

fn collect<'a>(value: &'a serde_json::Value, references: &mut Vec<&'a str>) {
    match value {
        serde_json::Value::Object(members) => {
            references.extend(members.get("$ref").and_then(|reference| reference.as_str()));
            members.values().for_each(|value| collect(value, references));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|value| collect(value, references)),
        _ => {}
    }
}

#[tokio::test]
async fn the_description_for_people_loads_nothing_from_elsewhere() {
    let hub = Running::all().await;
    for (target, kind, part) in [
        ("/api", "text/html; charset=utf-8", "<title>Tautline API</title>"),
        ("/api/reference.css", "text/css; charset=utf-8", "prefers-color-scheme"),
        ("/api/reference.js", "text/javascript; charset=utf-8", "/api/openapi.json"),
    ] {
        let answer = get(&hub, target).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(kind)), "{target}");
        assert!(answer.header("content-security-policy").unwrap().contains("default-src 'self'"));
        assert!(answer.body.contains(part) && !answer.body.contains("://"), "{target}");
    }
    hub.stop().await;
}
