//! fastwebsockets, behind hyper.

use bytes::Bytes;
use fastwebsockets::upgrade::{UpgradeFut, upgrade};
use fastwebsockets::{FragmentCollector, Frame, OpCode, Payload, WebSocketError};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::broadcast::{Receiver, Sender, error::RecvError};

type WebSocket = FragmentCollector<TokioIo<Upgraded>>;

fn main() {
    peer_common::run_accepting(serve);
}

async fn serve(stream: TcpStream, publisher: Sender<Bytes>) -> hyper::Result<()> {
    let service = service_fn(move |request| answer(request, publisher.clone()));
    http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await
}

async fn answer(
    mut request: Request<Incoming>,
    publisher: Sender<Bytes>,
) -> Result<Response<Empty<Bytes>>, WebSocketError> {
    let path = request.uri().path().to_owned();
    let (response, upgraded) = upgrade(&mut request)?;
    // Without this, tokio makes it wait after a number of operations, which its futures are not written for.
    tokio::spawn(tokio::task::unconstrained(connection(upgraded, path, publisher)));
    Ok(response)
}

async fn connection(upgraded: UpgradeFut, path: String, publisher: Sender<Bytes>) -> Result<(), WebSocketError> {
    let mut ws = FragmentCollector::new(upgraded.await?);
    if path == "/sub" {
        return subscribe(ws, publisher.subscribe()).await;
    }
    loop {
        let frame = ws.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary if path == "/pub" => {
                // Without subscribers nobody gets it.
                let _ = publisher.send(Bytes::copy_from_slice(&frame.payload));
            }
            OpCode::Text | OpCode::Binary => ws.write_frame(frame).await?,
            _ => {}
        }
    }
}

async fn subscribe(mut ws: WebSocket, mut messages: Receiver<Bytes>) -> Result<(), WebSocketError> {
    loop {
        match messages.recv().await {
            Ok(message) => ws.write_frame(Frame::binary(Payload::Borrowed(&message))).await?,
            Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return Ok(()),
        }
    }
}
