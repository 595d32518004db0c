//! Sessions: client certificates, data both ways, memory, ends, and futures that are dropped.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use embedded_io_adapters::tokio_1::FromTokio;
use embedded_io_async::{Read, Write};
use rustls::ServerConfig;
use tautline_device_tls::{Buffers, Error, MIN_READ_BUFFER, MIN_WRITE_BUFFER, READ_BUFFER, Settings, open};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::handmade::{DATA, Handmade};
use crate::world::{
    Ca, DeviceSession, HOST, configured, connect, device_params, dns, identity, pipe, pipe_of, random, run, server,
    settings, strict_server,
};

/// What a device has after the handshake.
type Opened<'a> = Result<DeviceSession<'a>, Error>;

/// A device of a lab and a server of rustls, each doing what it is told.
fn meet<T, U>(
    (read, write): (usize, usize),
    change: impl FnOnce(&mut ServerConfig),
    device: impl AsyncFnOnce(Opened<'_>) -> T,
    serve: impl AsyncFnOnce(TlsStream<DuplexStream>) -> U,
) -> (T, Option<U>) {
    let ca = Ca::new("Lab CA");
    let issued = ca.server();
    let mut config = configured(&[&issued.der], &issued.key, None);
    change(&mut config);
    run(async {
        let (mut wire, far) = pipe();
        let authority = ca.authority();
        let settings = settings(HOST, &authority);
        let near = async {
            let (mut read, mut write) = (vec![0; read], vec![0; write]);
            let buffers = Buffers { read: &mut read, write: &mut write };
            let mut wire = std::mem::replace(&mut wire, pipe().0);
            device(open(&mut wire, buffers, &settings, random()).await).await
        };
        let far = async {
            match TlsAcceptor::from(Arc::new(config)).accept(far).await {
                Ok(stream) => Some(serve(stream).await),
                Err(_) => None,
            }
        };
        tokio::join!(near, far)
    })
}

const USUAL: (usize, usize) = (READ_BUFFER, 1536);

#[test]
fn a_server_that_asks_for_it_sees_the_device_s_certificate() {
    let (ca, devices) = (Ca::new("Servers"), Ca::new("Devices"));
    let device = devices.device("ESP Client 1");
    let authority = ca.authority();
    let identity = identity(&device);
    assert_eq!(identity.name(), Some("ESP Client 1"));
    let settings = Settings { identity: Some(&identity), ..settings(HOST, &authority) };
    let seen = connect(strict_server(&ca.server(), &devices), &settings).unwrap();
    assert_eq!(tautline_identity::client_name(&seen.certificate).as_deref(), Ok("ESP Client 1"));
    assert_eq!(seen.certificates, 1);
    // Where nobody asks, it is not shown.
    let issued = ca.server();
    assert_eq!(connect(server(&[&issued.der], &issued.key), &settings).unwrap().certificates, 0);
}

#[test]
fn rfc8446_4_4_2_4_a_device_that_is_not_welcome_learns_it_with_its_first_read() {
    let (ca, devices, others) = (Ca::new("Servers"), Ca::new("Devices"), Ca::new("Others"));
    let strict = strict_server(&ca.server(), &devices);
    let authority = ca.authority();
    let settings = settings(HOST, &authority);
    assert_eq!(connect(strict.clone(), &settings).map(drop), Err(Error::Aborted));
    let foreign = others.device("Mallory");
    let identity = identity(&foreign);
    let settings = Settings { identity: Some(&identity), ..settings };
    assert_eq!(connect(strict, &settings).map(drop), Err(Error::Aborted));
}

#[test]
fn rfc6066_3_a_name_is_told_to_the_server_and_an_address_is_not() {
    let ca = Ca::new("Lab CA");
    let issued = ca.server();
    let authority = ca.authority();
    for (host, told) in [("hub.local.", Some("hub.local".to_owned())), ("192.0.2.7", None)] {
        let seen = connect(server(&[&issued.der], &issued.key), &settings(host, &authority)).unwrap();
        assert_eq!(seen.name, told);
    }
}

/// Bytes of which none is like its neighbours.
fn long(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 31 % 251) as u8).collect()
}

/// The device sends as much as the server does, at the same time.
fn exchange(memory: (usize, usize), record: Option<usize>) {
    let sent = long(200_000);
    let device = async |session: Opened<'_>| {
        let mut session = session.unwrap();
        let (mut reader, mut writer) = session.split();
        let write = async {
            writer.write_all(&sent).await.unwrap();
            writer.flush().await.unwrap();
        };
        let mut received = vec![0; sent.len()];
        let read = async { reader.read_exact(&mut received).await.unwrap() };
        tokio::join!(write, read);
        received == sent
    };
    let serve = async |stream: TlsStream<DuplexStream>| {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let write = async {
            writer.write_all(&sent).await.unwrap();
            writer.flush().await.unwrap();
        };
        let mut received = vec![0; sent.len()];
        let read = async { reader.read_exact(&mut received).await.map(drop).unwrap() };
        tokio::join!(write, read);
        received == sent
    };
    let limit = |config: &mut ServerConfig| config.max_fragment_size = record;
    assert_eq!(meet(memory, limit, device, serve), (true, Some(true)));
}

#[test]
fn long_messages_go_both_ways_at_once() {
    exchange(USUAL, None);
    exchange((READ_BUFFER + 1, 1 << 16), None);
}

#[test]
fn the_smallest_memory_is_enough_for_a_server_with_short_records() {
    exchange((MIN_READ_BUFFER, MIN_WRITE_BUFFER), Some(4096 + 5));
}

#[test]
fn a_record_that_does_not_fit_ends_the_session() {
    let device = async |session: Opened<'_>| {
        let mut session = session.unwrap();
        let (mut reader, _writer) = session.split();
        reader.read(&mut [0; 64]).await
    };
    let serve = async |mut stream: TlsStream<DuplexStream>| {
        stream.write_all(&long(16_000)).await.unwrap();
        stream.flush().await.unwrap();
    };
    let (read, _) = meet((MIN_READ_BUFFER, MIN_WRITE_BUFFER), |_| {}, device, serve);
    assert_eq!(read, Err(Error::Room));
}

#[test]
fn memory_below_the_minimum_is_refused() {
    for memory in [(MIN_READ_BUFFER - 1, MIN_WRITE_BUFFER), (MIN_READ_BUFFER, MIN_WRITE_BUFFER - 1), (0, 0)] {
        let device = async |session: Opened<'_>| session.map(drop);
        assert_eq!(meet(memory, |_| {}, device, async |_| ()).0, Err(Error::Room));
    }
}

#[test]
fn a_certificate_that_does_not_fit_into_the_memory_is_an_error() {
    let (ca, devices) = (Ca::new("Servers"), Ca::new("Devices"));
    let mut params = device_params("ESP Client 1");
    params.subject_alt_names = (0..40).map(|n| dns(&format!("device{n}.local"))).collect();
    let device = devices.sign(&params);
    let identity = identity(&device);
    let authority = ca.authority();
    let settings = Settings { identity: Some(&identity), ..settings(HOST, &authority) };
    let strict = strict_server(&ca.server(), &devices);
    let outcome = run(async {
        let (mut wire, far) = pipe();
        let (mut read, mut write) = ([0; MIN_READ_BUFFER], [0; MIN_WRITE_BUFFER]);
        let buffers = Buffers { read: &mut read, write: &mut write };
        let serve = TlsAcceptor::from(strict).accept(far);
        let device = async {
            let outcome = open(&mut wire, buffers, &settings, random()).await.map(drop);
            drop(wire);
            outcome
        };
        tokio::join!(device, serve).0
    });
    assert_eq!(outcome, Err(Error::Room));
}

#[test]
fn the_end_of_a_session_is_told_from_a_cut() {
    let device = async |session: Opened<'_>| {
        let mut session = session.unwrap();
        let (mut reader, mut writer) = session.split();
        let read = reader.read(&mut [0; 64]).await;
        // Again, the same; and nothing can be written into a session that is over.
        (read, reader.read(&mut [0; 64]).await, writer.write(b"late").await)
    };
    let ended = async |mut stream: TlsStream<DuplexStream>| stream.shutdown().await.unwrap();
    assert_eq!(meet(USUAL, |_| {}, device, ended).0, (Ok(0), Ok(0), Err(Error::Over)));

    let device = async |session: Opened<'_>| {
        let mut session = session.unwrap();
        let (mut reader, _writer) = session.split();
        (reader.read(&mut [0; 64]).await, reader.read(&mut [0; 64]).await)
    };
    let cut = async |stream: TlsStream<DuplexStream>| drop(stream);
    assert_eq!(meet(USUAL, |_| {}, device, cut).0, (Err(Error::Ended), Err(Error::Over)));
}

#[test]
fn closing_tells_the_server() {
    let close = async |session: Opened<'_>| {
        let mut session = session.unwrap();
        let (mut reader, mut writer) = session.split();
        reader.read(&mut [0]).await.unwrap();
        // What was written and not flushed goes out before.
        writer.write_all(b"last words").await.unwrap();
        session.close().await
    };
    let serve = async |mut stream: TlsStream<DuplexStream>| {
        // The device leaves only after this, when the server has nothing more to say.
        stream.write_all(b"!").await.unwrap();
        stream.flush().await.unwrap();
        let mut received = vec![];
        stream.read_to_end(&mut received).await.map(|_| received).map_err(|error| error.kind())
    };
    assert_eq!(meet(USUAL, |_| {}, close, serve), (Ok(()), Some(Ok(b"last words".to_vec()))));

    let cut = async |session: Opened<'_>| session.unwrap().split().0.read(&mut [0]).await.map(drop).unwrap();
    assert_eq!(meet(USUAL, |_| {}, cut, serve).1, Some(Err(std::io::ErrorKind::UnexpectedEof)));
}

#[test]
fn closing_after_the_server_has_sends_nothing() {
    let device = async |session: Opened<'_>| {
        let mut session = session.unwrap();
        let read = session.split().0.read(&mut [0; 64]).await;
        (read, session.close().await)
    };
    let serve = async |mut stream: TlsStream<DuplexStream>| {
        stream.shutdown().await.unwrap();
        let (mut socket, _) = stream.into_inner();
        let mut rest = vec![];
        socket.read_to_end(&mut rest).await.unwrap();
        rest
    };
    assert_eq!(meet(USUAL, |_| {}, device, serve), ((Ok(0), Ok(())), Some(vec![])));
}

/// Polls a future once.
async fn once<T>(future: impl Future<Output = T>) -> Poll<T> {
    let mut future = pin!(future);
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}

/// An open session with the handmade server, over a pipe that holds `room` bytes.
fn with_handmade(room: usize, test: impl AsyncFnOnce(DeviceSession<'_>, Handmade)) {
    let ca = Ca::new("Lab CA");
    let issued = ca.server();
    run(async {
        let (mut wire, far) = pipe_of(room);
        let (mut read, mut write) = ([0; MIN_READ_BUFFER], [0; MIN_WRITE_BUFFER]);
        let buffers = Buffers { read: &mut read, write: &mut write };
        let authority = ca.authority();
        let settings = settings(HOST, &authority);
        let serve = async {
            let mut server = Handmade::hello(far, |_| {}).await;
            server.introduce(&issued.der, &issued.key).await;
            server.finish().await;
            server
        };
        let (session, server) = tokio::join!(open(&mut wire, buffers, &settings, random()), serve);
        test(session.unwrap(), server).await;
    });
}

#[test]
fn a_read_that_is_dropped_before_a_record_begins_loses_nothing() {
    with_handmade(4096, async |mut session, mut server| {
        let (mut reader, _writer) = session.split();
        let mut bytes = [0; 64];
        assert!(once(reader.read(&mut bytes)).await.is_pending());
        // Neither does one that is dropped within a record's header.
        let record = server.seal([&b"hello"[..], &[DATA]].concat());
        for byte in &record[..5] {
            assert!(once(reader.read(&mut bytes)).await.is_pending());
            server.raw(&[*byte]).await;
        }
        server.raw(&record[5..]).await;
        assert_eq!(reader.read(&mut bytes).await, Ok(5));
        assert_eq!(&bytes[..5], b"hello");
    });
}

#[test]
fn a_read_that_is_dropped_inside_a_record_ends_the_session() {
    with_handmade(4096, async |mut session, mut server| {
        let (mut reader, _writer) = session.split();
        let record = server.seal([&b"hello"[..], &[DATA]].concat());
        server.raw(&record[..7]).await;
        assert!(once(reader.read(&mut [0; 64])).await.is_pending());
        server.raw(&record[7..]).await;
        assert_eq!(reader.read(&mut [0; 64]).await, Err(Error::Over));
    });
}

#[test]
fn a_write_that_is_dropped_ends_the_session_as_its_nonce_must_not_be_used_again() {
    // What the handshake leaves in the pipe, since nobody reads there, and then some room, but not for a record.
    with_handmade(256, async |mut session, _server| {
        let (_reader, mut writer) = session.split();
        writer.write_all(&[7; 300]).await.unwrap();
        assert!(once(writer.flush()).await.is_pending());
        assert_eq!(writer.write(b"again").await, Err(Error::Over));
        assert_eq!(writer.flush().await, Err(Error::Over));
        assert_eq!(session.close().await, Err(Error::Over));
    });
}

#[test]
fn the_same_socket_and_memory_serve_one_session_after_the_other() {
    let ca = Ca::new("Lab CA");
    let issued = ca.server();
    let authority = ca.authority();
    let settings = settings(HOST, &authority);
    let (mut wire, _) = pipe();
    let (mut read, mut write) = ([0; MIN_READ_BUFFER], [0; MIN_WRITE_BUFFER]);
    for _ in 0..3 {
        let (near, far) = tokio::io::duplex(4096);
        *wire.socket() = FromTokio::new(near);
        run(async {
            let buffers = Buffers { read: &mut read, write: &mut write };
            let serve = async {
                let mut server = Handmade::hello(far, |_| {}).await;
                server.introduce(&issued.der, &issued.key).await;
                server.finish().await;
                server
            };
            let (session, mut server) = tokio::join!(open(&mut wire, buffers, &settings, random()), serve);
            let mut session = session.unwrap();
            // It ends where it hurts most: in the middle of a record, with something written and not sent.
            let (mut reader, mut writer) = session.split();
            writer.write_all(b"lost").await.unwrap();
            let record = server.seal(vec![DATA; 40]);
            server.raw(&record[..20]).await;
            assert!(once(reader.read(&mut [0; 64])).await.is_pending());
        });
    }
}
