//! `tautline backup`, beside a hub that runs.

use tautline::connect;

use super::{LIMIT, Tautline, command, text};

#[tokio::test]
async fn a_backup_of_a_running_hub_is_a_hub_like_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (data, copy) = (path("data"), path("copy.db"));
    let backup = async || {
        let mut command = command(&["backup", "--data", &data, &copy]);
        tokio::time::timeout(LIMIT, command.output()).await.expect("it ends").unwrap()
    };
    let none = backup().await;
    assert_eq!(none.status.code(), Some(1), "{none:?}");
    assert!(text(&none.stderr).starts_with("error: there is no database"), "{none:?}");

    let mut hub = Tautline::start(&["serve", "--port", "0", "--data", &data]);
    set(&counter(&mut hub).await, 41).await;
    let made = backup().await;
    assert_eq!(made.status.code(), Some(0), "{made:?}");
    let again = backup().await;
    assert!(again.status.code() == Some(1) && text(&again.stderr).contains("not overwritten"), "{again:?}");

    let other = path("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::rename(&copy, format!("{other}/tautline.db")).unwrap();
    let mut restored = Tautline::start(&["serve", "--port", "0", "--data", &other]);
    let mut ws = connect(counter(&mut restored).await).await.unwrap();
    ws.recv().await.unwrap();
    assert_eq!(ws.recv().await.unwrap().as_text(), Some(r#"{"type": "state", "value": 41}"#));
}

/// Where the hub's counter is.
async fn counter(hub: &mut Tautline) -> String {
    let line = hub.line().await;
    line.replace("listening on http://", "ws://") + "counter"
}

async fn set(counter: &str, value: i64) {
    let mut ws = connect(counter).await.unwrap();
    ws.send(format!(r#"{{"action":"set","value":{value}}}"#)).await.unwrap();
    let told = format!(r#"{{"type": "state", "value": {value}}}"#);
    while ws.recv().await.unwrap().as_text() != Some(&*told) {}
}
