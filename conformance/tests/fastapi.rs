//! FastAPI on uvicorn: our client against its servers, and the relay of both.

use std::process::Command;

use rustix::process::Signal;
use serde_json::json;
use tautline::{CloseCode, ConnectError, Ended, Message, WebSocket, connect};
use tautline_conformance::peers::{
    Client, Hub, Language, Process, binary, messages, peer, scenarios, text, tool, within,
};

/// Starts a server of `tests/peers` that runs under uvicorn.
async fn server(path: &str, arguments: &[&str]) -> (Process, u16) {
    let mut command = Command::new(tool("TAUTLINE_PYTHON"));
    command.env("PYTHONDONTWRITEBYTECODE", "1").arg(peer(path)).args(["--host", "127.0.0.1", "--port", "0"]);
    command.args(arguments);
    let mut process = Process::spawn(command);
    let port = process.listening().await;
    (process, port)
}

async fn ours(uri: String) -> WebSocket {
    let opened = within("our client's connection", connect(&uri).into_future()).await;
    opened.unwrap_or_else(|error| panic!("{uri}: {error}"))
}

async fn recv(ws: &mut WebSocket) -> Message {
    let message = within("a message", ws.recv()).await;
    message.unwrap_or_else(|| panic!("the connection ended: {:?}", ws.ended()))
}

#[tokio::test]
async fn fastapi_echoes() {
    for arguments in [&[][..], &["--no-compression"]] {
        let (_process, port) = server("python/fastapi_server.py", arguments).await;
        let mut ws = ours(format!("ws://127.0.0.1:{port}/echo")).await;
        scenarios::exchange(&mut ws).await;
        scenarios::close(ws).await;
    }
}

#[tokio::test]
async fn fastapi_takes_fragments_and_pings() {
    let (_process, port) = server("python/fastapi_server.py", &[]).await;
    let mut ws = ours(format!("ws://127.0.0.1:{port}/echo")).await;
    for message in [Message::from(text(100_000)), Message::from(binary(100_000))] {
        let mut writer = within("a writer", ws.begin(message.kind())).await.expect("an open connection");
        for piece in message.as_bytes().chunks(12_345) {
            within("a piece", writer.write(piece.to_vec())).await.expect("an open connection");
        }
        within("a pong", ws.ping()).await.expect("an open connection");
        within("the last piece", writer.finish(Vec::new())).await.expect("an open connection");
        assert!(recv(&mut ws).await == message);
    }
}

#[tokio::test]
async fn fastapi_selects_the_first_subprotocol() {
    let (_process, port) = server("python/fastapi_server.py", &[]).await;
    let opening = connect(format!("ws://127.0.0.1:{port}/echo")).subprotocol("v2").subprotocol("v1");
    let mut ws = within("a connection", opening.into_future()).await.expect("a connection");
    assert_eq!(ws.info().subprotocol.as_deref(), Some("v2"));
    ws.send("x").await.expect("an open connection");
    assert_eq!(recv(&mut ws).await, "x".into());
}

#[tokio::test]
async fn uvicorn_that_ends_closes_with_1012() {
    let (process, port) = server("python/fastapi_server.py", &[]).await;
    let mut ws = ours(format!("ws://127.0.0.1:{port}/echo")).await;
    ws.send("x").await.expect("an open connection");
    assert_eq!(recv(&mut ws).await, "x".into());
    process.signal(Signal::TERM);
    assert_eq!(within("the end", ws.recv()).await, None);
    assert_eq!(ws.ended(), Some(Ended::ClosedByPeer { code: CloseCode::SERVICE_RESTART, clean: true }));
}

#[tokio::test]
async fn fastapi_refuses_a_path_that_is_not_there() {
    let (_process, port) = server("python/fastapi_server.py", &[]).await;
    let refused = within("an answer", connect(format!("ws://127.0.0.1:{port}/no/such/path")).into_future()).await;
    let Err(ConnectError::Refused(refused)) = refused else { panic!("{refused:?}") };
    assert_eq!(refused.status().as_u16(), 403);
}

/// The relay of FastAPI, of the device project's server, and ours, with our client: the same messages to the same clients.
#[tokio::test]
async fn every_relay_passes_messages_on_to_our_clients() {
    let (_fastapi, fastapi) = server("python/fastapi_server.py", &[]).await;
    let (_standin, standin) = server("standins/server.py", &[]).await;
    let hub = Hub::patient(&["--app", "relay"]).await;
    for (port, refusal) in [(fastapi, 403), (standin, 403), (hub.port, 409)] {
        let base = format!("ws://127.0.0.1:{port}");
        let mut clients = Vec::new();
        for id in 1..=3 {
            clients.push(ours(format!("{base}/{id}")).await);
        }
        for (turn, message) in messages().into_iter().enumerate() {
            let sender = turn % clients.len();
            clients[sender].send(message.clone()).await.expect("an open connection");
            for (index, client) in clients.iter_mut().enumerate() {
                if index != sender {
                    assert!(recv(client).await == message, "message {turn} to client {index}");
                }
            }
        }
        let refused = within("an answer", connect(format!("{base}/2")).into_future()).await;
        let Err(ConnectError::Refused(refused)) = refused else { panic!("{refused:?}") };
        assert_eq!(refused.status().as_u16(), refusal);
        for ws in clients {
            scenarios::close(ws).await;
        }
    }
}

/// Clients of both kinds on the relay of both kinds.
#[tokio::test]
async fn python_and_ours_share_a_relay() {
    let (_standin, standin) = server("standins/server.py", &[]).await;
    let hub = Hub::patient(&[]).await;
    for port in [standin, hub.port] {
        let base = format!("ws://127.0.0.1:{port}");
        let mut python = Client::connected(Language::Python, &format!("{base}/1")).await;
        let mut second = Client::connected(Language::Python, &format!("{base}/2")).await;
        let mut ours = ours(format!("{base}/3")).await;
        for length in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
            python.send(text(length)).await;
            assert!(recv(&mut ours).await == text(length).into());
            second.expect(text(length)).await;
            ours.send(binary(length)).await.expect("an open connection");
            python.expect(binary(length)).await;
            second.expect(binary(length)).await;
            second.send(binary(length)).await;
            second.send("mixed").await;
            python.expect(binary(length)).await;
            python.expect("mixed").await;
            assert!(recv(&mut ours).await == binary(length).into());
            assert!(recv(&mut ours).await == "mixed".into());
        }
        let refused = python.connect(json!(format!("{base}/3"))).await;
        assert_eq!(refused["status"], if port == hub.port { 409 } else { 403 }, "{refused}");
    }
}
