//! Which servers a client believes.

use std::sync::Arc;

use rustls::CertificateError;
use rustls::pki_types::UnixTime;
use tautline_identity::{ClientAuth, KeyKind, Role, ServerTls, TlsFiles, Validity};

use crate::{Pair, Place, Refused, VERSIONS, past, shake};

fn dial(place: &Place, files: TlsFiles, name: &str) -> Result<Pair, Refused> {
    let server = Arc::new(ServerTls::load(files).unwrap().config());
    shake(&place.dialer(VERSIONS[1], None), &server, name)
}

fn refusal(result: Result<Pair, Refused>) -> CertificateError {
    match result {
        Err(Refused::ByClient(rustls::Error::InvalidCertificate(error))) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_server_is_known_by_its_name_and_its_address() {
    let place = Place::new();
    let server = Arc::new(ServerTls::load(place.files(ClientAuth::None)).unwrap().config());
    for version in VERSIONS {
        for name in ["hub.test", "127.0.0.1"] {
            let pair = shake(&place.dialer(version, None), &server, name).unwrap();
            assert_eq!(pair.server.protocol_version(), Some(version.version));
        }
    }
    for name in ["other.test", "127.0.0.2"] {
        let error = refusal(dial(&place, place.files(ClientAuth::None), name));
        assert!(matches!(error, CertificateError::NotValidForNameContext { .. }), "{error:?}");
    }
}

#[test]
fn a_server_of_another_ca_is_refused() {
    let (place, other) = (Place::new(), Place::new());
    let error = refusal(dial(&place, other.files(ClientAuth::None), "hub.test"));
    assert_eq!(error, CertificateError::UnknownIssuer);
}

#[test]
fn an_expired_server_is_refused() {
    let place = Place::new();
    let hosts = ["hub.test".parse().unwrap()];
    place.serve_with(&place.authority(Role::Servers).server(&hosts, KeyKind::EcdsaP256, past()).unwrap());
    let error = refusal(dial(&place, place.files(ClientAuth::None), "hub.test"));
    assert!(matches!(error, CertificateError::ExpiredContext { time, .. } if time <= UnixTime::now()), "{error:?}");
}

#[test]
fn a_device_cannot_pose_as_a_server() {
    let place = Place::new();
    // What is wrong about it is its purpose: the name would be right.
    place.serve_with(&place.client("hub.test"));
    let error = refusal(dial(&place, place.files(ClientAuth::None), "hub.test"));
    assert!(matches!(error, CertificateError::InvalidPurposeContext { .. }), "{error:?}");
}

#[test]
fn with_separate_cas_what_signs_for_devices_makes_no_servers() {
    let place = Place::with(true);
    dial(&place, place.files(ClientAuth::None), "hub.test").unwrap();
    let hosts = ["hub.test".parse().unwrap()];
    let forged = place.authority(Role::Devices).server(&hosts, KeyKind::EcdsaP256, Validity::days(1)).unwrap();
    place.serve_with(&forged);
    assert_eq!(refusal(dial(&place, place.files(ClientAuth::None), "hub.test")), CertificateError::UnknownIssuer);
}

#[test]
fn records_are_no_larger_than_asked_for() {
    use std::io::{Read, Write};
    let place = Place::new();
    for (limit, whole) in [(Some(512), false), (None, true)] {
        let files = place.files(ClientAuth::None).max_fragment_size(limit);
        let mut pair = dial(&place, files, "hub.test").unwrap();
        pair.server.writer().write_all(&[7; 5000]).unwrap();
        let bytes = pair.pump().unwrap();
        let mut received = [0; 5000];
        pair.client.reader().read_exact(&mut received).unwrap();
        // Encryption adds 17 bytes (TLS 1.3), which rustls does not count.
        let (mut rest, mut largest) = (&bytes[..], 0);
        while let [_, _, _, high, low, ..] = rest {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            largest = largest.max(length + 5);
            rest = &rest[5 + length..];
        }
        assert_eq!(largest > 512 + 17, whole, "{largest}");
    }
    for bad in [0, 63, 16_390] {
        let refused = ServerTls::load(place.files(ClientAuth::None).max_fragment_size(Some(bad)));
        assert!(refused.unwrap_err().to_string().contains("from 64 to 16389"));
    }
}

#[cfg(feature = "rsa")]
#[test]
fn rsa_serves_both_versions() {
    let place = Place::new();
    let hosts = ["hub.test".parse().unwrap()];
    place.serve_with(&place.authority(Role::Servers).server(&hosts, KeyKind::Rsa2048, Validity::days(1)).unwrap());
    let server = Arc::new(ServerTls::load(place.files(ClientAuth::None)).unwrap().config());
    for version in VERSIONS {
        shake(&place.dialer(version, None), &server, "hub.test").unwrap();
    }
}
