//! The client on a host, against the library's server over real sockets.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use tautline::{CloseCode, Server};
use tautline_device::host::{HostClock, HostRandom, Tcp};
use tautline_device::{Backoff, Client, Clock, Event, Instant, Kind, Link, Message, Settings, Stopped};
use tokio::net::TcpListener;

/// As long as any step may take on a busy machine.
const LONG: Duration = Duration::from_secs(300);

type HostLink<'m> = Link<'m, CriticalSectionRawMutex>;

/// Runs a client against an echo, beside `test`.
async fn with_echo<F: Future<Output = ()>>(test: impl FnOnce(Rc<HostLink<'static>>, Rc<RefCell<Vec<String>>>) -> F) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let echo = |mut ws: tautline::WebSocket, _: tautline::Request| async move {
        while let Some(message) = ws.recv().await {
            if message == "close".into() {
                ws.close(CloseCode::GOING_AWAY, "asked to").await;
            }
            let _ = ws.send(message).await;
        }
    };
    let serving = tokio::spawn(Server::new().serve(listener, echo, std::future::pending::<()>()));
    let backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(50), LONG);
    let settings = Settings::new("127.0.0.1", port).backoff(backoff);
    let memory = Box::leak(Box::new([0; 4096]));
    let link = Rc::new(Link::new(memory));
    let told = Rc::new(RefCell::new(Vec::new()));
    let (mut receive, mut transmit) = ([0; 1024], [0; 512]);
    let mut client = Client::new(&settings, &link, &mut receive, &mut transmit);
    let notes = told.clone();
    let mut bytes = Vec::new();
    let mut handler = move |event: Event<'_>| match event {
        Event::Data(data) => {
            bytes.extend_from_slice(data.bytes());
            if data.is_last() {
                notes.borrow_mut().push(String::from_utf8(std::mem::take(&mut bytes)).unwrap());
            }
        }
        Event::Connected(_) => notes.borrow_mut().push("connected".into()),
        Event::Closed { code, reason, .. } => notes.borrow_mut().push(format!("{} {reason}", code.as_u16())),
        _ => {}
    };
    let (mut tcp, clock, mut random) = (Tcp::new("localhost", port), HostClock::new(), HostRandom);
    let running = client.run(&mut tcp, &clock, &mut random, &mut handler);
    let testing = async {
        test(link.clone(), told).await;
        link.stop();
    };
    let (stopped, ()) = tokio::time::timeout(LONG, async { tokio::join!(running, testing) }).await.unwrap();
    assert_eq!(stopped, Stopped::Asked);
    serving.abort();
}

async fn until(told: &RefCell<Vec<String>>, note: &str) {
    while !told.borrow().iter().any(|told| told == note) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn later() -> Instant {
    HostClock::new().now() + LONG
}

#[tokio::test]
async fn messages_of_every_length_come_back() {
    with_echo(|link, told| async move {
        let clock = HostClock::new();
        for len in [0, 1, 125, 126, 127, 500, 4_000] {
            let text = "x".repeat(len);
            link.send(Message::text(&text), &clock, later()).await.unwrap();
            until(&told, &text).await;
        }
        let text = "ñ€😀".repeat(30_000);
        let mut stream = loop {
            match link.begin(Kind::Text) {
                Some(stream) => break stream,
                None => tokio::task::yield_now().await,
            }
        };
        for piece in text.as_bytes().chunks(7_777) {
            stream.write(piece, &clock, later()).await.unwrap();
        }
        stream.finish(b"", &clock, later()).await.unwrap();
        until(&told, &text).await;
    })
    .await;
}

#[tokio::test]
async fn it_comes_back_when_the_server_goes_away() {
    with_echo(|link, told| async move {
        link.try_send(Message::text("close")).unwrap();
        until(&told, "1001 asked to").await;
        link.try_send(Message::text("again")).unwrap();
        until(&told, "again").await;
        assert_eq!(told.borrow().iter().filter(|note| *note == "connected").count(), 2);
    })
    .await;
}
