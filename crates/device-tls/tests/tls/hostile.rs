//! Servers, and people in between, that break the rules. None of them gets a session, and none makes the device panic.

use std::pin::pin;
use std::task::Poll;

use embedded_io_async::Read;
use tautline_device_tls::{Buffers, Error, MIN_READ_BUFFER, Untrusted, open};
use tokio::io::AsyncWriteExt;

use crate::handmade::{
    ALERT, CERTIFICATE, CERTIFICATE_REQUEST, CERTIFICATE_VERIFY, DATA, ENCRYPTED_EXTENSIONS, FINISHED, HANDSHAKE,
    Handmade, KEY_UPDATE, NEW_SESSION_TICKET, Spoil, chain, message, plain,
};
use crate::world::{Ca, DeviceSession, HOST, Issued, pipe, random, run, settings};

/// A device shakes hands with a server that does as it is told; then `after` has the session.
fn meet<T>(
    ca: &Ca,
    serve: impl AsyncFnOnce(Handmade) -> Handmade,
    after: impl AsyncFnOnce(DeviceSession<'_>) -> T,
) -> Result<T, Error> {
    run(async {
        let (mut wire, far) = pipe();
        let (mut read, mut write) = ([0; MIN_READ_BUFFER], [0; 512]);
        let buffers = Buffers { read: &mut read, write: &mut write };
        let authority = ca.authority();
        let settings = settings(HOST, &authority);
        let device = async {
            let session = open(&mut wire, buffers, &settings, random()).await?;
            Ok(after(session).await)
        };
        let server = async { serve(Handmade::hello(far, |_| {}).await).await };
        let mut server = pin!(server);
        let mut device = pin!(device);
        // The server's end stays open until the device is done.
        let mut served = None;
        std::future::poll_fn(|context| {
            if served.is_none()
                && let Poll::Ready(end) = server.as_mut().poll(context)
            {
                served = Some(end);
            }
            device.as_mut().poll(context)
        })
        .await
    })
}

/// How the handshake ends.
fn opened(ca: &Ca, serve: impl AsyncFnOnce(Handmade) -> Handmade) -> Result<(), Error> {
    meet(ca, serve, async |_| ())
}

/// What the device reads from a decent server that then sends this.
fn received(send: impl AsyncFnOnce(&mut Handmade)) -> Result<Vec<u8>, Error> {
    let ca = Ca::new("Lab CA");
    let issued = ca.server();
    let serve = async |mut server: Handmade| {
        server.introduce(&issued.der, &issued.key).await;
        server.finish().await;
        send(&mut server).await;
        server
    };
    meet(&ca, serve, async |mut session| {
        let (mut reader, _writer) = session.split();
        let mut bytes = [0; 64];
        let outcome = reader.read(&mut bytes).await.map(|read| bytes[..read].to_vec());
        if outcome.is_err() {
            assert_eq!(reader.read(&mut bytes).await, Err(Error::Over), "an error is the end");
        }
        outcome
    })
    .unwrap()
}

fn lab() -> (Ca, Issued) {
    let ca = Ca::new("Lab CA");
    let issued = ca.server();
    (ca, issued)
}

#[test]
fn the_handmade_server_is_right_when_it_means_to() {
    assert_eq!(received(async |server| server.send(DATA, b"hello").await), Ok(b"hello".to_vec()));
}

#[test]
fn a_server_that_shows_no_certificate_is_refused() {
    let (ca, _) = lab();
    let outcome = opened(&ca, async |mut server| {
        server.handshake(ENCRYPTED_EXTENSIONS, &[0, 0]).await;
        server.finish().await;
        server
    });
    assert_eq!(outcome, Err(Error::Untrusted(Untrusted::Missing)));
    let outcome = opened(&ca, async |mut server| {
        server.handshake(ENCRYPTED_EXTENSIONS, &[0, 0]).await;
        server.handshake(CERTIFICATE, &[0, 0, 0, 0]).await;
        server.finish().await;
        server
    });
    assert_eq!(outcome, Err(Error::Untrusted(Untrusted::Missing)));
}

#[test]
fn rfc8446_4_4_3_a_certificate_without_proof_is_refused() {
    let (ca, issued) = lab();
    let outcome = opened(&ca, async |mut server| {
        server.handshake(ENCRYPTED_EXTENSIONS, &[0, 0]).await;
        server.handshake(CERTIFICATE, &chain(&issued.der)).await;
        server.finish().await;
        server
    });
    assert_eq!(outcome, Err(Error::Untrusted(Untrusted::Unproven)));
}

#[test]
fn rfc8446_4_4_3_a_proof_that_was_tampered_with_is_refused() {
    let (ca, issued) = lab();
    let last = |proof: &mut Vec<u8>| *proof.last_mut().unwrap() ^= 1;
    // RSA-PSS instead of ECDSA: a scheme that was not offered.
    let scheme = |proof: &mut Vec<u8>| proof[..2].copy_from_slice(&[8, 4]);
    for (spoil, why) in [(&last as &dyn Fn(&mut Vec<u8>), Untrusted::Unproven), (&scheme, Untrusted::Algorithm)] {
        let outcome = opened(&ca, async |mut server| {
            server.handshake(ENCRYPTED_EXTENSIONS, &[0, 0]).await;
            server.handshake(CERTIFICATE, &chain(&issued.der)).await;
            let mut proof = server.proof(&issued.key);
            spoil(&mut proof);
            server.handshake(CERTIFICATE_VERIFY, &proof).await;
            server.finish().await;
            server
        });
        assert_eq!(outcome, Err(Error::Untrusted(why)));
    }
}

#[test]
fn a_proof_by_another_key_or_of_another_handshake_is_refused() {
    let (ca, issued) = lab();
    let other = ca.server();
    let by_another_key = opened(&ca, async |mut server| {
        server.introduce(&issued.der, &other.key).await;
        server.finish().await;
        server
    });
    assert_eq!(by_another_key, Err(Error::Untrusted(Untrusted::Unproven)));
    let of_another_handshake = opened(&ca, async |mut server| {
        let replayed = server.proof(&issued.key);
        server.handshake(ENCRYPTED_EXTENSIONS, &[0, 0]).await;
        server.handshake(CERTIFICATE, &chain(&issued.der)).await;
        server.handshake(CERTIFICATE_VERIFY, &replayed).await;
        server.finish().await;
        server
    });
    assert_eq!(of_another_handshake, Err(Error::Untrusted(Untrusted::Unproven)));
}

#[test]
fn a_second_certificate_is_refused() {
    let (ca, issued) = lab();
    let outcome = opened(&ca, async |mut server| {
        server.introduce(&issued.der, &issued.key).await;
        server.handshake(CERTIFICATE, &chain(&issued.der)).await;
        server.finish().await;
        server
    });
    assert_eq!(outcome, Err(Error::Untrusted(Untrusted::Unproven)));
}

#[test]
fn a_finished_that_is_wrong_is_refused() {
    let (ca, issued) = lab();
    let outcome = opened(&ca, async |mut server| {
        server.introduce(&issued.der, &issued.key).await;
        server.handshake(FINISHED, &[7; 32]).await;
        server
    });
    assert_eq!(outcome, Err(Error::Protocol));
}

#[test]
fn records_that_make_embedded_tls_panic_end_the_handshake() {
    let (ca, _) = lab();
    for inner in [vec![], vec![0], vec![0; 300], vec![99], vec![DATA]] {
        let outcome = opened(&ca, async |mut server| {
            server.encrypted(inner).await;
            server
        });
        assert_eq!(outcome, Err(Error::Record));
    }
}

#[test]
fn tickets_and_empty_records_are_passed_over() {
    let body = [&[0; 8][..], &[1, 7, 0, 2, 8, 8, 0, 0]].concat();
    let ticket = message(NEW_SESSION_TICKET, &body);
    let outcome = received(async |server| {
        server.send(HANDSHAKE, &ticket).await;
        server.send(HANDSHAKE, &[&ticket[..], &ticket].concat()).await;
        server.send(DATA, b"").await;
        server.encrypted([&b"hello"[..], &[DATA, 0, 0, 0]].concat()).await;
    });
    assert_eq!(outcome, Ok(b"hello".to_vec()));
}

#[test]
fn handshake_messages_have_no_place_in_an_open_session() {
    let ticket = message(NEW_SESSION_TICKET, &[0; 4]);
    for content in [
        message(CERTIFICATE_REQUEST, &[0, 0, 0]),
        message(ENCRYPTED_EXTENSIONS, &[0, 0]),
        message(FINISHED, &[0; 32]),
        message(KEY_UPDATE, &[0]),
        [&ticket[..], &message(FINISHED, &[0; 32])].concat(),
        [&ticket[..], &[1]].concat(),
        ticket[..7].to_vec(),
        vec![],
    ] {
        assert_eq!(received(async |server| server.send(HANDSHAKE, &content).await), Err(Error::Record), "{content:?}");
    }
}

#[test]
fn what_is_not_encrypted_has_no_place_in_an_open_session() {
    let finished = message(FINISHED, &[0; 32]);
    // A cut in disguise: the alert that ends a session, from anybody on the way.
    for record in [plain(HANDSHAKE, &finished), plain(ALERT, &[1, 0]), plain(20, &[1]), plain(0, &[]), plain(99, &[1])]
    {
        let outcome = received(async |server| server.raw(&record).await);
        assert_eq!(outcome, Err(Error::Protocol), "{record:?}");
    }
}

#[test]
fn records_that_are_too_long_or_changed_end_the_session() {
    assert_eq!(received(async |server| server.raw(&[DATA, 3, 3, 0xff, 0xff]).await), Err(Error::Protocol));
    assert_eq!(received(async |server| server.raw(&[DATA, 3, 3, 0x40, 0]).await), Err(Error::Room));
    assert_eq!(received(async |server| server.raw(&plain(DATA, &[7; 40])).await), Err(Error::Record));
    assert_eq!(received(async |server| server.raw(&plain(DATA, &[])).await), Err(Error::Record));
}

#[test]
fn alerts_of_an_open_session() {
    assert_eq!(received(async |server| server.send(ALERT, &[1, 0]).await), Ok(vec![]), "the end");
    assert_eq!(received(async |server| server.send(ALERT, &[2, 48]).await), Err(Error::Aborted));
    assert!(received(async |server| server.send(ALERT, &[2]).await).is_err());
    assert!(received(async |server| server.send(ALERT, &[9, 99]).await).is_err());
}

#[test]
fn no_changed_byte_of_the_handshake_gets_a_session() {
    let (ca, issued) = lab();
    let mut generator = fastrand::Rng::with_seed(8446);
    // Of four records: extensions, certificate, proof, Finished.
    for round in 0..120_u64 {
        let (at, bit, cut) = (generator.usize(..), generator.u8(..8), generator.bool() && generator.bool());
        let spoil: Spoil = Box::new(move |inner| {
            // The length of a Finished is the one thing without meaning: embedded-tls knows it anyway.
            let skipped = if inner[0] == FINISHED { 4 } else { 0 };
            let at = skipped + at % (inner.len() - skipped);
            if cut { inner.truncate(at) } else { inner[at] ^= 1 << bit }
        });
        let outcome = opened(&ca, async |mut server| {
            server.spoil = Some((round % 4, spoil));
            server.introduce(&issued.der, &issued.key).await;
            server.finish().await;
            // What was cut may leave the device waiting for more.
            server.hang_up().await;
            server
        });
        assert!(outcome.is_err(), "round {round}");
    }
}

#[test]
fn no_changed_hello_makes_the_device_panic() {
    let (ca, issued) = lab();
    let authority = ca.authority();
    let mut generator = fastrand::Rng::with_seed(8446);
    for _ in 0..120 {
        let (at, bit, cut) = (generator.usize(..), generator.u8(..8), generator.bool());
        let spoil = move |hello: &mut Vec<u8>| {
            let at = at % hello.len();
            if cut { hello.truncate(at) } else { hello[at] ^= 1 << bit }
        };
        run(async {
            let (mut wire, far) = pipe();
            let (mut read, mut write) = ([0; MIN_READ_BUFFER], [0; 512]);
            let buffers = Buffers { read: &mut read, write: &mut write };
            let settings = settings(HOST, &authority);
            let device = async { open(&mut wire, buffers, &settings, random()).await.map(drop) };
            let server = async {
                let mut server = Handmade::hello(far, spoil).await;
                server.introduce(&issued.der, &issued.key).await;
                server.finish().await;
                server.hang_up().await;
                server
            };
            // Some changes are harmless: the server's random bytes, for instance.
            let _ = tokio::join!(device, server);
        });
    }
}

#[test]
fn no_garbage_makes_the_device_panic() {
    let ca = Ca::new("Lab CA");
    let authority = ca.authority();
    let mut generator = fastrand::Rng::with_seed(8446);
    for _ in 0..300 {
        let mut garbage = vec![];
        for _ in 0..generator.usize(1..5) {
            let content: Vec<u8> = (0..generator.usize(..80)).map(|_| generator.u8(..)).collect();
            let mut record = plain(generator.u8(18..26), &content);
            // Handshake messages that begin as they should get further.
            if generator.bool() && content.len() > 4 {
                record[5] = *generator.choice(&[1, 2, 4, 8, 11, 13, 15, 20, 24]).unwrap();
                record[6..8].fill(0);
            }
            garbage.extend(record);
        }
        run(async {
            let (mut wire, mut far) = pipe();
            let (mut read, mut write) = ([0; MIN_READ_BUFFER], [0; 512]);
            let buffers = Buffers { read: &mut read, write: &mut write };
            let settings = settings(HOST, &authority);
            let device = async { open(&mut wire, buffers, &settings, random()).await.map(drop) };
            let server = async {
                far.write_all(&garbage).await.unwrap();
                far.shutdown().await.unwrap();
            };
            assert!(tokio::join!(device, server).0.is_err());
        });
    }
}
