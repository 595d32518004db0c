//! sockudo-ws, by its own handshake functions.

use std::io;

use bytes::BytesMut;
use peer_common::{Batching, What};
use sockudo_ws::handshake::{build_response, generate_accept_key, parse_request};
use sockudo_ws::protocol::Message;
use sockudo_ws::{Config, WebSocketStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::broadcast::Sender;

fn main() {
    peer_common::run_accepting(serve);
}

async fn serve(mut stream: TcpStream, publisher: Sender<Message>) -> io::Result<()> {
    if let Some(path) = handshake(&mut stream).await? {
        let ws = WebSocketStream::server(stream, Config::default());
        // An error ends the connection, which is all that there is to do about it.
        let _ = peer_common::serve(&path, ws, publisher, what, Batching::AnswerFirst).await;
    }
    Ok(())
}

/// Answers the opening handshake; returns the path, or nothing if the request was not understood.
async fn handshake(stream: &mut TcpStream) -> io::Result<Option<String>> {
    let mut buffer = BytesMut::with_capacity(4096);
    while stream.read_buf(&mut buffer).await? > 0 {
        match parse_request(&buffer) {
            Err(_) => return Ok(None),
            Ok(None) => {}
            Ok(Some((request, _))) => {
                let path = request.path.to_string();
                let response = build_response(&generate_accept_key(request.key), None, None);
                stream.write_all(&response).await?;
                return Ok(Some(path));
            }
        }
    }
    Ok(None)
}

fn what(message: &Message) -> What {
    match message {
        Message::Text(_) | Message::Binary(_) => What::Data,
        // Its stream does not end by itself.
        Message::Close(_) => What::Close,
        _ => What::Control,
    }
}
