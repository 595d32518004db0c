//! What is written where.

use std::fs;
use std::path::Path;

use tautline_identity::{
    Authority, Description, Error, Extras, Folder, Founding, KeyKind, Role, Validity, is_signed_by, serial,
};

fn founding() -> Founding<'static> {
    Founding {
        name: None,
        kind: KeyKind::EcdsaP256,
        validity: Validity::days(100),
        password: None,
        separate: false,
        overwrite: false,
    }
}

fn files_below(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap().map(Result::unwrap) {
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false => found.push(entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned()),
            }
        }
    }
    found.sort();
    found
}

#[test]
fn files_are_where_the_device_project_looks_for_them() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::new(dir.path().join("tls"));
    folder.found(&founding()).unwrap();
    let ca = folder.authority(Role::Servers, None).unwrap();
    let host = "192.168.1.20".parse().unwrap();
    let hosts = std::slice::from_ref(&host);
    let server = ca.server(hosts, KeyKind::EcdsaP256, Validity::days(10)).unwrap();
    let extras = Extras { bundle: true, overwrite: false };
    folder.write_server(&host, &server, &extras).unwrap();
    let client = ca.client("ESP Client 1", KeyKind::EcdsaP256, Validity::days(10)).unwrap();
    folder.write_client("ESP Client 1", &client, &Extras::default()).unwrap();
    folder.copy_to_controller("ESP Client 1", &dir.path().join("src"), false).unwrap();
    let files = files_below(dir.path());
    assert_eq!(
        files,
        [
            "src/ESP Client 1.crt",
            "src/ESP Client 1.key",
            "src/ca.der",
            "tls/192.168.1.20/192.168.1.20.crt",
            "tls/192.168.1.20/192.168.1.20.key",
            "tls/192.168.1.20/192.168.1.20.pem",
            "tls/ca/ca.crl",
            "tls/ca/ca.crt",
            "tls/ca/ca.der",
            "tls/ca/ca.key",
            "tls/clients/ESP Client 1/ESP Client 1.crt",
            "tls/clients/ESP Client 1/ESP Client 1.crt.der",
            "tls/clients/ESP Client 1/ESP Client 1.key",
            "tls/clients/ESP Client 1/ESP Client 1.key.der",
        ]
    );
    #[cfg(unix)]
    for file in files {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(dir.path().join(&file)).unwrap().permissions().mode() & 0o777;
        let secret = [".key", ".key.der", ".pem"].iter().any(|end| file.ends_with(end));
        assert_eq!(mode & 0o077 == 0, secret, "{file}: {mode:o}");
    }
}

#[test]
fn certificates_say_what_they_are_for() {
    let ca = Authority::create("CA", KeyKind::EcdsaP256, Validity::days(100)).unwrap();
    let hosts = ["hub.local", "192.168.1.20", "fe80::1"].map(|host| host.parse().unwrap());
    let server = ca.server(&hosts, KeyKind::EcdsaP256, Validity::days(10)).unwrap();
    let server = Description::of(server.certificate()).unwrap();
    assert_eq!(server.subject, "CN=hub.local");
    assert_eq!(server.names, ["hub.local", "192.168.1.20", "fe80::1"]);
    assert!(server.for_servers && !server.for_clients && !server.is_authority);
    let client = ca.client("me", KeyKind::EcdsaP256, Validity::days(10)).unwrap();
    assert!(is_signed_by(client.certificate(), ca.own().certificate()));
    let client = Description::of(client.certificate()).unwrap();
    assert!(client.for_clients && !client.for_servers && !client.is_authority);
    let own = Description::of(ca.own().certificate()).unwrap();
    assert!(own.is_authority && !own.for_clients && !own.for_servers);
    assert_ne!(client.serial, server.serial);
}

#[test]
fn nothing_outlives_its_ca() {
    let ca = Authority::create("CA", KeyKind::EcdsaP256, Validity::days(10)).unwrap();
    let client = ca.client("me", KeyKind::EcdsaP256, Validity::days(1000)).unwrap();
    let until = Description::of(client.certificate()).unwrap().until;
    assert_eq!(until, ca.until());
}

#[test]
fn an_existing_ca_is_not_replaced_unless_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::new(dir.path());
    folder.found(&founding()).unwrap();
    let before = fs::read(dir.path().join("ca/ca.key")).unwrap();
    let refused = folder.found(&founding()).unwrap_err().to_string();
    assert!(refused.contains("--force replaces it"), "{refused}");
    assert_eq!(fs::read(dir.path().join("ca/ca.key")).unwrap(), before);
    // A second one, for devices, leaves the first as it is.
    folder.found(&Founding { separate: true, ..founding() }).unwrap();
    assert_eq!(fs::read(dir.path().join("ca/ca.key")).unwrap(), before);
    assert_eq!(folder.authority_file(Role::Devices, "ca.crt"), dir.path().join("client-ca/ca.crt"));
    folder.found(&Founding { overwrite: true, ..founding() }).unwrap();
    assert_ne!(fs::read(dir.path().join("ca/ca.key")).unwrap(), before);
}

#[test]
fn a_ca_with_a_password_signs_only_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::new(dir.path());
    assert!(!folder.is_encrypted(Role::Servers), "there is none yet");
    folder.found(&Founding { password: Some("secret"), ..founding() }).unwrap();
    assert!(folder.is_encrypted(Role::Servers));
    assert!(matches!(folder.authority(Role::Servers, None), Err(Error::PasswordNeeded { .. })));
    assert!(matches!(folder.authority(Role::Servers, Some("wrong")), Err(Error::PasswordWrong { .. })));
    let ca = folder.authority(Role::Servers, Some("secret")).unwrap();
    ca.client("me", KeyKind::EcdsaP256, Validity::days(1)).unwrap();
}

#[test]
fn a_ca_has_to_be_one_and_to_fit_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let ca = Authority::create("CA", KeyKind::EcdsaP256, Validity::days(100)).unwrap();
    let other = Authority::create("CA", KeyKind::EcdsaP256, Validity::days(100)).unwrap();
    let client = ca.client("me", KeyKind::EcdsaP256, Validity::days(10)).unwrap();
    fs::write(at("ca.crt"), ca.own().pem()).unwrap();
    fs::write(at("other.key"), other.own().key().pem()).unwrap();
    fs::write(at("client.crt"), client.pem()).unwrap();
    fs::write(at("client.key"), client.key().pem()).unwrap();
    let load = |certificate, key| Authority::load(&at(certificate), &at(key), None).unwrap_err().to_string();
    assert!(load("ca.crt", "other.key").contains("do not belong together"));
    assert!(load("client.crt", "client.key").contains("not the certificate of a CA"));
    assert!(load("none.crt", "client.key").contains("`tautline cert init` makes one"));
    assert!(load("ca.crt", "none.key").contains("there is no private key of the CA at"));
    assert!(load("other.key", "other.key").contains("no certificate is in the PEM"));
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let folder = Folder::new("tls");
    for name in ["../x", "..", "a/b", ""] {
        assert!(folder.client_certificate(name).is_err(), "{name}");
    }
    let ca = Authority::create("CA", KeyKind::EcdsaP256, Validity::days(1)).unwrap();
    for name in ["", " x", "a\nb", &"x".repeat(65)] {
        assert!(ca.client(name, KeyKind::EcdsaP256, Validity::days(1)).is_err(), "{name:?}");
    }
    assert!(ca.server(&[], KeyKind::EcdsaP256, Validity::days(1)).is_err());
}

#[test]
fn a_revocation_is_written_once() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::new(dir.path());
    folder.found(&founding()).unwrap();
    let ca = folder.authority(Role::Devices, None).unwrap();
    let client = ca.client("me", KeyKind::EcdsaP256, Validity::days(1)).unwrap();
    let number = serial(client.certificate()).unwrap();
    assert_eq!(folder.signer(client.certificate()), Some(Role::Devices));
    assert!(!folder.revocation_list(Role::Devices).unwrap().unwrap().revokes(client.certificate()));
    assert!(folder.revoke(Role::Devices, &number, None).unwrap().1);
    let written = fs::read(dir.path().join("ca/ca.crl")).unwrap();
    assert!(!folder.revoke(Role::Devices, &number, None).unwrap().1);
    assert_eq!(fs::read(dir.path().join("ca/ca.crl")).unwrap(), written);
    assert!(folder.revocation_list(Role::Devices).unwrap().unwrap().revokes(client.certificate()));
}
