//! tokio-websockets.

use peer_common::{Batching, What};
use tokio::net::TcpStream;
use tokio::sync::broadcast::Sender;
use tokio_websockets::{Config, Error, Limits, Message, ServerBuilder};

fn main() {
    peer_common::run_accepting(serve);
}

async fn serve(stream: TcpStream, publisher: Sender<Message>) -> Result<(), Error> {
    // By default it cuts messages into frames of 4 MiB; the load generator wants them whole.
    let config = Config::default().frame_size(usize::MAX);
    let builder = ServerBuilder::new().config(config).limits(Limits::unlimited());
    let (request, ws) = builder.accept(stream).await?;
    peer_common::serve(request.uri().path(), ws, publisher, what, Batching::ReadFirst).await
}

fn what(message: &Message) -> What {
    if message.is_text() || message.is_binary() { What::Data } else { What::Control }
}
