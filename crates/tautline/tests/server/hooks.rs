//! What an application decides about requests.

use std::sync::{Arc, Mutex};

use tautline::{Refusal, Response, Server};

use crate::support::frames::Frame;
use crate::{echo, header, start, upgrade};

fn page(text: &str) -> Response {
    Response::new(text.to_owned().into())
}

async fn selected(server: Server, offered: &str) -> Option<String> {
    let server = start(server, echo).await;
    let mut client = server.dial().await;
    client.write(upgrade(offered)).await;
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    header(&head, "Sec-Websocket-Protocol").map(str::to_owned)
}

#[tokio::test]
async fn the_first_subprotocol_that_is_offered_and_supported_is_selected() {
    let server = || Server::new().subprotocols(["a", "b", "c"]);
    for (offered, expected) in [
        ("", None),
        ("Sec-WebSocket-Protocol: x\r\n", None),
        ("Sec-WebSocket-Protocol: c, b\r\n", Some("c")),
        ("Sec-WebSocket-Protocol: x, b, a\r\n", Some("b")),
        ("Sec-WebSocket-Protocol: x\r\nSec-WebSocket-Protocol: a\r\n", Some("a")),
        ("Sec-WebSocket-Protocol: A\r\n", None),
    ] {
        assert_eq!(selected(server(), offered).await.as_deref(), expected, "{offered}");
    }
    assert_eq!(selected(Server::new(), "Sec-WebSocket-Protocol: a\r\n").await, None);
}

#[tokio::test]
async fn the_handler_sees_the_request() {
    let seen = Arc::new(Mutex::new(None));
    let notes = seen.clone();
    let server = start(Server::new().subprotocols(["v1"]), move |mut ws, request| {
        let notes = notes.clone();
        async move {
            let info = ws.info().clone();
            *notes.lock().unwrap() = Some((request, info));
            let _ = ws.send("seen").await;
        }
    })
    .await;
    let mut client = server.dial().await;
    client.write(upgrade("X-Id: 7\r\nSec-WebSocket-Protocol: v1\r\n")).await;
    client.head().await;
    client.frames(1).await;
    let (request, info) = seen.lock().unwrap().take().unwrap();
    assert_eq!((request.path(), request.query()), ("/path", Some("query")));
    assert_eq!(request.headers()["x-id"], "7");
    assert_eq!((request.subprotocol(), info.subprotocol.as_deref()), (Some("v1"), Some("v1")));
    assert_eq!((request.peer(), info.peer), (client.address, Some(client.address)));
}

#[tokio::test]
async fn admit_can_refuse_with_a_status_and_retry_after() {
    let server = Server::new().admit(|request| match request.path() {
        "/path" => Err(Refusal::new(409, "this id is connected").retry_after(7).header("X-Why", "twice")),
        _ => Ok(()),
    });
    let server = start(server, echo).await;
    let answer = server.ask(upgrade("")).await;
    assert_eq!(answer.status(), 409);
    assert_eq!(answer.header("Retry-After"), Some("7"));
    assert_eq!(answer.header("X-Why"), Some("twice"));
    assert!(answer.text.ends_with("\r\n\r\nthis id is connected\n"));
    assert_eq!(answer.log.len(), 1, "{:?}", answer.log);
    let mut client = server.dial().await;
    client.write(upgrade("").replace("/path", "/other")).await;
    assert!(client.head().await.starts_with("HTTP/1.1 101 "));
}

#[tokio::test]
async fn admit_is_not_asked_about_invalid_requests() {
    let asked = Arc::new(Mutex::new(0));
    let counter = asked.clone();
    let server = Server::new().admit(move |_| {
        *counter.lock().unwrap() += 1;
        Ok(())
    });
    let server = start(server, echo).await;
    server.ask(upgrade("Origin: https://evil.test\r\n")).await;
    server.ask("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await;
    assert_eq!(*asked.lock().unwrap(), 0);
    server.open().await;
    assert_eq!(*asked.lock().unwrap(), 1);
}

#[tokio::test]
async fn what_admit_attaches_is_there_for_the_handler() {
    #[derive(Clone)]
    struct User(String);
    let server = Server::new().admit(|request| {
        let user = User(request.query().unwrap_or_default().to_owned());
        request.extensions_mut().insert(user);
        Ok(())
    });
    let server = start(server, |mut ws, request| async move {
        let User(name) = request.extensions().get::<User>().unwrap();
        let _ = ws.send(name.as_str()).await;
    })
    .await;
    assert_eq!(server.open().await.frames(1).await[0], Frame::text("query"));
}

#[test]
fn a_refusal_with_a_status_that_does_not_refuse_is_500() {
    for status in [0, 101, 200, 299, 600, 1000] {
        assert_eq!(Refusal::new(status, "").status(), 500);
    }
    assert_eq!(Refusal::new(307, "").status(), 307);
}

#[tokio::test]
async fn plain_http_on_the_same_port_gets_real_answers() {
    let server = Server::new().http(|request| async move { page(&format!("{} {}", request.method(), request.uri())) });
    let server = start(server, echo).await;
    let answer = server.ask("POST /x?y HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    assert_eq!(answer.status(), 200);
    assert!(answer.text.ends_with("\r\n\r\nPOST /x?y"), "{}", answer.text);
    assert_eq!(answer.log.len(), 0);
}

#[tokio::test]
async fn http_requests_and_then_a_websocket_share_a_connection() {
    let server = Server::new().http(|_| async { page("page") });
    let server = start(server, echo).await;
    let mut client = server.dial().await;
    for _ in 0..3 {
        client.write("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 200 ") && header(&head, "Content-Length") == Some("4"), "{head}");
        while client.received.len() < 4 {
            client.read().await;
        }
        assert_eq!(std::mem::take(&mut client.received), b"page");
    }
    client.write(upgrade("")).await;
    assert!(client.head().await.starts_with("HTTP/1.1 101 "));
    client.send(&[Frame::text("now")]).await;
    assert_eq!(client.frames(1).await, [Frame::text("now")]);
}

#[tokio::test]
async fn every_handshake_is_told_with_its_answer() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let notes = told.clone();
    let server = Server::new().subprotocols(["v1"]).handshakes(move |handshake| {
        let head = handshake.request;
        let of = |name: &str| head.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let accept = handshake.headers.get("sec-websocket-accept").map(|value| value.to_str().unwrap().to_owned());
        let (status, refused) = (handshake.status.as_u16(), handshake.refused.map(str::to_owned));
        notes.lock().unwrap().push((handshake.peer, head.uri.to_string(), of("x-id"), status, accept, refused));
    });
    let server = start(server, echo).await;
    let mut good = server.dial().await;
    good.write(upgrade("X-Id: 7\r\n")).await;
    good.head().await;
    let mut bad = server.dial().await;
    bad.write(upgrade("X-Id: 8\r\n").replace("Version: 13", "Version: 12")).await;
    let head = bad.head().await;
    assert!(head.starts_with("HTTP/1.1 426 "), "{head}");
    let mut page = server.dial().await;
    page.write("GET / HTTP/1.1\r\nHost: hub.test\r\n\r\n").await;
    page.head().await;
    let told = told.lock().unwrap().clone();
    let [first, second] = &told[..] else { panic!("{told:?}") };
    let accept = Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".to_owned());
    assert_eq!(*first, (good.address, "/path?query".to_owned(), Some("7".to_owned()), 101, accept, None));
    assert_eq!((second.0, second.2.as_deref(), second.3, &second.4), (bad.address, Some("8"), 426, &None));
    assert!(second.5.as_ref().is_some_and(|reason| reason.contains("13")), "{second:?}");
}
