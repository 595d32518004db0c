//! Node's ws: its client against our servers, our client against its server.

use tautline::{ConnectError, connect};
use tautline_conformance::peers::{Language, within};
use tautline_conformance::scenarios;

const NODE: Language = Language::Node;

scenarios! { NODE;
    // Their client, our server.
    echoes_every_length, echoes_in_order, takes_fragments, answers_pings, is_kept_alive, is_closed_by_the_client,
    is_closed_by_the_server, is_told_of_the_end_of_the_hub, subprotocols, compression_is_not_agreed, origins, aborts,
    too_big, over_tls,
    // Our client, their server.
    server_echoes, server_echoes_large_messages, server_takes_fragments, server_answers_pings,
    server_is_closed_by_our_client, server_is_killed, server_echoes_in_order, server_selects_a_subprotocol,
    server_over_tls,
}

/// Node's server then answers without one, which RFC 6455 §4.1 leaves to the client; ours goes on.
#[tokio::test]
async fn a_server_without_a_common_subprotocol_selects_none() {
    let (_process, port) = NODE.echo_server(&["--subprotocol", "v1"]).await;
    let opening = connect(format!("ws://127.0.0.1:{port}")).subprotocol("v2");
    match within("an answer", opening.into_future()).await {
        Ok(mut ws) => {
            assert_eq!(ws.info().subprotocol, None);
            ws.send("x").await.expect("an open connection");
            assert_eq!(within("an echo", ws.recv()).await, Some("x".into()));
        }
        Err(error) => {
            assert!(matches!(error, ConnectError::Handshake(_)), "{error}");
            panic!("our client insists on a subprotocol: {error}");
        }
    }
}
