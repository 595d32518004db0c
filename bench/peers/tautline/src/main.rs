//! tautline: the plain `recv`, `send` loop; fan-out by its `Group`.

use std::sync::Arc;

use tautline::{Group, Request, Server, Slow, WebSocket};

fn main() {
    peer_common::run(|listener| async move {
        let group = Arc::new(Group::new(Slow::Disconnect));
        let mut server = Server::new();
        if let Some(config) = peer_common::tls::server() {
            server = server.tls(config);
        }
        let handler = move |ws, request| serve(ws, request, group.clone());
        server.serve(listener, handler, std::future::pending::<()>()).await.expect("a listener that works");
    });
}

async fn serve(mut ws: WebSocket, request: Request, group: Arc<Group>) {
    match request.path() {
        "/sub" => {
            let _membership = group.join(&ws.sender());
            while ws.recv().await.is_some() {}
        }
        "/pub" => {
            while let Some(message) = ws.recv().await {
                group.publish(message);
            }
        }
        _ => {
            while let Some(message) = ws.recv().await {
                if ws.send(message).await.is_err() {
                    return;
                }
            }
        }
    }
}
