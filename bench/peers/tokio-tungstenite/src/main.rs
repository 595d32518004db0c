//! tokio-tungstenite.

use peer_common::{Batching, What};
use tokio::net::TcpStream;
use tokio::sync::broadcast::Sender;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::{Error, Message};

fn main() {
    peer_common::run_accepting(serve);
}

async fn serve(stream: TcpStream, publisher: Sender<Message>) -> Result<(), Error> {
    let mut path = String::new();
    #[expect(clippy::result_large_err, reason = "the library's signature")]
    let keep_path = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        path = request.uri().path().to_owned();
        Ok(response)
    };
    let ws = accept_hdr_async(stream, keep_path).await?;
    peer_common::serve(&path, ws, publisher, what, Batching::AnswerFirst).await
}

fn what(message: &Message) -> What {
    match message {
        Message::Text(_) | Message::Binary(_) => What::Data,
        // The stream ends by itself when the closing handshake is done.
        _ => What::Control,
    }
}
