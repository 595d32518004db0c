//! An echo server made with the library, for Autobahn's fuzzing client: `autobahn-server --port PORT [--window BITS]`.

// A terminal program: printing is what it is for.
#![allow(clippy::print_stderr)]

use std::env;
use std::future::pending;
use std::process::ExitCode;

use tautline::deflate::{Acceptance, Sender, Unlimited, WindowBits};
use tautline::{Server, WebSocket};
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some((port, window)) = arguments(env::args().skip(1)) else {
        eprintln!("usage: autobahn-server --port PORT [--window BITS]");
        return ExitCode::from(2);
    };
    let sender = Sender { window, takeover: true };
    // Autobahn's clients let themselves be limited where it matters.
    let server = Server::new().deflate(Acceptance { server: sender, client: sender, unlimited: Unlimited::Accept });
    let served = async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        server.serve(listener, |ws, _| echo(ws), pending::<()>()).await
    };
    match served.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: port {port}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments(mut args: impl Iterator<Item = String>) -> Option<(u16, WindowBits)> {
    let (mut port, mut window) = (None, WindowBits::MAX);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--port" => port = args.next()?.parse().ok(),
            "--window" => window = args.next()?.parse().ok().and_then(WindowBits::new)?,
            _ => return None,
        }
    }
    Some((port?, window))
}

async fn echo(mut ws: WebSocket) {
    while let Some(message) = ws.recv().await {
        // Where the case ends the connection meanwhile, that shows in `recv`.
        let _ = ws.send(message).await;
    }
}
