//! yawc, behind hyper.

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use peer_common::{Batching, What};
use tokio::net::TcpStream;
use tokio::sync::broadcast::Sender;
use yawc::{Frame, OpCode, Options, UpgradeFut, WebSocket, WebSocketError};

/// More than the largest message of any test.
const MAX_PAYLOAD: usize = 64 << 20;

fn main() {
    peer_common::run_accepting(serve);
}

async fn serve(stream: TcpStream, publisher: Sender<Frame>) -> hyper::Result<()> {
    let service = service_fn(move |request| upgrade(request, publisher.clone()));
    http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await
}

async fn upgrade(
    mut request: Request<Incoming>,
    publisher: Sender<Frame>,
) -> Result<Response<Empty<Bytes>>, WebSocketError> {
    let path = request.uri().path().to_owned();
    let options = Options::default().with_utf8().with_limits(MAX_PAYLOAD, 2 * MAX_PAYLOAD);
    let (response, upgraded) = WebSocket::upgrade_with_options(&mut request, options)?;
    tokio::spawn(connection(upgraded, path, publisher));
    Ok(response)
}

async fn connection(upgraded: UpgradeFut, path: String, publisher: Sender<Frame>) -> Result<(), WebSocketError> {
    // Its stream has frames for items, not results: it just ends.
    let ws = upgraded.await?.map(Ok);
    peer_common::serve(&path, ws, publisher, what, Batching::AnswerFirst).await
}

fn what(frame: &Frame) -> What {
    match frame.opcode() {
        OpCode::Text | OpCode::Binary => What::Data,
        _ => What::Control,
    }
}
