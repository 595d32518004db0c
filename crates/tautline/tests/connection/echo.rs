//! The library's client against its own server.

use std::sync::Arc;

use tautline::{CloseCode, Info, Message, Role, Settings, Stream, WebSocket};
use tokio::io::duplex;

use crate::noise;
use crate::support::sim::QUIET;
use crate::support::soon;

/// The lengths around which the header changes, and some between.
fn lengths() -> Vec<usize> {
    let around = |edge: usize| edge.saturating_sub(4)..=edge + 4;
    let mut lengths: Vec<usize> = [0, 125, 126, 4_096, 16_384, 65_535, 65_536].into_iter().flat_map(around).collect();
    lengths.extend((0..=70_000).step_by(997));
    lengths
}

fn text_of(len: usize) -> String {
    let mut text = "\u{e4}\u{20ac}\u{1f980}z".repeat(len / 10);
    text.extend(std::iter::repeat_n('.', len % 10));
    text
}

/// An echoing server and a client joined by a pipe that holds so many bytes.
fn connected(pipe: usize) -> WebSocket {
    let (client, server) = duplex(pipe);
    let settings = || Arc::new(Settings::new().protocol(QUIET));
    let mut server = WebSocket::start(Stream::other(server), Role::Server, settings(), &[], Info::default());
    tokio::spawn(async move {
        while let Some(message) = server.recv().await {
            server.send(message).await.unwrap();
        }
    });
    WebSocket::start(Stream::other(client), Role::Client, settings(), &[], Info::default())
}

#[tokio::test(start_paused = true)]
async fn messages_of_every_length_come_back() {
    for pipe in [1 << 20, 1_000] {
        let mut ws = connected(pipe);
        for len in lengths() {
            for message in [Message::binary(noise(len)), Message::text(text_of(len))] {
                assert_eq!(message.len(), len);
                ws.send(message.clone()).await.unwrap();
                assert!(soon(ws.recv()).await == Some(message), "{len} bytes over a pipe of {pipe}");
            }
        }
        assert!(soon(ws.close(CloseCode::NORMAL, "")).await.is_clean());
    }
}

#[tokio::test(start_paused = true)]
async fn many_messages_in_flight_come_back_in_order() {
    let ws = connected(10_000);
    let (sender, mut receiver) = ws.split();
    let expected: Vec<_> = lengths().into_iter().map(|len| Message::binary(noise(len))).collect();
    let messages = expected.clone();
    let sending = tokio::spawn(async move {
        for message in messages {
            sender.send(message).await.unwrap();
        }
        sender
    });
    for message in expected {
        assert!(soon(receiver.recv()).await == Some(message));
    }
    drop(sending.await.unwrap());
}
