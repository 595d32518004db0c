//! `tautline config`, and what `tautline serve` makes of files, variables and options.

use std::path::Path;

use rustix::process::Signal;
use tokio::process::Command;

use super::serve::get;
use super::{LIMIT, Tautline, command, run, text};

/// The program in a directory of its own, where it keeps its store.
fn command_in(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = command(arguments);
    command.current_dir(directory).env_remove("TAUTLINE_DATA");
    command
}

async fn output_in(directory: &Path, arguments: &[&str]) -> std::process::Output {
    tokio::time::timeout(LIMIT, command_in(directory, arguments).output()).await.expect("it ends").unwrap()
}

/// Starts a server; answers the addresses that it says it listens on, with their schemes.
async fn serve(command: &mut Command, addresses: usize) -> (Tautline, Vec<String>) {
    let mut server = Tautline::spawn(command);
    let mut found = Vec::new();
    for _ in 0..addresses {
        let line = server.line().await;
        let url = line.strip_prefix("listening on ").unwrap_or_else(|| panic!("{line}"));
        found.push(url.trim_end_matches('/').to_owned());
    }
    (server, found)
}

fn write(directory: &Path, name: &str, content: &str) {
    std::fs::write(directory.join(name), content).unwrap();
}

/// The value of a key and where it comes from, as `--effective` prints them.
async fn effective(directory: &Path, arguments: &[&str], variables: &[(&str, &str)], key: &str) -> String {
    let mut command = command_in(directory, &[&["config", "--effective"], arguments].concat());
    let printed = command.envs(variables.iter().copied()).output().await.unwrap();
    assert_eq!(printed.status.code(), Some(0), "{}", text(&printed.stderr));
    let lines: Vec<_> = text(&printed.stdout).lines().filter(|line| line.starts_with(&format!("{key} ="))).collect();
    lines[0].split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_printed_file_is_good_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let printed = output_in(directory.path(), &["config"]).await;
    write(directory.path(), "tautline.toml", text(&printed.stdout));
    let checked = output_in(directory.path(), &["config", "--check", "tautline.toml"]).await;
    assert_eq!((checked.status.code(), text(&checked.stdout)), (Some(0), "tautline.toml is good\n"));
    assert_eq!(effective(directory.path(), &[], &[], "port").await.split(" # ").next(), Some("port = 8000"));
}

#[tokio::test]
async fn a_file_that_is_not_good_is_told_line_by_line() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "bad.toml", "[listen]\nprot = 1\n[websocket]\nping_timeout = 0\n");
    let checked = output_in(directory.path(), &["config", "--check", "bad.toml"]).await;
    assert_eq!(checked.status.code(), Some(2));
    let lines: Vec<_> = text(&checked.stderr).lines().collect();
    assert_eq!(lines[0], "error: bad.toml:2: there is no key `prot` here: `port` is meant?");
    assert!(lines[1].starts_with("error: bad.toml:4: ping_timeout cannot be 0: "), "{lines:?}");

    let started = output_in(directory.path(), &["serve", "--config", "bad.toml"]).await;
    assert_eq!(started.status.code(), Some(2));
    let errors = text(&started.stderr);
    assert!(errors.lines().count() == 1 && errors.contains("bad.toml:2: ") && errors.contains("--check"), "{errors}");

    let missing = output_in(directory.path(), &["serve", "--config", "missing.toml"]).await;
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing.stderr).contains("cannot read missing.toml"), "{}", text(&missing.stderr));
}

#[tokio::test]
async fn options_go_before_variables_and_those_before_files() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    write(here, "tautline.toml", "[listen]\nport = 1\n");
    write(here, "other.toml", "[listen]\nport = 2\n");
    let variable = [("TAUTLINE_PORT", "3")];
    let other = [("TAUTLINE_CONFIG", "other.toml")];
    assert_eq!(effective(here, &[], &[], "port").await, "port = 1 # tautline.toml:2");
    assert_eq!(effective(here, &[], &other, "port").await, "port = 2 # other.toml:2");
    assert_eq!(effective(here, &["--config", "tautline.toml"], &other, "port").await, "port = 1 # tautline.toml:2");
    assert_eq!(effective(here, &[], &variable, "port").await, "port = 3 # TAUTLINE_PORT");
    assert_eq!(effective(here, &["--port", "4"], &variable, "port").await, "port = 4 # --port");
    let level = [("TAUTLINE_LOG_LEVEL", "error")];
    assert_eq!(effective(here, &[], &level, "level").await, "level = \"error\" # TAUTLINE_LOG_LEVEL");
    assert_eq!(effective(here, &["--log-level", "debug"], &level, "level").await, "level = \"debug\" # --log-level");
}

#[tokio::test]
async fn the_file_that_is_here_is_read_and_the_log_says_so() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "tautline.toml", "[listen]\nport = 0\napp = \"echo\"\n[log]\nformat = \"json\"\n");
    let (mut server, addresses) = serve(&mut command_in(directory.path(), &["serve"]), 1).await;
    assert!(server.line().await.contains("echo"), "{addresses:?}");
    server.signal(Signal::TERM);
    let (status, errors) = server.end().await;
    assert_eq!(status, Some(0));
    let read = errors.lines().find(|line| line.contains("configuration read")).expect("a line about the file");
    assert!(read.starts_with('{') && read.ends_with('}') && read.contains(r#""file":"tautline.toml""#), "{read}");
}

#[tokio::test]
async fn the_store_is_made_where_it_is_started() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["serve", "--port", "0"];
    let (server, _) = serve(&mut command_in(directory.path(), &arguments), 1).await;
    assert!(directory.path().join("tautline-data/tautline.db").is_file());

    let second = output_in(directory.path(), &arguments).await;
    assert_eq!((second.status.code(), text(&second.stdout)), (Some(1), ""));
    let error = text(&second.stderr).lines().last().unwrap().to_owned();
    assert!(error.starts_with("error: ") && error.contains("tautline-data is in use"), "{error}");
    assert!(error.contains("--data") && error.contains("--no-store"), "{error}");

    server.signal(Signal::TERM);
    assert_eq!(server.end().await.0, Some(0));
    assert!(!directory.path().join("tautline-data/tautline.db-wal").exists(), "closed well");
}

#[tokio::test]
async fn nothing_is_kept_if_nobody_wants_it() {
    let directory = tempfile::tempdir().unwrap();
    for arguments in [&["serve", "--port", "0", "--no-store"][..], &["serve", "--port", "0", "--app", "hello"]] {
        let (server, _) = serve(&mut command_in(directory.path(), arguments), 1).await;
        server.signal(Signal::TERM);
        assert_eq!(server.end().await.0, Some(0));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "{arguments:?}");
    }
}

#[tokio::test]
async fn options_of_other_servers_are_taken_with_a_note() {
    let arguments = ["serve", "--port", "0", "--reload", "--workers", "1", "--log-level", "info"];
    let (server, _) = serve(&mut command(&arguments), 1).await;
    server.signal(Signal::TERM);
    let (status, errors) = server.end().await;
    assert_eq!(status, Some(0));
    assert!(errors.contains("--reload has no effect") && errors.contains("--workers has no effect"), "{errors}");
}

#[tokio::test]
async fn without_a_certificate_the_command_that_makes_one_is_told_and_works() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let arguments = ["serve", "--ssl", "--port", "0", "--no-store"];
    let refused = output_in(here, &arguments).await;
    assert_eq!((refused.status.code(), text(&refused.stdout)), (Some(1), ""));
    let told = text(&refused.stderr).split('`').nth(1).expect("a command").to_owned();
    assert_eq!(told, "tautline cert --srv=127.0.0.1");

    let words: Vec<&str> = told.split(' ').skip(1).collect();
    let made = output_in(here, &words).await;
    assert!(made.status.success(), "{}", text(&made.stderr));
    let (mut server, addresses) = serve(&mut command_in(here, &arguments), 1).await;
    let address = addresses[0].strip_prefix("https://").expect("TLS on the only port").to_owned();
    assert!(server.line().await.contains(&format!("https://{address}/")));
    assert!(server.line().await.contains(&format!("wss://{address}/")));
    let (ca, url) = (here.join("tls/ca/ca.crt"), format!("wss://{address}/echo"));
    let echoed = run(&["connect", &url, "--ca", ca.to_str().unwrap()], b"hi\n").await;
    assert_eq!(text(&echoed.stdout), "hi\n", "{}", text(&echoed.stderr));
}

#[tokio::test]
async fn plain_and_tls_are_served_side_by_side() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    assert!(output_in(here, &["cert", "--srv=127.0.0.1"]).await.status.success());
    write(here, "tautline.toml", "[listen]\nport = 0\n[tls]\nport = 0\n[store]\npath = \"memory\"\n");
    let (_server, addresses) = serve(&mut command_in(here, &["serve"]), 2).await;
    let plain = addresses[0].strip_prefix("http://").expect("the plain one first");
    let secure = addresses[1].strip_prefix("https://").expect("then the other");
    assert!(get(plain, "/healthz").await.ends_with("ok"));
    let ca = here.join("tls/ca/ca.crt");
    let (url, ca) = (format!("wss://{secure}/counter"), ca.to_str().unwrap());
    let mut first = Tautline::start(&["connect", &url, "--ca", ca]);
    assert_eq!(first.line().await, r#"{"type": "users", "count": 1}"#);
    let mut second = Tautline::start(&["connect", &format!("ws://{plain}/counter")]);
    assert_eq!(second.line().await, r#"{"type": "users", "count": 2}"#);
}

#[tokio::test]
async fn clients_without_a_certificate_are_refused_where_one_is_required() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    assert!(output_in(here, &["cert", "--srv=127.0.0.1", "--cn=ESP Client 1"]).await.status.success());
    let arguments = [
        "serve",
        "--ssl",
        "--ssl-keyfile=tls/127.0.0.1/127.0.0.1.key",
        "--ssl-certfile=tls/127.0.0.1/127.0.0.1.crt",
        "--ssl-ca-cert=tls/ca/ca.crt",
        "--ssl-certs-reqs=2",
        "--port=0",
        "--no-store",
    ];
    let (_server, addresses) = serve(&mut command_in(here, &arguments), 1).await;
    let url = addresses[0].replace("https://", "wss://") + "/echo";
    let file = |name: &str| here.join(name).to_str().unwrap().to_owned();
    let ca = file("tls/ca/ca.crt");
    let stranger = run(&["connect", &url, "--ca", &ca], b"hi\n").await;
    assert_eq!((stranger.status.code(), text(&stranger.stdout)), (Some(1), ""));
    let own = [file("tls/clients/ESP Client 1/ESP Client 1.crt"), file("tls/clients/ESP Client 1/ESP Client 1.key")];
    let known = run(&["connect", &url, "--ca", &ca, "--cert", &own[0], "--key", &own[1]], b"hi\n").await;
    assert_eq!(text(&known.stdout), "hi\n", "{}", text(&known.stderr));
}

#[tokio::test]
async fn certificates_are_read_again_on_sighup() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    assert!(output_in(here, &["cert", "--srv=127.0.0.1"]).await.status.success());
    let arguments = ["serve", "--ssl", "--port", "0", "--no-store", "--log-level", "info"];
    let (mut server, addresses) = serve(&mut command_in(here, &arguments), 1).await;
    let url = addresses[0].replace("https://", "wss://") + "/echo";
    let ca = here.join("tls/ca/ca.crt");
    let connect = ["connect", &url, "--ca", ca.to_str().unwrap()];
    assert_eq!(text(&run(&connect, b"1\n").await.stdout), "1\n");

    std::fs::rename(here.join("tls"), here.join("old")).unwrap();
    assert!(output_in(here, &["cert", "--srv=127.0.0.1"]).await.status.success());
    assert_eq!(run(&connect, b"2\n").await.status.code(), Some(1), "the new CA does not know the old certificate");
    server.signal(Signal::HUP);
    server.logs("certificates read again").await;
    assert_eq!(text(&run(&connect, b"3\n").await.stdout), "3\n");

    write(here, "tls/127.0.0.1/127.0.0.1.crt", "no certificate");
    server.signal(Signal::HUP);
    server.logs("certificates stay as they were").await;
    assert_eq!(text(&run(&connect, b"4\n").await.stdout), "4\n");
}

#[tokio::test]
async fn sighup_does_not_end_a_server_without_certificates() {
    let (mut server, address) = Tautline::serve(&["serve", "--port", "0"]).await;
    server.signal(Signal::HUP);
    server.logs("no certificates to read again").await;
    assert!(get(&address, "/healthz").await.ends_with("ok"));
}

// Elsewhere a process that is started at the same moment could get hold of the terminal.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_server_ends_with_its_terminal() {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let outer = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&outer).unwrap();
    unlockpt(&outer).unwrap();
    let path = ptsname(&outer, Vec::new()).unwrap().into_string().unwrap();
    let inner = std::fs::File::options().read(true).write(true).open(&path).unwrap();
    let mut watched = inner.try_clone().unwrap();
    let (mut server, _) = serve(command(&["serve", "--port", "0", "--log-level", "info"]).stdin(inner), 1).await;
    server.signal(Signal::HUP);
    server.logs("no certificates to read again").await;
    drop(outer);
    // A process that is being started at this moment has the outer end for a little longer.
    let gone = tokio::task::spawn_blocking(move || std::io::Read::read(&mut watched, &mut [0]));
    assert!(matches!(tokio::time::timeout(LIMIT, gone).await.unwrap().unwrap(), Ok(0) | Err(_)));
    server.signal(Signal::HUP);
    let (status, errors) = server.end().await;
    assert_eq!(status, Some(0), "{errors}");
    assert!(errors.contains("the terminal is gone"), "{errors}");
}

#[tokio::test]
async fn a_client_that_is_revoked_loses_its_session() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    assert!(output_in(here, &["cert", "--srv=127.0.0.1", "--cn=lost"]).await.status.success());
    let arguments = ["serve", "--ssl-cert-reqs", "required", "--port", "0", "--no-store", "--log-level", "info"];
    let (mut server, addresses) = serve(&mut command_in(here, &arguments), 1).await;
    let url = addresses[0].replace("https://", "wss://") + "/counter";
    let file = |name: &str| here.join(name).to_str().unwrap().to_owned();
    let (ca, certificate, key) =
        (file("tls/ca/ca.crt"), file("tls/clients/lost/lost.crt"), file("tls/clients/lost/lost.key"));
    let connect = ["connect", &url, "--ca", &ca, "--cert", &certificate, "--key", &key];
    let mut client = Tautline::start(&connect);
    assert_eq!(client.line().await, r#"{"type": "users", "count": 1}"#);

    let revoked = output_in(here, &["cert", "revoke", "lost"]).await;
    assert!(revoked.status.success(), "{}", text(&revoked.stderr));
    server.signal(Signal::HUP);
    server.logs("certificates read again").await;
    let (status, errors) = client.end().await;
    assert!(status == Some(1) && errors.contains("1008"), "{errors}");
    assert_eq!(run(&connect, b"").await.status.code(), Some(1), "and does not get in again");
}

#[tokio::test]
async fn only_clients_on_the_list_may_connect() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    for name in ["a", "b"] {
        assert!(output_in(here, &["cert", "--srv=127.0.0.1", &format!("--cn={name}")]).await.status.success());
    }
    write(here, "tautline.toml", "[listen]\nport = 0\n[tls]\nclient_auth = 2\nallowed_clients = [\"a\"]\n");
    let (_server, addresses) = serve(&mut command_in(here, &["serve", "--no-store"]), 1).await;
    let url = addresses[0].replace("https://", "wss://") + "/echo";
    let file = |name: String| here.join(name).to_str().unwrap().to_owned();
    for (name, allowed) in [("a", true), ("b", false)] {
        let (ca, own) = (file("tls/ca/ca.crt".into()), format!("tls/clients/{name}/{name}"));
        let (certificate, key) = (file(format!("{own}.crt")), file(format!("{own}.key")));
        let client = run(&["connect", &url, "--ca", &ca, "--cert", &certificate, "--key", &key], b"hi\n").await;
        assert_eq!(client.status.success(), allowed, "{}", text(&client.stderr));
        assert!(allowed || text(&client.stderr).contains("403"), "{}", text(&client.stderr));
    }
}
