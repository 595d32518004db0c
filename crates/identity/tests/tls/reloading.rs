//! Files that change while the server runs.

use std::fs;
use std::sync::Arc;

use rustls::{CertificateError, HandshakeKind};
use tautline_identity::{ClientAuth, ServerTls};

use crate::{Place, Refused, VERSIONS, founding, shake};

#[test]
fn new_handshakes_show_the_new_certificate() {
    let place = Place::new();
    let tls = ServerTls::load(place.files(ClientAuth::None)).unwrap();
    let server = Arc::new(tls.config());
    let before = tls.certificate();
    let renewed = place.server_certificate();
    place.serve_with(&renewed);
    let dial = || shake(&place.dialer(VERSIONS[1], None), &server, "hub.test").unwrap();
    assert_eq!(dial().server_certificate(), before, "nothing changes by itself");
    tls.reload().unwrap();
    assert_eq!(dial().server_certificate(), *renewed.certificate());
    assert_eq!(tls.certificate(), *renewed.certificate());
}

#[test]
fn what_cannot_be_read_changes_nothing() {
    let place = Place::new();
    let device = place.client("ESP Client 1");
    let tls = ServerTls::load(place.files(ClientAuth::Required)).unwrap();
    let server = Arc::new(tls.config());
    let (before, client) = (tls.certificate(), place.dialer(VERSIONS[1], Some(&device)));
    place.serve_with(&place.server_certificate());
    // The certificate is good, but something else is not, or not yet.
    for broken in ["hub.test/hub.test.key", "ca/ca.crt", "ca/ca.crl"] {
        let good = fs::read(place.path(broken)).unwrap();
        for bad in [&b""[..], b"junk", &good[..good.len() / 2]] {
            fs::write(place.path(broken), bad).unwrap();
            let error = tls.reload().unwrap_err().to_string();
            assert!(error.starts_with(place.path(broken).to_str().unwrap()), "{error}");
        }
        fs::remove_file(place.path(broken)).unwrap();
        assert!(tls.reload().unwrap_err().to_string().contains(broken));
        let pair = shake(&client, &server, "hub.test").unwrap();
        assert_eq!(pair.server_certificate(), before);
        fs::write(place.path(broken), good).unwrap();
    }
    tls.reload().unwrap();
    assert_ne!(tls.certificate(), before);
}

#[test]
fn who_is_revoked_is_known_after_a_reload() {
    let place = Place::new();
    let device = place.client("ESP Client 1");
    let tls = ServerTls::load(place.files(ClientAuth::Required)).unwrap();
    let server = Arc::new(tls.config());
    let live = shake(&place.dialer(VERSIONS[1], Some(&device)), &server, "hub.test").unwrap();
    let shown = live.client_certificate().unwrap();
    assert!(tls.is_trusted(&shown, &[]) && !tls.is_revoked(&shown));
    place.revoke(&device);
    tls.reload().unwrap();
    assert!(!tls.is_trusted(&shown, &[]) && tls.is_revoked(&shown));
    let again = shake(&place.dialer(VERSIONS[1], Some(&device)), &server, "hub.test");
    assert!(matches!(again, Err(Refused::ByServer(error)) if error == CertificateError::Revoked.into()));
}

#[test]
fn a_list_may_be_made_later_and_stays_then() {
    let place = Place::new();
    let device = place.client("ESP Client 1");
    let list = place.path("ca/ca.crl");
    std::fs::remove_file(&list).unwrap();
    let files = place.files(ClientAuth::Required).revoked(None).revoked_once_there(Some(list.clone()));
    let tls = ServerTls::load(files).unwrap();
    tls.reload().unwrap();
    assert!(tls.is_trusted(device.certificate(), &[]));
    place.revoke(&device);
    tls.reload().unwrap();
    assert!(tls.is_revoked(device.certificate()) && !tls.is_trusted(device.certificate(), &[]));
    std::fs::remove_file(&list).unwrap();
    let error = tls.reload().unwrap_err().to_string();
    assert!(error.contains("list of revoked certificates"), "{error}");
    assert!(tls.is_revoked(device.certificate()), "as it was");
}

#[test]
fn clients_of_a_ca_that_is_replaced_are_not_trusted_any_more() {
    let place = Place::with(true);
    let device = place.client("ESP Client 1");
    let tls = ServerTls::load(place.files(ClientAuth::Required)).unwrap();
    assert!(tls.is_trusted(device.certificate(), &[]));
    let mut anew = founding(true);
    anew.overwrite = true;
    place.folder.found(&anew).unwrap();
    tls.reload().unwrap();
    assert!(!tls.is_trusted(device.certificate(), &[]));
    assert!(!tls.is_revoked(device.certificate()), "nobody has revoked it");
}

#[test]
fn sessions_are_resumed_only_where_clients_are_not_asked() {
    let place = Place::new();
    let device = place.client("ESP Client 1");
    for (auth, expected) in [
        (ClientAuth::None, HandshakeKind::Resumed),
        (ClientAuth::Optional, HandshakeKind::Full),
        (ClientAuth::Required, HandshakeKind::Full),
    ] {
        for version in VERSIONS {
            let server = Arc::new(ServerTls::load(place.files(auth)).unwrap().config());
            let client = place.dialer(version, Some(&device));
            shake(&client, &server, "hub.test").unwrap();
            let again = shake(&client, &server, "hub.test").unwrap();
            assert_eq!(again.server.handshake_kind(), Some(expected), "{auth:?}");
        }
    }
}

#[test]
fn a_revoked_client_does_not_come_back_with_an_old_session() {
    for auth in [ClientAuth::Optional, ClientAuth::Required] {
        for version in VERSIONS {
            let place = Place::new();
            let device = place.client("ESP Client 1");
            let tls = ServerTls::load(place.files(auth)).unwrap();
            let server = Arc::new(tls.config());
            let client = place.dialer(version, Some(&device));
            shake(&client, &server, "hub.test").unwrap();
            place.revoke(&device);
            tls.reload().unwrap();
            let again = shake(&client, &server, "hub.test");
            let revoked = rustls::Error::from(CertificateError::Revoked);
            assert!(matches!(&again, Err(Refused::ByServer(error)) if *error == revoked), "{again:?}");
        }
    }
}
