//! `tautline cert`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use tempfile::TempDir;
use tokio::time::timeout;

use super::{LIMIT, command, text};

/// Runs it in this folder, with a password in the environment if there is one.
async fn cert_with(folder: &TempDir, arguments: &[&str], password: Option<&str>) -> Output {
    let mut command = command(&["cert"]);
    command.args(arguments).current_dir(folder.path()).env_remove("TAUTLINE_CA_PASSWORD");
    if let Some(password) = password {
        command.env("TAUTLINE_CA_PASSWORD", password);
    }
    timeout(LIMIT, command.output()).await.expect("it ends").unwrap()
}

/// As [`cert_with`], for what has to go well; answers its output.
async fn cert(folder: &TempDir, arguments: &[&str]) -> String {
    let output = cert_with(folder, arguments, None).await;
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout).to_owned()
}

/// The one line that is said when it fails.
async fn refused(folder: &TempDir, arguments: &[&str]) -> String {
    let output = cert_with(folder, arguments, None).await;
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
    assert!(error.starts_with("error: ") && error.lines().count() == 1, "{error}");
    error.to_owned()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

const ONE_LINE: [&str; 2] = ["--srv=192.168.1.20", "--cn=ESP Client 1"];

#[tokio::test]
async fn one_line_makes_all_that_the_device_project_needs() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("src")).unwrap();
    fs::write(folder.path().join("src/config.json"), "{}").unwrap();
    let said = cert(&folder, &ONE_LINE).await;
    for file in [
        "tls/ca/ca.crt",
        "tls/ca/ca.der",
        "tls/ca/ca.key",
        "tls/192.168.1.20/192.168.1.20.crt",
        "tls/192.168.1.20/192.168.1.20.key",
        "tls/clients/ESP Client 1/ESP Client 1.crt",
        "tls/clients/ESP Client 1/ESP Client 1.key",
        "src/ca.der",
        "src/ESP Client 1.crt",
        "src/ESP Client 1.key",
    ] {
        assert!(said.contains(file), "{file} is not in: {said}");
        let path = folder.path().join(file);
        assert_eq!(mode(&path) & 0o077 == 0, file.ends_with(".key"), "{file}");
    }
    let shown = cert(&folder, &["show", "tls/192.168.1.20/192.168.1.20.crt", "src/ESP Client 1.crt"]).await;
    assert!(shown.contains("a server") && shown.contains("reached by   192.168.1.20\n"), "{shown}");
    assert!(shown.contains("CN=ESP Client 1") && shown.contains("which is tls/ca/ca.crt"), "{shown}");
}

#[tokio::test]
async fn a_further_device_leaves_ca_and_server_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    cert(&folder, &ONE_LINE).await;
    let read = |file: &str| fs::read(folder.path().join("tls").join(file)).unwrap();
    let before = [read("ca/ca.key"), read("192.168.1.20/192.168.1.20.key")];
    cert(&folder, &["--srv=192.168.1.20", "--cn=ESP Client 2"]).await;
    assert_eq!([read("ca/ca.key"), read("192.168.1.20/192.168.1.20.key")], before);
    read("clients/ESP Client 2/ESP Client 2.key");
    assert!(!folder.path().join("src").exists(), "there is no controller's project here");
    let again = cert(&folder, &ONE_LINE).await;
    assert_eq!(again.matches("stays").count(), 2, "{again}");
}

#[tokio::test]
async fn nothing_is_overwritten_without_force() {
    let folder = tempfile::tempdir().unwrap();
    cert(&folder, &["init"]).await;
    cert(&folder, &["server", "hub.local"]).await;
    cert(&folder, &["client", "me"]).await;
    for (again, file) in [
        (&["init"][..], "ca/ca.key"),
        (&["server", "hub.local"], "hub.local/hub.local.key"),
        (&["client", "me"], "clients/me/me.key"),
    ] {
        let path = folder.path().join("tls").join(file);
        let before = fs::read(&path).unwrap();
        assert!(refused(&folder, again).await.contains("--force"));
        assert_eq!(fs::read(&path).unwrap(), before);
    }
    let said = cert(&folder, &["client", "me", "--force"]).await;
    assert!(said.contains("stays valid until") && said.contains("tautline cert revoke --serial "), "{said}");
}

#[tokio::test]
async fn what_is_of_no_use_any_more_is_not_kept_silently() {
    let folder = tempfile::tempdir().unwrap();
    cert(&folder, &ONE_LINE).await;
    cert(&folder, &["init", "--force"]).await;
    let error = refused(&folder, &ONE_LINE).await;
    assert!(error.contains("not signed by the CA that is there now: --force makes a new one"), "{error}");
    cert(&folder, &["--srv=192.168.1.20", "--cn=ESP Client 1", "--force"]).await;
    cert(&folder, &["revoke", "ESP Client 1"]).await;
    assert!(refused(&folder, &ONE_LINE).await.contains("is revoked"));
}

#[tokio::test]
async fn a_stolen_device_is_revoked_by_name_file_or_number() {
    let folder = tempfile::tempdir().unwrap();
    cert(&folder, &["init"]).await;
    let certificate = |name: &str| format!("tls/clients/{name}/{name}.crt");
    for name in ["one", "two", "three"] {
        cert(&folder, &["client", name]).await;
        let shown = cert(&folder, &["show", &certificate(name)]).await;
        assert!(shown.contains("revoked      no"), "{shown}");
    }
    let shown = cert(&folder, &["show", &certificate("three")]).await;
    let number = shown.lines().find_map(|line| line.trim().strip_prefix("number ")).unwrap().trim().to_owned();
    cert(&folder, &["revoke", "one"]).await;
    cert(&folder, &["revoke", &certificate("two")]).await;
    cert(&folder, &["revoke", "--serial", &number]).await;
    for name in ["one", "two", "three"] {
        let shown = cert(&folder, &["show", &certificate(name)]).await;
        assert!(shown.contains("revoked      YES"), "{shown}");
    }
    assert!(cert(&folder, &["revoke", "one"]).await.contains("was revoked before"));
    assert!(refused(&folder, &["revoke", "nobody"]).await.contains("neither a client nor a file `nobody`"));
}

#[tokio::test]
async fn a_ca_with_a_password_needs_it_each_time() {
    let folder = tempfile::tempdir().unwrap();
    assert!(refused(&folder, &["init", "--encrypt"]).await.contains("TAUTLINE_CA_PASSWORD"));
    let made = cert_with(&folder, &["init"], Some("secret")).await;
    assert!(made.status.success(), "{}", text(&made.stderr));
    let key = fs::read_to_string(folder.path().join("tls/ca/ca.key")).unwrap();
    assert!(key.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    assert!(refused(&folder, &["client", "me"]).await.contains("encrypted: give its password (TAUTLINE_CA_PASSWORD"));
    let wrong = cert_with(&folder, &["client", "me"], Some("wrong")).await;
    assert!(text(&wrong.stderr).contains("encrypted with another password"), "{}", text(&wrong.stderr));
    let right = cert_with(&folder, &["client", "me"], Some("secret")).await;
    assert!(right.status.success(), "{}", text(&right.stderr));
}

#[tokio::test]
async fn devices_can_have_a_ca_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    cert(&folder, &["init", "--separate"]).await;
    cert(&folder, &["server", "hub.local"]).await;
    cert(&folder, &["client", "me", "--copy-to", "to"]).await;
    let shown = cert(&folder, &["show", "tls/hub.local/hub.local.crt"]).await;
    assert!(shown.contains("which is tls/ca/ca.crt"), "{shown}");
    let shown = cert(&folder, &["show", "to/me.crt"]).await;
    assert!(shown.contains("which is tls/client-ca/ca.crt"), "{shown}");
    // A controller has to know the server.
    let der = |file: &str| fs::read(folder.path().join(file)).unwrap();
    assert_eq!(der("to/ca.der"), der("tls/ca/ca.der"));
    cert(&folder, &["revoke", "me"]).await;
    assert!(cert(&folder, &["show", "to/me.crt"]).await.contains("YES"));
}

#[tokio::test]
async fn a_client_without_a_name_gets_one_that_nobody_has() {
    let folder = tempfile::tempdir().unwrap();
    cert(&folder, &["init"]).await;
    for _ in 0..2 {
        cert(&folder, &["client", "--bundle"]).await;
    }
    let names: Vec<_> = fs::read_dir(folder.path().join("tls/clients"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(names.len() == 2 && names.iter().all(|name| name.len() == 36), "{names:?}");
    let bundle = folder.path().join(format!("tls/clients/{0}/{0}.pem", names[0]));
    assert_eq!(mode(&bundle), 0o600);
}

#[tokio::test]
async fn errors_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    assert!(refused(&folder, &["client", "me"]).await.contains("`tautline cert init` makes one"));
    assert!(refused(&folder, &["show", "none.crt"]).await.contains("there is no certificate at none.crt"));
    fs::write(folder.path().join("junk"), "\u{1b}[2J").unwrap();
    assert!(refused(&folder, &["show", "junk"]).await.contains("neither PEM nor DER"));
    for (wrong, word) in [
        (&[][..], "--srv"),
        (&["--srv=hub:8443"], "no port"),
        (&["client", "me", "--key", "dsa"], "rsa:2048"),
        (&["client", "me", "--days", "0"], "--days"),
        (&["revoke"], "NAME_OR_FILE"),
        (&["revoke", "--serial", "xyz"], "hexadecimal"),
    ] {
        let output = cert_with(&folder, wrong, None).await;
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {error}");
        assert!(error.contains(word), "{error}");
    }
    assert!(!folder.path().join("tls").exists(), "nothing was made");
}

#[cfg(feature = "rsa")]
#[tokio::test]
async fn rsa_is_there_on_request() {
    let folder = tempfile::tempdir().unwrap();
    cert(&folder, &["--srv=hub.local", "--cn=me", "--key=rsa:2048"]).await;
    let shown = cert(&folder, &["show", "tls/ca/ca.crt", "tls/clients/me/me.crt.der"]).await;
    assert_eq!(shown.matches("RSA with 2048 bits").count(), 2, "{shown}");
}
