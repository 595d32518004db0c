//! `tautline device`, beside a hub that runs and without one.

use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use tautline_store::{DeviceKey, Settings, Store};
use tempfile::TempDir;

use super::{LIMIT, Tautline, command, text};

async fn device(data: &TempDir, arguments: &[&str]) -> Output {
    let mut command = command(&[&["device"][..], arguments].concat());
    command.env("TAUTLINE_DATA", data.path().join("data"));
    tokio::time::timeout(LIMIT, command.output()).await.expect("it ends").unwrap()
}

/// What it says if all goes well.
async fn good(data: &TempDir, arguments: &[&str]) -> String {
    let output = device(data, arguments).await;
    assert!(output.status.success(), "{output:?}");
    text(&output.stdout).to_owned()
}

/// What it complains of, with which exit status.
async fn bad(data: &TempDir, arguments: &[&str]) -> (Option<i32>, String) {
    let output = device(data, arguments).await;
    assert_eq!(text(&output.stdout), "");
    assert_eq!(text(&output.stderr).lines().count(), 1, "{output:?}");
    (output.status.code(), text(&output.stderr).to_owned())
}

fn stored(data: &TempDir) -> Vec<DeviceKey> {
    let store = Store::open(data.path().join("data"), Settings::new()).unwrap();
    store.read(|reader| reader.device_keys()).unwrap()
}

fn digits(key: &[u8; 32]) -> String {
    key.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_device_is_added_beside_a_hub_that_runs() {
    let data = tempfile::tempdir().unwrap();
    let directory = data.path().join("data");
    let mut hub = Tautline::start(&["serve", "--port", "0", "--data", directory.to_str().unwrap()]);
    hub.line().await;
    let added = good(&data, &["add", "kitchen", "hall ñ"]).await;
    let lines: Vec<_> = added.lines().collect();
    assert_eq!(lines.len(), 6, "{added}");
    assert_eq!((lines[0], lines[3]), ("device 1 kitchen", "device 2 hall ñ"));
    hub.signal(rustix::process::Signal::TERM);
    assert_eq!(hub.end().await.0, Some(0));
    let keys = stored(&data);
    assert_eq!(keys.len(), 2);
    for (key, lines) in keys.iter().zip(lines.chunks(3)) {
        let digits = digits(&key.key.0);
        assert_eq!(lines[1], format!("key {digits}"));
        assert!(lines[2].starts_with(&format!("tautline:device?number={}&name=", key.number)), "{}", lines[2]);
        assert!(lines[2].ends_with(&format!("&key={digits}")), "{}", lines[2]);
    }
    assert_ne!(keys[0].key, keys[1].key);
    let mode = std::fs::metadata(directory.join("tautline.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_code_is_drawn_for_those_who_want_one() {
    let data = tempfile::tempdir().unwrap();
    assert!(!good(&data, &["add", "a"]).await.contains('█'), "the output is no terminal");
    assert!(good(&data, &["add", "b", "--qr"]).await.contains('█'));
}

#[tokio::test]
async fn keys_are_replaced_and_revoked_and_never_listed() {
    let data = tempfile::tempdir().unwrap();
    good(&data, &["add", "kitchen"]).await;
    let first = stored(&data)[0].key;
    good(&data, &["rotate", "kitchen"]).await;
    let key = stored(&data).remove(0);
    assert!(key.key != first && key.previous == Some(first));
    let listed = good(&data, &["list"]).await;
    assert!(listed.contains("kitchen") && listed.contains("good; its new key was not used yet"), "{listed}");
    assert!(!listed.contains(&digits(&key.key.0)) && !listed.contains(&digits(&first.0)));
    good(&data, &["rotate", "kitchen", "--now"]).await;
    assert_eq!(stored(&data)[0].previous, None);
    assert_eq!(good(&data, &["revoke", "kitchen"]).await, "revoked the key of kitchen\n");
    assert!(stored(&data)[0].revoked_ms.is_some());
    assert_eq!(good(&data, &["revoke", "kitchen"]).await, "the key of kitchen was revoked before\n");
    assert!(good(&data, &["list"]).await.contains("revoked 2"));
}

#[tokio::test]
async fn errors_say_what_to_do() {
    let data = tempfile::tempdir().unwrap();
    for none in [&["list"][..], &["revoke", "a"], &["rotate", "a"]] {
        let (status, error) = bad(&data, none).await;
        assert!(status == Some(1) && error.contains("no database") && error.contains("--data"), "{error}");
    }
    assert!(!data.path().join("data").exists());
    good(&data, &["add", "a"]).await;
    for (wrong, status, word) in [
        (&["add", "a"][..], 1, "`tautline device rotate a`"),
        (&["add", "b", "b"], 1, "already"),
        (&["add", ""], 2, "1 to 64 bytes"),
        (&["add"], 2, "<NAME>"),
        (&["revoke", "b"], 1, "`tautline device list`"),
        (&["rotate", "\u{1b}[2J"], 1, "\\u{1b}[2J"),
        (&["list", "--data", "memory"], 2, "in memory"),
    ] {
        let (found, error) = bad(&data, wrong).await;
        assert!(found == Some(status) && error.contains(word), "{wrong:?}: {error}");
    }
    assert_eq!(stored(&data).len(), 1, "of two with one name none was added");
}
