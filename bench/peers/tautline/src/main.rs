//! tautline: the plain `recv`, `send` loop; fan-out by its `Group`.

use std::pin::Pin;
use std::sync::Arc;

use tautline::{Group, Request, Server, Slow, WebSocket};

fn main() {
    peer_common::run(|listener| async move {
        let group = Arc::new(Group::new(Slow::Disconnect));
        let mut server = Server::new();
        if let Some(config) = peer_common::tls::server() {
            server = server.tls(config);
        }
        // The request is not needed for as long as the connection lasts, and each path has a future of its own size.
        let handler = move |ws, request: Request| -> Pin<Box<dyn Future<Output = ()> + Send>> {
            match request.path() {
                "/sub" => Box::pin(subscribe(ws, group.clone())),
                "/pub" => Box::pin(publish(ws, group.clone())),
                _ => Box::pin(echo(ws)),
            }
        };
        server.serve(listener, handler, std::future::pending::<()>()).await.expect("a listener that works");
    });
}

async fn echo(mut ws: WebSocket) {
    while let Some(message) = ws.recv().await {
        if ws.send(message).await.is_err() {
            return;
        }
    }
}

async fn subscribe(mut ws: WebSocket, group: Arc<Group>) {
    let _membership = group.join(&ws.sender());
    while ws.recv().await.is_some() {}
}

async fn publish(mut ws: WebSocket, group: Arc<Group>) {
    while let Some(message) = ws.recv().await {
        group.publish(message);
    }
}
