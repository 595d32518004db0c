//! What servers are given as files.

use std::fs;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tautline_identity::{ClientAuth, Error, Extras, Host, Role, ServerTls, TlsFiles, how_to_make};

use crate::{Place, VERSIONS, shake};

/// Whether a server with these files can be talked to.
fn serves(place: &Place, files: TlsFiles) -> Result<(), Error> {
    let server = Arc::new(ServerTls::load(files)?.config());
    for version in VERSIONS {
        shake(&place.dialer(version, None), &server, "hub.test").unwrap();
    }
    Ok(())
}

#[test]
fn keys_are_taken_in_every_format() {
    let place = Place::new();
    let issued = place.server_certificate();
    let sec1 = issued.key().traditional_der().unwrap();
    let sec1_pem = pem::encode(&pem::Pem::new("EC PRIVATE KEY", sec1.clone()));
    let bundle = issued.pem() + &issued.key().pem();
    fs::write(place.path("crt"), issued.pem()).unwrap();
    for key in [issued.key().pem().as_bytes(), sec1_pem.as_bytes(), &sec1, bundle.as_bytes()] {
        fs::write(place.path("key"), key).unwrap();
        serves(&place, TlsFiles::new(place.path("crt"), place.path("key"))).unwrap();
    }
    fs::write(place.path("both"), bundle).unwrap();
    serves(&place, TlsFiles::new(place.path("both"), place.path("both"))).unwrap();
    fs::write(place.path("der"), issued.certificate()).unwrap();
    serves(&place, TlsFiles::new(place.path("der"), place.path("key"))).unwrap();
}

#[test]
fn an_encrypted_key_needs_its_password() {
    let place = Place::new();
    let issued = place.server_certificate();
    fs::write(place.path("crt"), issued.pem()).unwrap();
    fs::write(place.path("key"), issued.key().encrypted_pem("secret").unwrap()).unwrap();
    let with = |password: Option<&str>| {
        serves(&place, TlsFiles::new(place.path("crt"), place.path("key")).password(password.map(str::to_owned)))
    };
    with(Some("secret")).unwrap();
    assert!(matches!(with(Some("wrong")), Err(Error::PasswordWrong { path }) if path == place.path("key")));
    assert!(matches!(with(None), Err(Error::PasswordNeeded { path }) if path == place.path("key")));
}

#[test]
fn files_for_a_controller_make_a_client() {
    let place = Place::new();
    let device = place.client("ESP Client 1");
    place.folder.write_client("ESP Client 1", &device, &Extras::default()).unwrap();
    place.folder.copy_to_controller("ESP Client 1", &place.path("src"), false).unwrap();
    let read = |name: &str| fs::read(place.path("src").join(name)).unwrap();
    let (certificate, key) = (read("ESP Client 1.crt"), read("ESP Client 1.key"));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from(read("ca.der"))).unwrap();
    let key = PrivateKeyDer::try_from(key).unwrap();
    assert!(matches!(key, PrivateKeyDer::Sec1(_)));
    let client = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate.into()], key)
        .unwrap();
    let server = Arc::new(ServerTls::load(place.files(ClientAuth::Required)).unwrap().config());
    let pair = shake(&Arc::new(client), &server, "127.0.0.1").unwrap();
    assert_eq!(pair.client_certificate().as_ref(), Some(device.certificate()));
}

#[test]
fn files_that_do_not_go_together_are_refused() {
    let place = Place::new();
    let device = place.client("ESP Client 1");
    fs::write(place.path("other.key"), device.key().pem()).unwrap();
    fs::write(place.path("device.crt"), device.pem()).unwrap();
    let foreign = Place::new().folder.authority_file(Role::Devices, "ca.crl");
    let own = place.files(ClientAuth::Required);
    let stranger = Place::new();
    let list_of_stranger = stranger.folder.authority_file(Role::Devices, "ca.crl");
    let certificate = place.path("hub.test/hub.test.crt");
    for (files, told) in [
        (TlsFiles::new(&certificate, place.path("other.key")), "hub.test.crt: it does not belong to the private key"),
        (TlsFiles::new(place.path("ca/ca.crl"), place.path("other.key")), "no certificate is in the PEM"),
        (own.clone().client_ca(None), "no CA is named"),
        (own.clone().client_ca(Some(place.path("device.crt"))), "device.crt: not the certificate of a CA"),
        (own.clone().client_ca(Some(place.path("none.crt"))), "there is no CA of the clients at"),
        (own.clone().revoked(Some(list_of_stranger)), "ca.crl: not signed by a CA in"),
        (own.clone().revoked(Some(foreign)), "`tautline cert revoke` makes one"),
        (own.clone().revoked(Some(certificate.clone())), "no list of revoked certificates"),
        (own.client_auth(ClientAuth::None), "where clients are not asked"),
        (TlsFiles::new(&certificate, place.path("none.key")), "there is no private key of the server at"),
        (TlsFiles::new(place.dir.path(), place.path("other.key")), "cannot read"),
    ] {
        let error = ServerTls::load(files).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn who_has_no_certificate_is_told_the_command() {
    let host: Host = "192.168.1.20".parse().unwrap();
    assert!(how_to_make(&host).starts_with("`tautline cert --srv=192.168.1.20` makes one"));
}
