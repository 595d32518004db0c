//! Certificates and keys as files: what `tautline cert`, rcgen and openssl write.

use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P384_SHA384};
use tautline_device_tls::{Content, Identity, IdentityError, PemError, der};
use tautline_identity::{Authority, KeyKind, Validity};

/// The identity in these files, and the name that it gives itself.
fn identity(certificate: &[u8], key: &[u8]) -> Result<Option<String>, IdentityError> {
    let (mut certificate_memory, mut key_memory) = ([0; 1024], [0; 256]);
    let certificate = der(certificate, Content::Certificate, &mut certificate_memory).unwrap();
    let key = der(key, Content::Key, &mut key_memory).unwrap();
    Identity::new(certificate, key).map(|identity| identity.name().map(str::to_owned))
}

#[test]
fn certificates_of_tautline_cert_are_read_in_every_form() {
    let ca = Authority::create("Lab CA", KeyKind::EcdsaP256, Validity::days(30)).unwrap();
    let device = ca.client("ESP Client 1", KeyKind::EcdsaP256, Validity::days(30)).unwrap();
    // PKCS#8 in PEM; SEC1 in DER, as for controllers.
    let (pem, sec1) = (device.key().pem(), device.key().traditional_der().unwrap());
    for certificate in [device.pem().as_bytes(), device.certificate()] {
        for key in [pem.as_bytes(), &sec1] {
            assert_eq!(identity(certificate, key), Ok(Some("ESP Client 1".to_owned())));
        }
    }
    // Both in one file.
    let bundle = device.pem() + &pem;
    assert_eq!(identity(bundle.as_bytes(), bundle.as_bytes()), Ok(Some("ESP Client 1".to_owned())));
}

#[test]
fn an_encrypted_key_is_said_to_be_one() {
    let ca = Authority::create("Lab CA", KeyKind::EcdsaP256, Validity::days(30)).unwrap();
    let encrypted = ca.own().key().encrypted_pem("secret").unwrap();
    assert_eq!(der(encrypted.as_bytes(), Content::Key, &mut [0; 1024]), Err(PemError::Encrypted));
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let certificate = CertificateParams::default().self_signed(&key).unwrap();
    assert_eq!(identity(certificate.der(), &other.serialize_der()), Err(IdentityError::Different));
    assert_eq!(identity(&key.serialize_der(), &key.serialize_der()), Err(IdentityError::Certificate));
    assert_eq!(identity(certificate.der(), certificate.der()), Err(IdentityError::Key));
}

#[test]
fn a_key_on_another_curve_is_refused() {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let certificate = CertificateParams::default().self_signed(&key).unwrap();
    assert_eq!(identity(certificate.der(), &key.serialize_der()), Err(IdentityError::Key));
}

#[test]
fn a_name_is_there_only_if_there_is_one() {
    let named = |names: &[&str]| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for name in names {
            params.distinguished_name.push(DnType::CommonName, *name);
        }
        identity(params.self_signed(&key).unwrap().der(), &key.serialize_der()).unwrap()
    };
    assert_eq!(named(&[]), None);
    assert_eq!(named(&["Küche"]), Some("Küche".to_owned()));
}

#[test]
fn the_key_is_not_shown_in_logs() {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::default().self_signed(&key).unwrap();
    let identity = Identity::new(certificate.der(), &key.serialize_der()).unwrap();
    assert_eq!(format!("{identity:?}"), "Identity { name: Some(\"rcgen self signed cert\"), .. }");
}
