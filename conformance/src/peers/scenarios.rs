use std::time::Duration;

use serde_json::{Value, json};
use tautline::deflate::{Backend, Offer, Sender, WindowBits};
use tautline::{CloseCode, Config, ConnectError, Ended, Event, Message, Server, WebSocket, connect};

use super::messages::assert_same;
use super::{
    Certificates, Client, DEADLINE, End, Hub, LENGTHS, Language, Ours, Received, binary, messages, text, within,
    within_time,
};

/// Codes that a close frame may carry (RFC 6455 §7.4), with a reason for each.
const CODES: [u16; 10] = [1000, 1001, 1002, 1008, 1011, 1012, 1013, 3000, 4001, 4999];

/// The reason that goes with a code; for one of them it is as long as it can be.
fn reason(code: u16) -> String {
    if code == 4999 { text(123) } else { format!("reason {code} ñ€😀") }
}

fn code(code: u16) -> CloseCode {
    CloseCode::new(code).expect("a code that may be sent")
}

// ---- Their client, our server.

/// Our server echoes their client's messages of every length.
pub async fn echoes_every_length(language: Language) {
    let hub = Hub::app("echo").await;
    let mut client = Client::connected(language, &hub.uri("/any/path?with=query")).await;
    for message in messages() {
        client.send(message.clone()).await;
        client.expect(message).await;
    }
    client.finish().await;
}

/// Our server echoes many messages in order that their client sends before it reads any.
pub async fn echoes_in_order(language: Language) {
    let hub = Hub::app("echo").await;
    let mut client = Client::connected(language, &hub.uri("/")).await;
    let sent = || (0..300).map(|n| if n % 2 == 0 { Message::from(text(n)) } else { Message::from(binary(n * 97)) });
    for message in sent() {
        client.send(message).await;
    }
    for message in sent() {
        client.expect(message).await;
    }
}

/// Our server puts their client's fragments together.
pub async fn takes_fragments(language: Language) {
    let hub = Hub::app("echo").await;
    let mut client = Client::connected(language, &hub.uri("/")).await;
    client.send_fragments(&["Hello ".into(), "wörld ".into(), "".into(), "€😀".into()]).await;
    client.expect("Hello wörld €😀").await;
    let parts: Vec<Vec<u8>> = LENGTHS.iter().map(|&length| binary(length)).collect();
    client.send_fragments(&parts.iter().cloned().map(Message::from).collect::<Vec<_>>()).await;
    client.expect(parts.concat()).await;
    let parts: Vec<String> = LENGTHS.iter().map(|&length| text(length)).collect();
    client.send_fragments(&parts.iter().cloned().map(Message::from).collect::<Vec<_>>()).await;
    client.expect(parts.concat()).await;
}

/// Our server takes as many fragments as Autobahn's case 9.3.1 sends: 4 MiB, 64 bytes at a time.
pub async fn takes_very_many_fragments(language: Language) {
    let hub = Hub::app("echo").await;
    let mut client = Client::connected(language, &hub.uri("/")).await;
    let message = binary(4 << 20);
    let parts: Vec<Message> = message.chunks(64).map(Message::from).collect();
    // Python ends a message with an empty frame, as Autobahn does.
    client.send_fragments(&parts).await;
    client.expect(message).await;
}

/// Our server answers their client's pings, of every size, also while it echoes.
pub async fn answers_pings(language: Language) {
    let hub = Hub::app("echo").await;
    let mut client = Client::connected(language, &hub.uri("/")).await;
    for length in [0, 1, 4, 124, 125] {
        client.send("before").await;
        assert!(client.ping(&binary(length)).await >= 0.0);
    }
    for _ in 0..5 {
        client.expect("before").await;
    }
}

/// Their client answers our server's pings, and outlives the pong timeout by that.
pub async fn is_kept_alive(language: Language) {
    let often = Duration::from_millis(50);
    let config = Config::new().ping_interval(Some(often)).pong_timeout(DEADLINE);
    let mut ours = Ours::start(Server::new().config(config), |mut ws, _| async move {
        let mut latencies = 0;
        while latencies < 5 {
            match ws.recv_event().await {
                Some(Event::Pong { latency: Some(_), .. }) => latencies += 1,
                Some(_) => {}
                None => return ws,
            }
        }
        let _ = ws.ping().await.map(|_| latencies += 1);
        let _ = ws.send(format!("{latencies} pongs")).await;
        let _ = ws.recv().await;
        ws
    })
    .await;
    let mut client = Client::connected(language, &ours.uri("/")).await;
    client.expect("6 pongs").await;
    client.close(1000, "").await;
    assert_eq!(ours.end().await, End::by_peer(1000, ""));
}

/// What their client closes with reaches our server's handler, and is echoed.
pub async fn is_closed_by_the_client(language: Language) {
    let mut ours = Ours::echo(Server::new()).await;
    let mut client = language.client();
    for code in CODES {
        client.open(json!(ours.uri("/"))).await;
        client.send("last").await;
        client.expect("last").await;
        assert_eq!(client.close(code, &reason(code)).await.0, code);
        assert_eq!(ours.end().await, End::by_peer(code, &reason(code)));
    }
    // Without a word: Python says 1000, Node sends an empty frame.
    let silent = if language == Language::Python { 1000 } else { 1005 };
    client.open(json!(ours.uri("/"))).await;
    assert_eq!(client.just_close().await, (silent, String::new()));
    assert_eq!(ours.end().await, End::by_peer(silent, ""));

    // And the binary's server echoes as the library's does.
    let hub = Hub::app("echo").await;
    client.open(json!(hub.uri("/"))).await;
    assert_eq!(client.close(4321, "bye").await.0, 4321);
}

/// What our server closes with reaches their client, after what was sent before.
pub async fn is_closed_by_the_server(language: Language) {
    let mut ours = Ours::start(Server::new(), |mut ws, request| async move {
        let number = request.query().and_then(|query| query.parse().ok()).expect("a code as the query");
        let _ = ws.send(text(70_000)).await;
        ws.close(code(number), &reason(number)).await;
        ws
    })
    .await;
    let mut client = language.client();
    for number in CODES {
        client.open(json!(ours.uri(&format!("/?{number}")))).await;
        client.expect(text(70_000)).await;
        assert_eq!(client.receive().await, Received::Closed(number, reason(number)));
        let end = ours.end().await;
        assert_eq!(end.ended, Ended::ClosedByUs { code: code(number), clean: true });
    }
}

/// SIGTERM ends the hub's connections with 1001 or 1012.
pub async fn is_told_of_the_end_of_the_hub(language: Language) {
    let hub = Hub::start().await;
    let mut client = Client::connected(language, &hub.uri("/echo")).await;
    let mut idle = Client::connected(language, &hub.uri("/7")).await;
    client.send("before").await;
    client.expect("before").await;
    hub.stop().await;
    for client in [&mut client, &mut idle] {
        let (code, _) = client.wait_closed().await;
        assert!(code == 1001 || code == 1012, "{code}");
    }
}

/// The first subprotocol that is offered and supported is selected; none where there is none.
pub async fn subprotocols(language: Language) {
    let supporting = Ours::echo(Server::new().subprotocols(["v2", "v1"])).await;
    let mut client = language.client();
    for (offered, selected) in
        [(json!(["v1"]), "v1"), (json!(["v3", "v1", "v2"]), "v1"), (json!(["mqtt", "v2", "v1"]), "v2")]
    {
        let answer = client.open(json!({"uri": supporting.uri("/"), "subprotocols": offered})).await;
        assert_eq!(answer["subprotocol"], selected);
        client.send("x").await;
        client.expect("x").await;
    }
    let answer = client.open(json!(supporting.uri("/"))).await;
    assert_eq!(answer["subprotocol"], Value::Null);

    // None that both know: our server goes on without. Python's client takes that, Node's insists on one.
    let hub = Hub::app("echo").await;
    for uri in [supporting.uri("/"), hub.uri("/")] {
        let offer = json!({"uri": uri, "subprotocols": ["unknown", "V1"]});
        match language {
            Language::Python => {
                assert_eq!(client.open(offer).await["subprotocol"], Value::Null);
                client.send("x").await;
                client.expect("x").await;
            }
            Language::Node => {
                let answer = client.connect(offer).await;
                assert_eq!(answer["error"], "Server sent no subprotocol", "{answer}");
            }
        }
    }
}

/// Their client and our server compress their messages, each by itself or with reference to earlier ones, also those in fragments.
pub async fn compression_is_agreed(language: Language) {
    for (how, window, backend) in [
        ("context-takeover", "15", "small"),
        ("context-takeover", "9", "small"),
        ("no-context-takeover", "12", "small"),
        ("context-takeover", "15", "zlib-rs"),
        ("no-context-takeover", "9", "zlib-rs"),
    ] {
        let options = ["--compression", how, "--compression-window", window, "--compression-backend", backend];
        let hub = Hub::start_on(0, &[&["--app", "echo"], &options[..]].concat()).await;
        let mut client = language.client();
        let answer = client.open(json!({"uri": hub.uri("/"), "compression": true})).await;
        let agreed = answer["extensions"].as_str().unwrap_or_default();
        assert!(agreed.starts_with("permessage-deflate"), "{how}: {answer}");
        assert_eq!(agreed.contains("server_no_context_takeover"), how == "no-context-takeover", "{agreed}");
        assert_eq!(agreed.contains(&format!("server_max_window_bits={window}")), window != "15", "{agreed}");
        for message in messages() {
            client.send(message.clone()).await;
            client.expect(message).await;
        }
        for number in 0..50 {
            let message = format!(r#"{{"sensor":"kitchen","number":{number},"celsius":21.5}}"#);
            client.send(message.clone()).await;
            client.expect(message).await;
        }
        client.send_fragments(&["Hello, Hello ".into(), "wörld ".into(), "".into(), "€😀 Hello".into()]).await;
        client.expect("Hello, Hello wörld €😀 Hello").await;
        client.finish().await;
    }
}

/// Their server and our client compress their messages, also those that ours sends in fragments.
pub async fn server_compresses(language: Language) {
    let (_process, port) = language.echo_server(&[]).await;
    let narrow = Sender { window: WindowBits::new(9).expect("8 to 15"), takeover: true };
    let alone = Sender { window: WindowBits::MAX, takeover: false };
    for (sender, backend) in [
        (Sender::DEFAULT, Backend::Small),
        (Sender::DEFAULT, Backend::ZlibRs),
        (narrow, Backend::Small),
        (alone, Backend::ZlibRs),
    ] {
        let opening = connect(format!("ws://127.0.0.1:{port}")).deflate(Offer { server: sender, client: sender });
        let opening = opening.deflate_backend(backend);
        let mut ws = within("a connection", opening.into_future()).await.expect("a connection");
        let agreed = ws.info().deflate.expect("compression is agreed on");
        assert!(agreed.server.window <= sender.window && agreed.client.window <= sender.window, "{agreed:?}");
        exchange(&mut ws).await;
        exchange(&mut ws).await;
        let large = Message::from(text(1_000_000));
        within("a large message to leave", ws.send(large.clone())).await.expect("an open connection");
        assert_same(&within("a large echo", ws.recv()).await.expect("a message"), &large);
        in_fragments_of_any_size(&mut ws).await;
        close(ws).await;
    }
}

/// Messages in fragments, whole ones, and such as are not to be compressed, in turn.
async fn in_fragments_of_any_size(ws: &mut WebSocket) {
    let mut random = fastrand::Rng::with_seed(7692);
    for round in 0..12 {
        let message = if round % 2 == 0 { Message::from(text(40_000)) } else { binary(40_000).into() };
        let mut writer = within("a writer", ws.begin(message.kind())).await.expect("an open connection");
        let mut rest = message.as_bytes();
        while !rest.is_empty() {
            let most = [2, 200, 20_000][random.usize(..3)];
            let (piece, others) = rest.split_at(random.usize(..=rest.len().min(most)));
            within("a piece", writer.write(piece.to_vec())).await.expect("an open connection");
            rest = others;
            if random.u8(..20) == 0 {
                break;
            }
        }
        within("the last piece", writer.finish(rest.to_vec())).await.expect("an open connection");
        assert_same(&within("an echo", ws.recv()).await.expect("a message"), &message);
        let as_it_is = ws.sender().compress(round % 3 > 0);
        within("a message", as_it_is.send(message.clone())).await.expect("an open connection");
        assert_same(&within("an echo", ws.recv()).await.expect("a message"), &message);
    }
}

/// Compression is offered and not agreed on. The names of the answer's headers are in title case (`Sec-Websocket-Accept`
/// for hyper), once each.
pub async fn compression_is_not_agreed(language: Language) {
    let hub = Hub::app("echo").await;
    let mut client = language.client();
    for compression in [true, false] {
        let answer = client.open(json!({"uri": hub.uri("/"), "compression": compression})).await;
        assert_eq!(answer["extensions"], "", "{answer}");
        let headers = answer["headers"].as_array().expect("headers").clone();
        for name in ["Upgrade", "Connection", "Sec-WebSocket-Accept"] {
            let found: Vec<&str> = headers.iter().filter_map(|header| header[0].as_str()).collect();
            let found: Vec<&str> = found.into_iter().filter(|found| found.eq_ignore_ascii_case(name)).collect();
            let titled = |name: &str| name.split('-').all(|word| word.starts_with(char::is_uppercase));
            assert!(found.len() == 1 && titled(found[0]), "{name}: {found:?} in {headers:?}");
        }
        client.send(text(1000)).await;
        client.expect(text(1000)).await;
    }
}

/// Pages from files, from this machine and from the same host may connect, others not.
pub async fn origins(language: Language) {
    let hub = Hub::app("echo").await;
    let mut client = language.client();
    let same = format!("http://127.0.0.1:{}", hub.port);
    for origin in ["null", "http://localhost", "https://localhost:3000", "http://[::1]:80", "https://127.0.0.1", &same]
    {
        client.open(json!({"uri": hub.uri("/"), "origin": origin})).await;
        client.send(origin).await;
        client.expect(origin).await;
    }
    for origin in ["http://example.com", "http://127.0.0.1.example.com", "https://localhost.example.com:80"] {
        let answer = client.connect(json!({"uri": hub.uri("/"), "origin": origin})).await;
        assert_eq!(answer["status"], 403, "{answer}");
    }
    client.open(json!(hub.uri("/"))).await;
}

/// A client that disappears is noticed, and harms nobody.
pub async fn aborts(language: Language) {
    let mut ours = Ours::echo(Server::new()).await;
    let mut client = Client::connected(language, &ours.uri("/")).await;
    client.send("x").await;
    client.expect("x").await;
    client.abort().await;
    let end = ours.end().await;
    assert!(matches!(end.ended, Ended::TransportClosed | Ended::TransportFailed), "{end:?}");
    client.open(json!(ours.uri("/"))).await;
    client.send("y").await;
    client.expect("y").await;
}

/// A message over the limit is answered with 1009, which arrives although the client is still sending.
pub async fn too_big(language: Language) {
    const LIMIT: usize = 1 << 20;
    let hub = Hub::start_on(0, &["--app", "echo", "--max-message", &LIMIT.to_string()]).await;
    let mut client = language.client();
    for length in [LIMIT + 1, 8 * LIMIT] {
        client.open(json!(hub.uri("/"))).await;
        client.send(binary(LIMIT)).await;
        client.expect(binary(LIMIT)).await;
        let answer = client.send_anyway(binary(length)).await;
        assert!(answer.get("ok").is_some() || answer["closed"][0] == 1009, "{answer}");
        assert_eq!(client.wait_closed().await.0, 1009);
    }
}

/// Their client over TLS, with a private authority.
pub async fn over_tls(language: Language) {
    let certificates = Certificates::new();
    let ours = Ours::echo(Server::new().tls(certificates.server_config())).await;
    let mut client = language.client();
    for host in ["127.0.0.1", "localhost"] {
        let uri = format!("wss://{host}:{}/", ours.port);
        client.open(json!({"uri": uri, "ca": certificates.ca})).await;
        for length in LENGTHS {
            client.send(binary(length)).await;
            client.expect(binary(length)).await;
        }
        client.open(json!({"uri": uri, "insecure": true})).await;
        client.send("x").await;
        client.expect("x").await;
        let answer = client.connect(json!(uri)).await;
        assert!(answer["error"].is_string() && answer.get("status").is_none(), "{answer}");
    }
}

// ---- Our client, their server.

/// A connection of ours to an echo server on this port.
pub async fn ours_to(port: u16) -> WebSocket {
    let opened = within("our client's connection", connect(format!("ws://127.0.0.1:{port}/path?query")).into_future());
    opened.await.unwrap_or_else(|error| panic!("our client: {error}"))
}

/// Sends messages of every length one by one and checks what comes back.
pub async fn exchange(ws: &mut WebSocket) {
    for message in messages() {
        ws.send(message.clone()).await.expect("an open connection");
        let answer = within("an echo", ws.recv()).await;
        let answer = answer.unwrap_or_else(|| panic!("the connection ended: {:?}", ws.ended()));
        assert_same(&answer, &message);
    }
}

/// Closes from our side, cleanly.
pub async fn close(mut ws: WebSocket) {
    let ended = within("a closing handshake", ws.close(CloseCode::NORMAL, "")).await;
    assert_eq!(ended, Ended::ClosedByUs { code: CloseCode::NORMAL, clean: true });
}

/// Their server echoes our client's messages, whether it would compress or not.
pub async fn server_echoes(language: Language) {
    for args in [&[][..], &["--no-compression"]] {
        let (_process, port) = language.echo_server(args).await;
        let mut ws = ours_to(port).await;
        exchange(&mut ws).await;
        close(ws).await;
    }
}

/// Their server echoes the largest messages that we take.
pub async fn server_echoes_large_messages(language: Language) {
    let (_process, port) = language.echo_server(&[]).await;
    let mut ws = ours_to(port).await;
    let large = 16 * 1024 * 1024;
    for message in [Message::from(binary(large)), Message::from(text(large))] {
        within("a large message to leave", ws.send(message.clone())).await.expect("an open connection");
        let answer = within_time(Duration::from_secs(30), "a large echo", ws.recv()).await.expect("a message");
        assert_same(&answer, &message);
    }
    close(ws).await;
}

/// A message that is larger than what our client takes ends its connection with 1009.
pub async fn server_sends_too_much(language: Language) {
    let (_process, port) = language.echo_server(&[]).await;
    let limited = connect(format!("ws://127.0.0.1:{port}")).config(Config::new().max_message(1000));
    let mut ws = within("a connection", limited.into_future()).await.expect("a connection");
    ws.send(binary(1000)).await.expect("an open connection");
    assert_eq!(within("an echo", ws.recv()).await, Some(binary(1000).into()));
    ws.send(binary(1001)).await.expect("an open connection");
    assert_eq!(within("the end", ws.recv()).await, None);
    let ended = ws.ended().expect("an end");
    assert!(matches!(ended, Ended::Violation(_)) && ended.close_code() == CloseCode::TOO_BIG, "{ended}");
}

/// Their server takes our client's fragments; characters may be cut between them.
pub async fn server_takes_fragments(language: Language) {
    let (_process, port) = language.echo_server(&[]).await;
    let mut ws = ours_to(port).await;
    for message in [Message::from(text(100_000)), Message::from(binary(100_000))] {
        for size in [1, 3, 125, 126, 65_535, 65_536] {
            // Not a hundred thousand frames of one byte.
            let message = if size < 100 { cut(&message, 60) } else { message.clone() };
            let mut writer = within("a writer", ws.begin(message.kind())).await.expect("an open connection");
            for piece in message.as_bytes().chunks(size) {
                within("a piece", writer.write(piece.to_vec())).await.expect("an open connection");
            }
            within("the last piece", writer.finish(Vec::new())).await.expect("an open connection");
            assert_same(&within("an echo", ws.recv()).await.expect("a message"), &message);
        }
    }
    close(ws).await;
}

fn cut(message: &Message, length: usize) -> Message {
    match message {
        Message::Text(_) => text(length).into(),
        Message::Binary(_) => binary(length).into(),
    }
}

/// Their server answers our client's pings, also those that it sends by itself.
pub async fn server_answers_pings(language: Language) {
    let (_process, port) = language.echo_server(&[]).await;
    let mut ws = ours_to(port).await;
    for _ in 0..10 {
        within("a pong", ws.ping()).await.expect("an open connection");
    }
    close(ws).await;

    let pings = Config::new().ping_interval(Some(Duration::from_millis(50))).pong_timeout(DEADLINE);
    let ws = connect(format!("ws://127.0.0.1:{port}")).config(pings);
    let mut ws = within("a connection", ws.into_future()).await.expect("a connection");
    let mut answered = 0;
    while answered < 5 {
        match within("a pong", ws.recv_event()).await {
            Some(Event::Pong { latency: Some(_), .. }) => answered += 1,
            other => panic!("{other:?}, {:?}", ws.ended()),
        }
    }
    close(ws).await;
}

/// Their server echoes our client's close codes.
pub async fn server_is_closed_by_our_client(language: Language) {
    let (_process, port) = language.echo_server(&[]).await;
    for number in CODES {
        let mut ws = ours_to(port).await;
        ws.send("last").await.expect("an open connection");
        let ended = within("a closing handshake", ws.close(code(number), &reason(number))).await;
        assert_eq!(ended, Ended::ClosedByUs { code: code(number), clean: true });
    }
    // Forgotten, it is closed all the same.
    drop(ours_to(port).await);
}

/// A server that is killed leaves an end without a close frame.
pub async fn server_is_killed(language: Language) {
    let (process, port) = language.echo_server(&[]).await;
    let mut ws = ours_to(port).await;
    ws.send("x").await.expect("an open connection");
    assert_eq!(within("an echo", ws.recv()).await, Some("x".into()));
    drop(process);
    assert_eq!(within("the end", ws.recv()).await, None);
    let ended = ws.ended().expect("an end");
    assert!(matches!(ended, Ended::TransportClosed | Ended::TransportFailed), "{ended}");
    assert_eq!(ended.close_code(), CloseCode::ABNORMAL);
}

/// Many messages under way at once, back-pressure both ways.
pub async fn server_echoes_in_order(language: Language) {
    let (_process, port) = language.echo_server(&[]).await;
    let (sender, mut receiver) = ours_to(port).await.split();
    let sent = || (0..400_usize).map(|n| Message::from(binary((n * n) % 100_000)));
    let sending = tokio::spawn(async move {
        for message in sent() {
            sender.send(message).await.expect("an open connection");
        }
        sender
    });
    for message in sent() {
        let answer = within("an echo", receiver.recv()).await.expect("a message");
        assert_same(&answer, &message);
    }
    let sender = within("the sender", sending).await.expect("no panic");
    let ended = within("a closing handshake", sender.close(CloseCode::NORMAL, "")).await;
    assert!(ended.is_clean(), "{ended}");
}

/// What their server selects of our offer.
pub async fn server_selects_a_subprotocol(language: Language) {
    let (_process, port) = language.echo_server(&["--subprotocol", "v2", "--subprotocol", "v1"]).await;
    let offer = |names: &[&str]| {
        let offer = connect(format!("ws://127.0.0.1:{port}"));
        names.iter().fold(offer, |offer, name| offer.subprotocol(*name)).into_future()
    };
    for (offered, selected) in [(&["v1"][..], "v1"), (&["v9", "v2"], "v2")] {
        let mut ws = within("a connection", offer(offered)).await.expect("a connection");
        assert_eq!(ws.info().subprotocol.as_deref(), Some(selected));
        ws.send("x").await.expect("an open connection");
        assert_eq!(within("an echo", ws.recv()).await, Some("x".into()));
    }
    // Python's server wants one of its own, Node's goes on without.
    for offered in [&[][..], &["v9"]] {
        match (language, within("an answer", offer(offered)).await) {
            (Language::Python, Err(ConnectError::Refused(refused))) => assert_eq!(refused.status(), 400),
            (Language::Node, Ok(ws)) => assert_eq!(ws.info().subprotocol, None),
            (_, other) => panic!("{other:?}"),
        }
    }
}

/// Our client over TLS, with a private authority.
pub async fn server_over_tls(language: Language) {
    let certificates = Certificates::new();
    let (cert, key) = (certificates.cert.display().to_string(), certificates.key.display().to_string());
    let (_process, port) = language.echo_server(&["--ssl-cert", &cert, "--ssl-key", &key]).await;
    let ca = std::fs::read(&certificates.ca).expect("the authority's certificate");
    for host in ["127.0.0.1", "localhost"] {
        let uri = format!("wss://{host}:{port}/");
        let mut ws = within("a connection", connect(&uri).ca(&ca).into_future()).await.expect("a connection");
        exchange(&mut ws).await;
        close(ws).await;
        let ws = within("a connection", connect(&uri).dangerous_no_verify().into_future()).await.expect("a connection");
        close(ws).await;
        let strangers = within("an error", connect(&uri).into_future()).await;
        assert!(matches!(strangers, Err(ConnectError::Tls { .. })), "{:?}", strangers.err());
    }
    let plain = within("an answer", connect(format!("ws://127.0.0.1:{port}")).into_future()).await;
    assert!(plain.is_err(), "{plain:?}");
}

/// Makes a test of each scenario, for one language.
#[macro_export]
macro_rules! scenarios {
    ($language:expr; $($name:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $name() {
                $crate::peers::scenarios::$name($language).await;
            }
        )*
    };
}
