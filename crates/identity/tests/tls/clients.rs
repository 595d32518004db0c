//! Which clients a server lets in.

use std::sync::Arc;

use rustls::{CertificateError, Error, ServerConfig};
use tautline_identity::{ClientAuth, Issued, KeyKind, Role, ServerTls, client_name};

use crate::{Pair, Place, Refused, VERSIONS, past, shake};

fn server(place: &Place, auth: ClientAuth) -> Arc<ServerConfig> {
    Arc::new(ServerTls::load(place.files(auth)).unwrap().config())
}

/// Why the server refuses whoever has this certificate, in both versions of TLS.
fn refusals(place: &Place, own: Option<&Issued>) -> [Error; 2] {
    let server = server(place, ClientAuth::Required);
    VERSIONS.map(|version| match shake(&place.dialer(version, own), &server, "hub.test") {
        Err(Refused::ByServer(error)) => error,
        other => panic!("{other:?}"),
    })
}

fn seen(result: Result<Pair, Refused>) -> Option<String> {
    result.unwrap().client_certificate().map(|leaf| client_name(&leaf).unwrap())
}

#[test]
fn clients_are_asked_as_told() {
    let place = Place::new();
    let device = place.client("ESP Client 1");
    for (auth, anonymous_comes_in, name) in [
        (ClientAuth::None, true, None),
        (ClientAuth::Optional, true, Some("ESP Client 1")),
        (ClientAuth::Required, false, Some("ESP Client 1")),
    ] {
        let server = server(&place, auth);
        for version in VERSIONS {
            let known = shake(&place.dialer(version, Some(&device)), &server, "hub.test");
            assert_eq!(seen(known).as_deref(), name, "{auth:?}");
            match shake(&place.dialer(version, None), &server, "hub.test") {
                Ok(pair) => assert!(anonymous_comes_in && pair.client_certificate().is_none(), "{auth:?}"),
                Err(Refused::ByServer(Error::NoCertificatesPresented)) => assert!(!anonymous_comes_in, "{auth:?}"),
                Err(other) => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn a_client_of_another_ca_is_refused() {
    let place = Place::new();
    let stranger = Place::new().client("ESP Client 1");
    for error in refusals(&place, Some(&stranger)) {
        assert_eq!(error, CertificateError::UnknownIssuer.into());
    }
    // Even where clients need no certificate: this one claims to be somebody.
    let optional = server(&place, ClientAuth::Optional);
    let result = shake(&place.dialer(VERSIONS[1], Some(&stranger)), &optional, "hub.test");
    assert!(matches!(result, Err(Refused::ByServer(_))), "{result:?}");
}

#[test]
fn an_expired_client_is_refused() {
    let place = Place::new();
    let old = place.authority(Role::Devices).client("old", KeyKind::EcdsaP256, past()).unwrap();
    for error in refusals(&place, Some(&old)) {
        assert!(matches!(error, Error::InvalidCertificate(CertificateError::ExpiredContext { .. })), "{error:?}");
    }
}

#[test]
fn a_server_is_no_client() {
    let place = Place::new();
    for error in refusals(&place, Some(&place.server_certificate())) {
        let purpose = matches!(error, Error::InvalidCertificate(CertificateError::InvalidPurposeContext { .. }));
        assert!(purpose, "{error:?}");
    }
}

#[test]
fn a_device_cannot_sign_for_others() {
    let place = Place::new();
    let device = place.client("ESP Client 1");
    let issuer =
        rcgen::Issuer::from_ca_cert_der(device.certificate(), rcgen::KeyPair::from_pem(&device.key().pem()).unwrap())
            .unwrap();
    let own = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let forged = params.signed_by(&own, &issuer).unwrap().der().clone();
    let tls = ServerTls::load(place.files(ClientAuth::Required)).unwrap();
    assert!(tls.is_trusted(device.certificate(), &[]));
    assert!(!tls.is_trusted(&forged, std::slice::from_ref(device.certificate())));
}

#[test]
fn a_revoked_client_is_refused() {
    let place = Place::new();
    let (stolen, other) = (place.client("stolen"), place.client("other"));
    place.revoke(&stolen);
    for error in refusals(&place, Some(&stolen)) {
        assert_eq!(error, CertificateError::Revoked.into());
    }
    let server = server(&place, ClientAuth::Required);
    shake(&place.dialer(VERSIONS[1], Some(&other)), &server, "hub.test").unwrap();
}

#[test]
fn clients_of_several_cas_are_told_apart_by_their_lists() {
    let (place, second) = (Place::new(), Place::new());
    let both = [&place, &second].map(|place| std::fs::read(place.path("ca/ca.crt")).unwrap()).concat();
    std::fs::write(place.path("both.crt"), both).unwrap();
    // Only the first CA has a list.
    let files = place.files(ClientAuth::Required).client_ca(Some(place.path("both.crt")));
    let (mine, theirs) = (place.client("mine"), second.client("theirs"));
    place.revoke(&mine);
    let tls = ServerTls::load(files).unwrap();
    assert!(!tls.is_trusted(mine.certificate(), &[]));
    assert!(tls.is_trusted(theirs.certificate(), &[]));
}
