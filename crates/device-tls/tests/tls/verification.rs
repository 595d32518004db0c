//! Which servers are believed.

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::CertificateDer;
use tautline_device_tls::{Authority, Error, Settings, Time, Trust, Untrusted};
use time::OffsetDateTime;

use crate::world::{Ca, HOST, Issued, connect, dns, ip, server, server_params, settings};

/// What a device that trusts `ca` says of a server with this certificate, called by this name.
fn judged(ca: &Ca, shown: &Issued, host: &str) -> Result<(), Error> {
    judged_at(ca, shown, host, Time::Unknown)
}

fn judged_at(ca: &Ca, shown: &Issued, host: &str, time: Time) -> Result<(), Error> {
    let authority = ca.authority();
    let settings = Settings { time, ..settings(host, &authority) };
    connect(server(&[&shown.der], &shown.key), &settings).map(drop)
}

/// The same, of a good certificate that was spoilt.
fn spoilt(spoil: impl FnOnce(&mut CertificateParams)) -> Result<(), Error> {
    let ca = Ca::new("Lab CA");
    let mut params = server_params();
    spoil(&mut params);
    judged(&ca, &ca.sign(&params), HOST)
}

fn refused(why: Untrusted) -> Result<(), Error> {
    Err(Error::Untrusted(why))
}

#[test]
fn a_server_of_the_authority_is_believed_by_name_and_by_address() {
    let ca = Ca::new("Lab CA");
    let shown = ca.server();
    for host in [HOST, "HUB.Local", "192.0.2.7", "2001:db8::7", "[2001:db8:0:0::7]"] {
        assert_eq!(judged(&ca, &shown, host), Ok(()), "{host}");
    }
}

#[test]
fn another_name_or_address_is_refused() {
    let ca = Ca::new("Lab CA");
    let shown = ca.server();
    for host in ["hub2.local", "local", "a.hub.local", "192.0.2.8", "2001:db8::8", "::ffff:192.0.2.7"] {
        assert_eq!(judged(&ca, &shown, host), refused(Untrusted::Name), "{host}");
    }
}

#[test]
fn rfc9525_an_address_as_a_dns_name_and_a_common_name_do_not_count() {
    assert_eq!(spoilt(|params| params.subject_alt_names = vec![]), refused(Untrusted::Name));

    let ca = Ca::new("Lab CA");
    let mut params = server_params();
    params.subject_alt_names = vec![dns("192.0.2.7")];
    assert_eq!(judged(&ca, &ca.sign(&params), "192.0.2.7"), refused(Untrusted::Name));
    params.subject_alt_names = vec![ip("192.0.2.7")];
    assert_eq!(judged(&ca, &ca.sign(&params), "192.0.2.7"), Ok(()));
}

#[test]
fn rfc9525_a_wildcard_stands_for_one_label() {
    let ca = Ca::new("Lab CA");
    let mut params = server_params();
    params.subject_alt_names = vec![dns("other.example"), dns("*.lab.example")];
    let shown = ca.sign(&params);
    assert_eq!(judged(&ca, &shown, "hub.lab.example"), Ok(()));
    assert_eq!(judged(&ca, &shown, "lab.example"), refused(Untrusted::Name));
    assert_eq!(judged(&ca, &shown, "a.hub.lab.example"), refused(Untrusted::Name));
}

#[test]
fn a_device_s_certificate_cannot_pose_as_an_authority() {
    let ca = Ca::new("Lab CA");
    let device = ca.device("ESP Client 1");
    // The device signs itself a server's certificate, and shows both.
    let issuer = Issuer::from_ca_cert_der(&device.der, &device.key).unwrap();
    let key = KeyPair::generate().unwrap();
    let forged = server_params().signed_by(&key, &issuer).unwrap().der().clone();
    let authority = ca.authority();
    let outcome = connect(server(&[&forged, &device.der], &key), &settings(HOST, &authority));
    assert_eq!(outcome.map(drop), refused(Untrusted::Issuer));

    // With the authority's name, too, since a device can write what it likes.
    let mut params = CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, "Lab CA");
    let disguised = Issuer::new(params, device.key);
    let forged = server_params().signed_by(&key, &disguised).unwrap().der().clone();
    let outcome = connect(server(&[&forged, &device.der], &key), &settings(HOST, &authority));
    assert_eq!(outcome.map(drop), refused(Untrusted::Signature));
}

#[test]
fn a_device_s_certificate_cannot_pose_as_a_server() {
    let ca = Ca::new("Lab CA");
    assert_eq!(judged(&ca, &ca.device("ESP Client 1"), HOST), refused(Untrusted::Purpose));
    assert_eq!(spoilt(|params| params.extended_key_usages = vec![]), refused(Untrusted::Purpose));
    let any = |params: &mut CertificateParams| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any];
    assert_eq!(spoilt(any), refused(Untrusted::Purpose));
    let both = |params: &mut CertificateParams| params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
    assert_eq!(spoilt(both), Ok(()));
}

#[test]
fn what_is_not_for_signing_handshakes_is_refused() {
    let authority = |params: &mut CertificateParams| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    assert_eq!(spoilt(authority), refused(Untrusted::Authority));
    let encipherment = |params: &mut CertificateParams| params.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
    assert_eq!(spoilt(encipherment), refused(Untrusted::KeyUsage));
    assert_eq!(spoilt(|params| params.key_usages = vec![]), Ok(()), "no restriction");
}

#[test]
fn rfc5280_4_2_a_critical_extension_that_is_not_known_is_refused() {
    let with = |critical| {
        let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 55555, 1], vec![5, 0]);
        extension.set_criticality(critical);
        spoilt(|params| params.custom_extensions = vec![extension])
    };
    assert_eq!(with(true), refused(Untrusted::Critical));
    assert_eq!(with(false), Ok(()));
}

#[test]
fn another_authority_s_server_is_refused_whatever_its_name() {
    let (ca, other, namesake) = (Ca::new("Lab CA"), Ca::new("Other CA"), Ca::new("Lab CA"));
    assert_eq!(judged(&ca, &other.server(), HOST), refused(Untrusted::Issuer));
    assert_eq!(judged(&ca, &namesake.server(), HOST), refused(Untrusted::Signature));
}

#[test]
fn a_self_signed_server_is_refused() {
    let key = KeyPair::generate().unwrap();
    let der = server_params().self_signed(&key).unwrap().der().clone();
    assert_eq!(judged(&Ca::new("Lab CA"), &Issued { der, key }, HOST), refused(Untrusted::Issuer));
}

#[test]
fn a_chain_that_has_the_authority_at_its_end_is_believed() {
    let ca = Ca::new("Lab CA");
    let shown = ca.server();
    let chain: [&CertificateDer<'_>; 4] = [&shown.der, &ca.der, &ca.der, &shown.der];
    assert!(connect(server(&chain, &shown.key), &settings(HOST, &ca.authority())).is_ok());
}

#[test]
fn validity_is_checked_as_far_as_the_time_is_known() {
    let ca = Ca::new("Lab CA");
    let mut params = server_params();
    let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap();
    // From 2025 until the year 2100: both ways of writing a time (RFC 5280 §4.1.2.5).
    let (from, until) = (1_735_689_600, 4_102_444_800);
    (params.not_before, params.not_after) = (at(from), at(until));
    let shown = ca.sign(&params);
    for (time, outcome) in [
        (Time::Unknown, Ok(())),
        (Time::Now(from as u64 - 1), refused(Untrusted::NotYetValid)),
        (Time::Now(from as u64), Ok(())),
        (Time::Now(until as u64), Ok(())),
        (Time::Now(until as u64 + 1), refused(Untrusted::Expired)),
        (Time::AtLeast(from as u64 - 1), Ok(())),
        (Time::AtLeast(until as u64 + 1), refused(Untrusted::Expired)),
    ] {
        assert_eq!(judged_at(&ca, &shown, HOST, time), outcome, "{time:?}");
    }
}

#[test]
fn without_a_clock_an_expired_certificate_is_believed() {
    let ca = Ca::new("Lab CA");
    let mut params = server_params();
    params.not_before = OffsetDateTime::from_unix_timestamp(1_000_000_000).unwrap();
    params.not_after = OffsetDateTime::from_unix_timestamp(1_100_000_000).unwrap();
    let shown = ca.sign(&params);
    assert_eq!(judged(&ca, &shown, HOST), Ok(()));
    assert_eq!(judged_at(&ca, &shown, HOST, Time::Now(1_800_000_000)), refused(Untrusted::Expired));
}

#[test]
fn only_an_authority_s_certificate_can_be_pinned() {
    let ca = Ca::new("Lab CA");
    let pinned = |der: &[u8]| Authority::new(der).map(drop);
    assert_eq!(pinned(&ca.der), Ok(()));
    assert_eq!(pinned(&ca.server().der), Err(Untrusted::NoAuthority));
    assert_eq!(pinned(b""), Err(Untrusted::Malformed));
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().unwrap();
    assert_eq!(pinned(params.self_signed(&key).unwrap().der()), Err(Untrusted::NoAuthority));
}

#[test]
fn whoever_trusts_anybody_connects_to_anybody() {
    let (ca, other) = (Ca::new("Lab CA"), Ca::new("Other CA"));
    let shown = other.device("Mallory");
    let authority = ca.authority();
    let settings = Settings { trust: Trust::Anybody, ..settings(HOST, &authority) };
    assert!(connect(server(&[&shown.der], &shown.key), &settings).is_ok());
}

#[test]
fn other_curves_need_a_feature() {
    for (algorithm, supported) in
        [(&rcgen::PKCS_ECDSA_P384_SHA384, cfg!(feature = "p384")), (&rcgen::PKCS_ED25519, cfg!(feature = "ed25519"))]
    {
        let key = || KeyPair::generate_for(algorithm).unwrap();
        let (ca, classic) = (Ca::with_key("Lab CA", key()), Ca::new("Lab CA"));
        let expected = if supported { Ok(()) } else { refused(Untrusted::Algorithm) };
        // The server's key; then the authority's, too.
        assert_eq!(judged(&classic, &classic.sign_for(&server_params(), key()), HOST), expected);
        match Authority::new(&ca.der) {
            Ok(_) => assert_eq!(judged(&ca, &ca.sign_for(&server_params(), key()), HOST), expected),
            Err(why) => assert_eq!(refused(why), expected),
        }
    }
}

#[test]
fn certificates_of_tautline_cert_are_believed() {
    use tautline_identity::{Authority as Maker, Host, KeyKind, Validity};
    let maker = Maker::create("Lab CA", KeyKind::EcdsaP256, Validity::days(30)).unwrap();
    let hosts = [Host::Name("hub.local".into()), Host::Address("192.0.2.7".parse().unwrap())];
    let made = maker.server(&hosts, KeyKind::EcdsaP256, Validity::days(30)).unwrap();
    let pair = |issued: &tautline_identity::Issued| {
        let key = KeyPair::from_pem(&issued.key().pem()).unwrap();
        Issued { der: issued.certificate().clone(), key }
    };
    let authority = Authority::new(maker.own().certificate()).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let judged = |shown: &Issued, host| {
        let settings = Settings { time: Time::Now(now), ..settings(host, &authority) };
        connect(server(&[&shown.der], &shown.key), &settings).map(drop)
    };
    for host in ["hub.local", "192.0.2.7"] {
        assert_eq!(judged(&pair(&made), host), Ok(()), "{host}");
    }
    let device = maker.client("ESP Client 1", KeyKind::EcdsaP256, Validity::days(30)).unwrap();
    assert_eq!(judged(&pair(&device), "hub.local"), refused(Untrusted::Purpose));
}
