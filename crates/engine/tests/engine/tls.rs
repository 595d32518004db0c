//! Connections over TLS: the handshake is done by the test, over the blocking socket, as by whoever hands over.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, OnceLock};

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use tautline_engine::{Connection, Handover, Host, Request, Shown};
use tautline_proto::app::Message;
use tautline_proto::{CloseCode, Ended, OpCode, Violation};

use crate::support::{Client, Happened, LIMIT, Recorder, admit, ask, counted, engine, frame, handover, pair, text};

type Stream = StreamOwned<ClientConnection, TcpStream>;

const HEAD: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";

fn configs() -> (Arc<ClientConfig>, Arc<ServerConfig>) {
    static CONFIGS: OnceLock<(Arc<ClientConfig>, Arc<ServerConfig>)> = OnceLock::new();
    CONFIGS
        .get_or_init(|| {
            let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            let certificate = made.cert.der().clone();
            let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
            let mut roots = RootCertStore::empty();
            roots.add(certificate.clone()).unwrap();
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let client = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
            let client = client.unwrap().with_root_certificates(roots).with_no_client_auth();
            let server = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
            let server = server.unwrap().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
            (Arc::new(client), Arc::new(server))
        })
        .clone()
}

/// Does the handshakes of both sides, and hands over. The client sends `early` together with the head of its request, so
/// that they lie inside the session when that moves.
fn connect<A: ?Sized>(host: &Host<A>, early: &[u8]) -> (Connection, Client<Stream>) {
    let (client_config, server_config) = configs();
    let (mut server, client) = pair();
    server.set_nonblocking(false).unwrap();
    server.set_read_timeout(Some(LIMIT)).unwrap();
    let first = [HEAD, early].concat();
    let client = std::thread::spawn(move || {
        let session = ClientConnection::new(client_config, ServerName::try_from("localhost").unwrap()).unwrap();
        let mut stream = StreamOwned::new(session, client);
        stream.write_all(&first).unwrap();
        stream.flush().unwrap();
        let mut answer = vec![0; ANSWER.len()];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, ANSWER);
        stream
    });
    let mut session = ServerConnection::new(server_config).unwrap();
    let mut head = vec![0; HEAD.len()];
    rustls::Stream::new(&mut session, &mut server).read_exact(&mut head).unwrap();
    assert_eq!(head, HEAD);
    rustls::Stream::new(&mut session, &mut server).write_all(ANSWER).unwrap();
    assert!(!session.is_handshaking());
    let client = client.join().unwrap();
    server.set_nonblocking(true).unwrap();
    let handover = Handover { tls: Some(session), ..handover(server) };
    (admit(host, "/").expect("admitted").adopt(handover), Client::new(client))
}

#[test]
fn a_connection_is_served_and_closed() {
    let engine = engine(1);
    let (app, record) = Recorder::echo();
    let host = engine.host(0, app);
    let (connection, mut client) = connect(&host, &[]);
    for message in ["hello", "", "again"] {
        client.send(message);
        assert_eq!(client.text(), message);
    }
    client.close(1000);
    assert_eq!(client.closed(), 1000);
    // A session that ended without saying so would be an error.
    assert_eq!(client.frame().expect("a proper end"), None);
    let ended = Ended::ClosedByPeer { code: CloseCode::NORMAL, clean: true };
    assert_eq!(record.closed(connection.id()), Some(ended));
    assert_eq!(engine.drain(CloseCode::GOING_AWAY, LIMIT).unwrap(), 0);
}

#[test]
fn what_lies_inside_the_session_when_it_moves_is_handled() {
    let engine = engine(1);
    let host = engine.host(0, Recorder::echo().0);
    for count in [1, 3, 200] {
        let early: Vec<u8> = (0..count).flat_map(|number| text(&number.to_string())).collect();
        let (_, mut client) = connect(&host, &early);
        for number in 0..count {
            assert_eq!(client.text(), number.to_string());
        }
        client.send("late");
        assert_eq!(client.text(), "late");
    }
}

#[test]
fn a_frame_may_lie_half_inside_the_session_when_it_moves() {
    let engine = engine(1);
    let host = engine.host(0, Recorder::echo().0);
    let whole = text("cut in the middle");
    for cut in [1, 2, 5, 6, 10] {
        let (_, mut client) = connect(&host, &whole[..cut]);
        client.send_bytes(&whole[cut..]);
        assert_eq!(client.text(), "cut in the middle", "at {cut}");
    }
}

#[test]
fn large_messages_go_both_ways() {
    let engine = engine(1);
    let host = engine.host(0, Recorder::echo().0);
    for len in [20_000, 1024 * 1024, 8 * 1024 * 1024] {
        let payload: Vec<u8> = (0..len as u32).map(|at| (at / 5) as u8).collect();
        let (_, mut client) = connect(&host, &[]);
        // The engine keeps the message until it is whole: nothing comes back before all of it is sent.
        client.send_bytes(&frame(OpCode::Binary, &payload));
        assert!(client.message() == payload, "{len} bytes");
    }
}

#[test]
fn a_large_message_may_begin_inside_the_session_when_it_moves() {
    let engine = engine(1);
    let host = engine.host(0, Recorder::echo().0);
    let payload: Vec<u8> = (0..500_000u32).map(|at| (at / 5) as u8).collect();
    let whole = frame(OpCode::Binary, &payload);
    let (_, mut client) = connect(&host, &whole[..3000]);
    client.send_bytes(&whole[3000..]);
    assert!(client.message() == payload);
}

#[test]
fn many_small_records_are_all_handled_and_answered_in_order() {
    const MESSAGES: usize = 5000;
    let engine = engine(1);
    let host = engine.host(0, Recorder::echo().0);
    let (_, mut client) = connect(&host, &[]);
    for number in 0..MESSAGES {
        // A record each.
        client.send(&number.to_string());
    }
    for number in 0..MESSAGES {
        assert_eq!(client.text(), number.to_string());
    }
    let counters = counted(&engine, 0, |counters| counters.messages_out == MESSAGES as u64);
    assert!(counters.reads <= 3 * MESSAGES as u64);
}

#[test]
fn a_client_that_does_not_read_gets_everything_later() {
    const CHUNKS: usize = 40;
    let engine = engine(1);
    let (app, record) = Recorder::new(|io, happened| {
        if let Happened::Text(id, _) = happened {
            for number in 0..CHUNKS {
                io.send(*id, Message::Binary(&vec![number as u8; 300_000]));
            }
        }
    });
    let host = engine.host(0, app);
    let profile =
        tautline_engine::Profile::new(tautline_proto::Config::new().ping_interval(None)).send_queue(usize::MAX);
    let (connection, mut client) = {
        // As `connect`, but with a queue that takes all of it.
        let (connection, client) = connect_with(&host, Arc::new(profile));
        (connection, client)
    };
    client.send("go");
    record.until(|happened| matches!(happened, Happened::Text(..)).then_some(()));
    connection.send(Message::Text("behind everything")).unwrap();
    for number in 0..CHUNKS {
        assert!(client.message() == vec![number as u8; 300_000]);
    }
    assert_eq!(client.text(), "behind everything");
    client.send_bytes(&frame(OpCode::Ping, b"?"));
    assert_eq!(client.frame().unwrap(), Some((OpCode::Pong, b"?".to_vec())));
}

fn connect_with<A: ?Sized>(host: &Host<A>, profile: Arc<tautline_engine::Profile>) -> (Connection, Client<Stream>) {
    let (client_config, server_config) = configs();
    let (mut server, mut tcp) = pair();
    server.set_nonblocking(false).unwrap();
    let handshake = std::thread::spawn(move || {
        let mut session = ServerConnection::new(server_config).unwrap();
        while session.is_handshaking() {
            session.complete_io(&mut server).unwrap();
        }
        (session, server)
    });
    let mut session = ClientConnection::new(client_config, ServerName::try_from("localhost").unwrap()).unwrap();
    while session.is_handshaking() {
        session.complete_io(&mut tcp).unwrap();
    }
    let (tls, server) = handshake.join().unwrap();
    server.set_nonblocking(true).unwrap();
    let handover = Handover { tls: Some(tls), ..handover(server) };
    let request = Request { profile, ..Request::default() };
    (ask(host, request).expect("admitted").adopt(handover), Client::new(StreamOwned::new(session, tcp)))
}

#[test]
fn messages_before_a_close_notify_are_answered() {
    let engine = engine(1);
    let (app, record) = Recorder::echo();
    let host = engine.host(0, app);
    let (connection, mut client) = connect(&host, &[]);
    client.transport.conn.writer().write_all(&[text("1"), text("2")].concat()).unwrap();
    client.transport.conn.send_close_notify();
    client.transport.flush().unwrap();
    client.transport.sock.shutdown(Shutdown::Write).unwrap();
    assert_eq!([client.text(), client.text()], ["1", "2"]);
    assert_eq!(record.closed(connection.id()), Some(Ended::TransportClosed));
    assert_eq!(client.frame().expect("a proper end"), None);
}

#[test]
fn a_close_notify_alone_ends_a_connection() {
    let engine = engine(1);
    let (app, record) = Recorder::echo();
    let host = engine.host(0, app);
    let (connection, mut client) = connect(&host, &[]);
    client.transport.conn.send_close_notify();
    client.transport.flush().unwrap();
    assert_eq!(record.closed(connection.id()), Some(Ended::TransportClosed));
    client.ends();
}

#[test]
fn a_session_that_ends_without_a_word_is_closed_once_and_what_came_before_counts() {
    let engine = engine(1);
    let (app, record) = Recorder::echo();
    let host = engine.host(0, app);
    let (connection, mut client) = connect(&host, &[]);
    client.send("last words");
    client.transport.sock.shutdown(Shutdown::Both).unwrap();
    let id = connection.id();
    let heard = record.until(|happened| if let Happened::Text(_, text) = happened { Some(text.clone()) } else { None });
    assert_eq!(heard, "last words");
    assert!(record.closed(id).is_some_and(|ended| !ended.is_clean()));
    drop(engine);
    assert_eq!(record.rest(), [Happened::Dropped]);
}

#[test]
fn a_message_before_a_broken_record_is_delivered() {
    let engine = engine(1);
    let (app, record) = Recorder::new(|_, _| {});
    let host = engine.host(0, app);
    let (connection, mut client) = connect(&host, &[]);
    // Both in one write, so that they come in one read.
    client.transport.conn.writer().write_all(&text("last words")).unwrap();
    let mut records = Vec::new();
    while client.transport.conn.wants_write() {
        client.transport.conn.write_tls(&mut records).unwrap();
    }
    records.extend([23, 3, 3, 0, 32]);
    records.extend([0; 32]);
    client.transport.sock.write_all(&records).unwrap();
    let id = connection.id();
    let next = record.until(|happened| match happened {
        Happened::Text(_, text) => Some(Ok(text.clone())),
        Happened::Closed(_, ended) => Some(Err(*ended)),
        _ => None,
    });
    assert_eq!(next, Ok("last words".into()));
    assert_eq!(record.closed(id), Some(Ended::TransportFailed));
}

#[test]
fn a_client_that_breaks_a_rule_is_told_and_the_session_ends_properly() {
    let engine = engine(1);
    let (app, record) = Recorder::echo();
    let host = engine.host(0, app);
    let (connection, mut client) = connect(&host, &[]);
    client.send_bytes(b"\x81\x01x");
    client.send_bytes(&vec![0; 300_000]);
    assert_eq!(client.closed(), 1002);
    assert_eq!(client.frame().expect("a proper end"), None);
    client.transport.sock.shutdown(Shutdown::Write).unwrap();
    assert_eq!(record.closed(connection.id()), Some(Ended::Violation(Violation::NotMasked)));
    counted(&engine, 0, |counters| counters.closed == 1);
}

#[test]
fn several_sessions_are_not_mixed_up() {
    let engine = engine(2);
    let hosts = engine.host_on_all(|_| Recorder::echo().0);
    let clients: Vec<_> =
        (0..8).map(|number| (number, connect(&hosts[number % 2], &text(&format!("{number} early"))).1)).collect();
    let clients: Vec<_> = clients
        .into_iter()
        .map(|(number, mut client)| {
            std::thread::spawn(move || {
                assert_eq!(client.text(), format!("{number} early"));
                for message in 0..100 {
                    let message = format!("{number} {message:0>2000}");
                    client.send(&message);
                    assert_eq!(client.text(), message);
                }
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
}

#[test]
fn sessions_are_closed_by_what_is_known_of_them() {
    let engine = engine(2);
    let hosts = engine.host_on_all(|_| Recorder::echo().0);
    let (_, mut secure) = connect(&hosts[0], &[]);
    let (_, mut plain) = crate::support::connect(&hosts[1]);
    engine.close_sessions(|session| session.server_name() == Some("nobody"), CloseCode::GOING_AWAY, "");
    secure.send("still here");
    assert_eq!(secure.text(), "still here");
    engine.close_sessions(
        |session| session.protocol_version().is_some(),
        CloseCode::POLICY_VIOLATION,
        "the certificate is revoked",
    );
    assert_eq!(secure.closed(), 1008);
    plain.send("so am I");
    assert_eq!(plain.text(), "so am I");
}

#[test]
fn who_looks_at_a_connection_sees_what_is_inside_of_tls() {
    let engine = engine(1);
    let host = engine.host(0, Recorder::echo().0);
    let (connection, mut client) = connect(&host, &[]);
    client.send("before");
    assert_eq!(client.text(), "before");
    let (tell, told) = std::sync::mpsc::channel();
    host.connections(None, 9, move |connections| tell.send(connections).unwrap());
    let overview = told.recv_timeout(LIMIT).unwrap().remove(0);
    assert_eq!(overview.id, connection.id());
    assert_eq!(overview.session.map(|(version, _)| version), Some(rustls::ProtocolVersion::TLSv1_3));
    let (tell, seen) = std::sync::mpsc::channel();
    let inspection = engine.inspect(connection.id(), move |shown| tell.send(shown).unwrap()).unwrap();
    assert_eq!(seen.recv_timeout(LIMIT), Ok(Shown::Begun));
    let long = "x".repeat(100_000);
    client.send(&long);
    assert!(client.text() == long);
    let [received, sent] = std::array::from_fn(|_| match seen.recv_timeout(LIMIT) {
        Ok(Shown::Frame(frame)) => frame,
        other => panic!("{other:?}"),
    });
    assert_eq!((received.mask.is_some(), received.len, sent.mask, sent.len), (true, 100_000, None, 100_000));
    assert!(received.payload == sent.payload && sent.payload == long.as_bytes()[..256]);
    drop(inspection);
    client.send("after");
    assert_eq!(client.text(), "after");
    assert_eq!(seen.recv_timeout(LIMIT).ok(), None, "nobody is left who tells");
}
