//! The apps.

use std::time::Duration;

use tautline::{CloseCode, ConnectError, Ended, Message, connect};
use tautline_hub::AppName;

use crate::rooms::patient;
use crate::{LIMIT, Running, text};

const PLUS: &str = r#"{"action": "plus"}"#;

#[tokio::test]
async fn counter_tells_users_and_state_byte_for_byte() {
    let hub = Running::all().await;
    let mut first = hub.open("/counter").await;
    assert_eq!(text(&mut first).await, r#"{"type": "users", "count": 1}"#);
    assert_eq!(text(&mut first).await, r#"{"type": "state", "value": 0}"#);
    first.send(PLUS).await.unwrap();
    assert_eq!(text(&mut first).await, r#"{"type": "state", "value": 1}"#);

    let mut second = hub.open("/counter/").await;
    assert_eq!(text(&mut first).await, r#"{"type": "users", "count": 2}"#);
    assert_eq!(text(&mut second).await, r#"{"type": "users", "count": 2}"#);
    assert_eq!(text(&mut second).await, r#"{"type": "state", "value": 1}"#);
    second.send(r#"{"action": "minus"}"#).await.unwrap();
    assert_eq!(text(&mut first).await, r#"{"type": "state", "value": 0}"#);
    assert_eq!(text(&mut second).await, r#"{"type": "state", "value": 0}"#);

    second.send("{").await.unwrap();
    assert_eq!(text(&mut second).await, r#"{"type": "error", "message": "the message is not JSON"}"#);
    second.close(CloseCode::NORMAL, "").await;
    assert_eq!(text(&mut first).await, r#"{"type": "users", "count": 1}"#, "and no state");
    hub.stop().await;
}

#[tokio::test]
async fn clock_tells_the_time_at_once_and_again() {
    let hub = Running::all().await;
    let mut ws = hub.open("/clock").await;
    let first = text(&mut ws).await;
    assert!(first.starts_with("20") && first.ends_with('Z') && first.as_bytes()[10] == b'T', "{first}");
    assert!(text(&mut ws).await > first);
    hub.stop().await;
}

#[tokio::test]
async fn hello_greets_once_and_closes_with_1000() {
    let hub = Running::all().await;
    let mut ws = hub.open("/hello").await;
    ws.send("Ada").await.unwrap();
    assert_eq!(text(&mut ws).await, "Hello Ada!");
    assert!(ws.recv().await.is_none());
    assert_eq!(ws.ended(), Some(Ended::ClosedByPeer { code: CloseCode::NORMAL, clean: true }));
    hub.stop().await;
}

#[tokio::test]
async fn echo_keeps_type_and_order() {
    let hub = Running::all().await;
    let mut ws = hub.open("/echo").await;
    let messages: Vec<Message> = (0..100u32)
        .map(|n| if n % 2 == 0 { n.to_string().into() } else { vec![n as u8; n as usize * 100].into() })
        .collect();
    for message in &messages {
        ws.feed(message.clone()).await.unwrap();
    }
    ws.flush().await.unwrap();
    for message in messages {
        assert_eq!(ws.recv().await, Some(message));
    }
    hub.stop().await;
}

#[tokio::test]
async fn relay_passes_messages_to_all_others() {
    let hub = Running::all().await;
    let (mut a, mut b, mut c) = (hub.open("/1").await, hub.open("/2").await, hub.open("/").await);
    a.send("one").await.unwrap();
    assert_eq!(text(&mut b).await, "one");
    assert_eq!(text(&mut c).await, "one");
    b.send(vec![0, 255]).await.unwrap();
    assert_eq!(a.recv().await, Some(Message::binary(vec![0, 255])), "and not its own first");
    assert_eq!(c.recv().await, Some(Message::binary(vec![0, 255])));
    hub.stop().await;
}

#[tokio::test]
async fn relay_refuses_an_id_while_it_is_connected() {
    let hub = Running::start(patient()).await;
    let mut first = hub.open("/esp").await;
    let refused = connect(hub.url("/esp")).await.expect_err("the id is taken");
    let ConnectError::Refused(refusal) = refused else { panic!("{refused}") };
    assert_eq!(refusal.status(), 409);
    assert_eq!(refusal.retry_after(), Some(Duration::from_secs(5)));
    assert_eq!(refusal.body(), "this client id is connected already\n");

    first.close(CloseCode::NORMAL, "").await;
    // The hub may take a moment longer than the client to be done with the old connection.
    let again = async {
        loop {
            match connect(hub.url("/esp")).await {
                Ok(_) => return,
                Err(ConnectError::Refused(refusal)) => assert_eq!(refusal.status(), 409),
                Err(error) => panic!("{error}"),
            }
        }
    };
    tokio::time::timeout(LIMIT, again).await.expect("free again");
    hub.stop().await;
}

#[tokio::test]
async fn paths_without_a_websocket_are_refused_with_words() {
    let hub = Running::all().await;
    for (path, status, words) in [
        ("/a/b", 404, "without slashes"),
        ("/healthz", 404, "page"),
        ("/hub.js", 404, "page"),
        ("/%ff", 400, "UTF-8"),
        (&format!("/{}", "x".repeat(200)), 414, "too long"),
    ] {
        let refused = connect(hub.url(path)).await.expect_err(path);
        let ConnectError::Refused(refusal) = refused else { panic!("{refused}") };
        assert_eq!(refusal.status(), status, "{path}");
        assert!(refusal.body().contains(words), "{}", refusal.body());
    }
    hub.stop().await;
}

#[tokio::test]
async fn one_app_alone_is_on_every_path() {
    let counter = Running::only(AppName::Counter).await;
    for path in ["/", "/echo", "/a/b/c"] {
        let users = text(&mut counter.open(path).await).await;
        assert!(users.starts_with(r#"{"type": "users""#), "{users}");
    }
    counter.stop().await;

    let relay = Running::only(AppName::Relay).await;
    let (mut a, mut b) = (relay.open("/ws/7").await, relay.open("/counter").await);
    a.send("hi").await.unwrap();
    assert_eq!(text(&mut b).await, "hi");
    assert!(connect(relay.url("/7")).await.is_err(), "the last segment is the id");
    relay.stop().await;

    let post = Running::only(AppName::Post).await;
    assert!(matches!(connect(post.url("/")).await, Err(ConnectError::Refused(r)) if r.status() == 404));
    post.stop().await;
}

#[tokio::test]
async fn several_addresses_share_the_apps() {
    let listeners = [
        tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap(),
        tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap(),
    ];
    let urls = listeners.each_ref().map(|listener| format!("ws://{}/counter", listener.local_addr().unwrap()));
    let (shutdown, down) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(tautline_hub::Hub::new().run_all(listeners, async {
        let _ = down.await;
    }));
    let mut first = connect(&urls[0]).await.unwrap();
    assert_eq!(text(&mut first).await, r#"{"type": "users", "count": 1}"#);
    let mut second = connect(&urls[1]).await.unwrap();
    assert_eq!(text(&mut second).await, r#"{"type": "users", "count": 2}"#);
    shutdown.send(()).unwrap();
    while second.recv().await.is_some() {}
    assert_eq!(second.ended(), Some(Ended::ClosedByPeer { code: CloseCode::GOING_AWAY, clean: true }));
    drop(first);
    server.await.unwrap().unwrap();
}
