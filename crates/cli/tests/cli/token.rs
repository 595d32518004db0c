//! `tautline token`, beside a hub that runs and without one.

use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use tautline::{CloseCode, ConnectError, Ended, connect};
use tempfile::TempDir;

use super::{LIMIT, Tautline, command, text};

async fn token(data: &TempDir, arguments: &[&str]) -> Output {
    let data = data.path().join("data");
    let mut command = command(&[&["token"][..], arguments].concat());
    command.env("TAUTLINE_DATA", data);
    tokio::time::timeout(LIMIT, command.output()).await.expect("it ends").unwrap()
}

/// What it says if all goes well.
async fn good(data: &TempDir, arguments: &[&str]) -> String {
    let output = token(data, arguments).await;
    assert!(output.status.success(), "{output:?}");
    text(&output.stdout).to_owned()
}

/// What it complains of, with which exit status.
async fn bad(data: &TempDir, arguments: &[&str]) -> (Option<i32>, String) {
    let output = token(data, arguments).await;
    assert_eq!(text(&output.stdout), "");
    (output.status.code(), text(&output.stderr).to_owned())
}

#[tokio::test]
async fn a_token_is_shown_once_and_only_its_hash_is_kept() {
    let data = tempfile::tempdir().unwrap();
    let added = token(&data, &["add", "page", "--expires", "30d"]).await;
    let shown = text(&added.stdout);
    let secret = shown.trim_end().rsplit('_').next().unwrap();
    assert!(shown.starts_with("tl_") && shown.lines().count() == 1 && secret.len() == 40, "{shown}");
    let explained = text(&added.stderr);
    assert!(explained.contains("page: publish, subscribe; rooms: all; good until "), "{explained}");
    let listed = good(&data, &["list"]).await;
    assert!(
        listed.contains("page") && listed.contains("publish, subscribe") && listed.contains("good until"),
        "{listed}"
    );
    let file = data.path().join("data/tautline.db");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let kept = std::fs::read(&file).unwrap();
    for hidden in [explained.as_bytes(), listed.as_bytes(), &kept] {
        assert!(!hidden.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
}

#[tokio::test]
async fn permissions_are_those_that_were_asked_for() {
    let data = tempfile::tempdir().unwrap();
    for (name, options, expected) in [
        ("a", &["--publish", "--room", "lab", "--room", "hall"][..], "publish              hall, lab  good"),
        ("b", &["--subscribe"], "subscribe            all        good"),
        ("c", &["--subscribe", "--command"], "subscribe, command   all        good"),
        ("d", &["--admin"], "admin                all        good"),
        ("e", &[], "publish, subscribe   all        good"),
    ] {
        good(&data, &[&["add", name], options].concat()).await;
        let listed = good(&data, &["list"]).await;
        let line = listed.lines().find(|line| line.contains(&format!("  {name}  "))).unwrap();
        let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(squeezed(line).ends_with(&squeezed(expected)), "{line}");
    }
}

#[tokio::test]
async fn errors_say_what_to_do() {
    let data = tempfile::tempdir().unwrap();
    for none in [&["list"][..], &["revoke", "page"]] {
        let (status, error) = bad(&data, none).await;
        assert!(status == Some(1) && error.contains("no database") && error.contains("--data"), "{error}");
    }
    assert!(!data.path().join("data").exists());
    for (wrong, word) in [
        (&["add", "page", "--expires", "1970-01-01T00:00:00Z"][..], "in the past"),
        (&["add", "page", "--expires", "soon"], "30d"),
        (&["add", "api"], "no token"),
        (&["add", "a\nb"], "control characters"),
        (&["add", "page", "--room", ""], "1 to 128 bytes"),
        (&["add", "page", "--room", "lab", "--admin"], "--admin"),
        (&["add", "page", "--room", "lab", "--command"], "--command"),
        (&["add", "page", "--data", "memory"], "in memory"),
        (&["add"], "NAME"),
    ] {
        let (status, error) = bad(&data, wrong).await;
        assert!(status == Some(2) && error.contains(word), "{wrong:?}: {error}");
    }
    assert!(!data.path().join("data").exists(), "nothing was made");
    good(&data, &["add", "page"]).await;
    let (status, error) = bad(&data, &["add", "page"]).await;
    assert!(status == Some(1) && error.contains("choose another name"), "{error}");
    let (status, error) = bad(&data, &["revoke", "nobody"]).await;
    assert!(status == Some(1) && error.contains("`tautline token list`"), "{error}");
    assert!(good(&data, &["revoke", "page"]).await.starts_with("revoked token "));
    assert!(good(&data, &["revoke", "page"]).await.contains("was revoked before"));
    good(&data, &["add", "page"]).await;
    assert_eq!(good(&data, &["list"]).await.matches("revoked").count(), 1);
}

#[tokio::test]
async fn tokens_count_and_stop_counting_while_the_hub_runs() {
    let data = tempfile::tempdir().unwrap();
    let mut starting = command(&["serve", "--port", "0"]);
    starting.env("TAUTLINE_DATA", data.path().join("data")).env("TAUTLINE_REQUIRE_AUTHENTICATION", "true");
    let mut hub = Tautline::spawn(&mut starting);
    let line = hub.line().await;
    let url = line.replace("listening on http://", "ws://") + "esp";
    assert!(matches!(connect(&url).await, Err(ConnectError::Refused(refusal)) if refusal.status() == 401));
    let token = good(&data, &["add", "plant 7"]).await;
    let token = token.trim_end();
    let url = format!("{url}?token={token}");
    let mut ws = loop {
        match connect(&url).await {
            Ok(ws) => break ws,
            // It has not looked yet. Not asked so often that its log, which nobody reads, fills the pipe.
            Err(ConnectError::Refused(refusal)) if refusal.status() == 401 => {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            Err(error) => panic!("{error}"),
        }
    };
    // By the token itself, as whoever has found it somewhere would.
    assert!(good(&data, &["revoke", token]).await.contains("plant 7"));
    let end = async { while ws.recv().await.is_some() {} };
    tokio::time::timeout(LIMIT, end).await.expect("it ends");
    assert_eq!(ws.ended(), Some(Ended::ClosedByPeer { code: CloseCode::POLICY_VIOLATION, clean: true }));
    assert!(matches!(connect(&url).await, Err(ConnectError::Refused(refusal)) if refusal.status() == 401));
    hub.signal(rustix::process::Signal::TERM);
    let (status, log) = hub.end().await;
    assert_eq!(status, Some(0));
    assert!(log.contains("New client: plant 7") && log.contains("token is revoked"), "{log}");
    assert!(!log.contains(token.rsplit('_').next().unwrap()), "{log}");
}
