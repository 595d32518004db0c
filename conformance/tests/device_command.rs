//! `tautline device --config config.json`, the device of the firmware on this computer: with the project's own files, against
//! the hub and the project's own server.

use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};
use tautline::{CloseCode, Ended, Message, Server, WebSocket, connect};
use tautline_conformance::peers::secure::{opened, ours};
use tautline_conformance::peers::{
    Cable, DEADLINE, Hub, Language, Ours, Process, Project, Scratch, bin, peer, request, tool, within,
};

/// A device that does not wait for long.
const PLAN: &str = "cycle_ms 100\nretry_ms 100\n";

/// What asks clients for certificates, as the project's README does.
const ASKING: &str = "--ssl --ssl-keyfile=tls/127.0.0.1/127.0.0.1.key --ssl-certfile=tls/127.0.0.1/127.0.0.1.crt \
                      --host=127.0.0.1 --port=0 --ssl-ca-cert=tls/ca/ca.crt --ssl-certs-reqs=2";

/// One of the project's own files as somebody has filled it in, for this server.
fn listing(name: &str, server: &str) -> String {
    let listing = std::fs::read_to_string(peer("seeds").join(name)).expect("the listing is there");
    let (scheme, _) = server.split_once("://").expect("an address");
    let port = if scheme == "wss" { 8443 } else { 8000 };
    let filled_in = listing.replace(&format!("{scheme}://<host IP>:{port}/"), server);
    assert_ne!(filled_in, listing, "{name} has the address {scheme}://<host IP>:{port}/");
    filled_in
}

/// `tautline device` with this configuration and this plan in this folder, and further options.
fn device(folder: &Path, config: &str, plan: &str, options: &[&str]) -> Process {
    Process::spawn(command(folder, config, plan, options))
}

fn command(folder: &Path, config: &str, plan: &str, options: &[&str]) -> Command {
    let file = folder.join("config.json");
    std::fs::write(&file, config).expect("the folder can be written to");
    std::fs::write(folder.join("plan"), format!("{PLAN}{plan}")).expect("the folder can be written to");
    let mut command = bin(&["device", "--config"]);
    // Not from its folder: what it names lies beside it all the same.
    command.arg(file).args(options);
    command
}

/// Waits until it prints this text.
async fn prints(device: &mut Process, text: &str) {
    device.find(|line| line.contains(text).then_some(())).await;
}

/// Says goodbye by Ctrl-C; what it printed then.
async fn ends_by_ctrl_c(device: Process) -> Vec<String> {
    device.signal(Signal::INT);
    let lines = device.success().await;
    assert!(lines.iter().any(|line| line.starts_with("closed with 1000")), "{lines:#?}");
    lines
}

async fn heard(friend: &mut WebSocket) -> String {
    let message = within("a message", friend.recv()).await.expect("an open connection");
    message.as_text().expect("text").to_owned()
}

async fn friend(hub: &Hub, path: &str) -> WebSocket {
    within("our client's connection", connect(hub.uri(path)).into_future()).await.expect("a connection")
}

#[tokio::test]
async fn it_says_sos_and_prints_what_it_hears() {
    let hub = Hub::start().await;
    for options in [&[][..], &["--raw"]] {
        let folder = Scratch::new();
        let config = listing("config_ws.json", &hub.uri("/"));
        let mut device = device(folder.path(), &config, "", options);
        prints(&mut device, "connected").await;
        let mut friend = friend(&hub, "/friend").await;
        assert_eq!(heard(&mut friend).await, "SOS");
        friend.send("help is on its way").await.expect("an open connection");
        prints(&mut device, "received help is on its way").await;
        ends_by_ctrl_c(device).await;
    }
}

#[tokio::test]
async fn the_projects_file_is_read_as_it_is_when_the_server_is_given() {
    let hub = Hub::start().await;
    let config = std::fs::read_to_string(peer("seeds/config_ws.json")).expect("the listing is there");
    let folder = Scratch::new();
    let mut device = device(folder.path(), &config, "", &["--server", &hub.uri("/rooms/lab/"), "--client-id", "esp"]);
    device.logged("not joined").await;
    prints(&mut device, "welcome, esp, to lab").await;
    ends_by_ctrl_c(device).await;
}

#[tokio::test]
async fn it_obeys_the_hub() {
    let hub = Hub::start().await;
    let folder = Scratch::new();
    let config = listing("config_ws.json", &hub.uri("/rooms/lab/"));
    let mut device = device(folder.path(), &config, "", &["--client-id", "board"]);
    prints(&mut device, "welcome, board, to lab").await;
    let command = async |body: &str| request(hub.port, "POST", "/api/devices/board/commands", body).await.status;
    assert_eq!(command(r#"{"name": "led", "payload": {"on": true}}"#).await, 200);
    prints(&mut device, "lamp on").await;
    assert_eq!(command(r#"{"name": "led", "payload": {"on": false}}"#).await, 200);
    prints(&mut device, "lamp off").await;
    assert_eq!(command(r#"{"name": "dance"}"#).await, 422);
    ends_by_ctrl_c(device).await;
}

#[tokio::test]
async fn it_comes_back_to_a_hub_that_is_killed() {
    let mut hub = Hub::start().await;
    let cable = Cable::to(hub.port).await;
    let folder = Scratch::new();
    let config = listing("config_ws.json", &format!("ws://127.0.0.1:{}/", cable.port));
    let mut device = device(folder.path(), &config, "", &[]);
    prints(&mut device, "connected").await;
    for _ in 0..3 {
        drop(hub); // SIGKILL
        prints(&mut device, "disconnected").await;
        hub = Hub::start().await;
        cable.plug_into(hub.port);
        prints(&mut device, "welcome").await;
    }
    assert_eq!(heard(&mut friend(&hub, "/friend").await).await, "SOS");
    ends_by_ctrl_c(device).await;
}

#[tokio::test]
async fn it_notices_that_the_network_is_cut_and_comes_back() {
    let hub = Hub::start().await;
    let cable = Cable::to(hub.port).await;
    let folder = Scratch::new();
    let config = listing("config_ws.json", &format!("ws://127.0.0.1:{}/", cable.port));
    let mut device = device(folder.path(), &config, "ping_ms 2000\n", &[]);
    prints(&mut device, "welcome").await;
    cable.cut();
    prints(&mut device, "disconnected").await;
    cable.mend();
    prints(&mut device, "welcome").await;
    assert_eq!(heard(&mut friend(&hub, "/friend").await).await, "SOS");
}

#[tokio::test]
async fn it_leaves_and_comes_back_every_tenth_cycle() {
    let hub = Hub::start().await;
    let folder = Scratch::new();
    let config = listing("config_ws.json", &hub.uri("/"));
    let mut device = device(folder.path(), &config, "leave_every 10\n", &[]);
    for _ in 0..3 {
        prints(&mut device, "welcome").await;
        prints(&mut device, "closed with 1000").await;
    }
}

#[tokio::test]
async fn it_says_everything_before_it_ends_after_the_last_cycle() {
    let hub = Hub::start().await;
    let folder = Scratch::new();
    let config = listing("config_ws.json", &hub.uri("/"));
    // So few wait for as long as it takes.
    let device = device(folder.path(), &config, "cycles 5\n", &[]);
    let lines = device.success_within(2 * DEADLINE).await;
    assert_eq!(lines.last().map(String::as_str), Some("messages 5 sent, 0 dropped"), "{lines:#?}");
}

/// Everything that was said until then arrives, and then the goodbye.
#[tokio::test]
async fn ctrl_c_says_what_is_still_to_be_said() {
    let (sender, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let mut server = Ours::start(Server::new(), move |mut ws, _| {
        let sender = sender.clone();
        async move {
            while let Some(message) = ws.recv().await {
                let _ = sender.send(message);
            }
            ws
        }
    })
    .await;
    let folder = Scratch::new();
    let config = listing("config_ws.json", &server.uri("/"));
    let device = device(folder.path(), &config, "", &["--raw"]);
    assert_eq!(within("SOS", heard.recv()).await, Some(Message::from("SOS")));
    let lines = ends_by_ctrl_c(device).await;
    let end = server.end().await.ended;
    assert!(matches!(end, Ended::ClosedByPeer { code: CloseCode::NORMAL, .. }), "{end:?}");
    let mut count = 1;
    while let Ok(message) = heard.try_recv() {
        assert_eq!(message, Message::from("SOS"));
        count += 1;
    }
    // On a slow machine it may have dropped some before.
    let last = lines.last().expect("it says so");
    assert!(last.starts_with(&format!("messages {count} sent, ")), "{lines:#?}");
}

/// Ctrl-C while nobody is there ends it at once, and well.
#[tokio::test]
async fn ctrl_c_ends_it_in_the_middle_of_a_wait() {
    let folder = Scratch::new();
    let nobody = Cable::to(1).await;
    let config = listing("config_ws.json", &format!("ws://127.0.0.1:{}/", nobody.port));
    let mut device = device(folder.path(), &config, "retry_ms 60000\n", &[]);
    prints(&mut device, "disconnected").await;
    device.signal(Signal::INT);
    device.success().await;
}

#[tokio::test]
async fn a_server_that_does_not_want_it_ends_it_with_an_error() {
    let server = Ours::start(Server::new(), |mut ws, _| async move {
        ws.close(CloseCode::POLICY_VIOLATION, "go away").await;
        ws
    })
    .await;
    let folder = Scratch::new();
    let config = listing("config_ws.json", &server.uri("/"));
    let mut device = device(folder.path(), &config, "", &["--raw"]);
    device.logged("error: not connecting again").await;
    assert_eq!(device.exit().await.code(), Some(1));
}

// ---- What is wrong with the files.

/// Its one line of error, with which it ends.
async fn error(folder: &Path, config: &str, plan: &str, options: &[&str]) -> String {
    let mut device = device(folder, config, plan, options);
    let line = device.logged("error: ").await;
    assert_eq!(device.exit().await.code(), Some(2), "{line}");
    line
}

#[tokio::test]
async fn what_is_wrong_with_a_file_is_told_with_its_key() {
    let folder = Scratch::new();
    let good = listing("config_ws.json", "ws://127.0.0.1:1/");
    for (find, replace, expected) in [
        ("\"attempts\": 3", "\"attempts\": \"3\"", "line 5: wifi.attempts: has to be a whole number from 1 to 1000"),
        ("\"attempts\": 3,", "", "wifi.attempts: is missing"),
        ("\"attempts\": 3,", "\"attempts\": 3", "wifi.attempts: a comma is missing after it"),
        ("ws://127.0.0.1:1/", "http://127.0.0.1:1/", "line 8: server: has to begin with ws:// or wss://"),
        ("127.0.0.1:1", "<host IP>:1", "server: still has to be filled in, here or with --server"),
        ("ws://", "wss://", "ssl: is missing"),
    ] {
        let config = good.replacen(find, replace, 1);
        assert_ne!(config, good, "{find}");
        let line = error(folder.path(), &config, "", &[]).await;
        assert!(line.contains("config.json: ") && line.contains(expected), "{line}");
    }
    assert!(error(folder.path(), &good, "speed 9\n", &[]).await.contains("no plan has this line: speed 9"));
    let options = ["--server", "wss://127.0.0.1:1/"];
    assert!(error(folder.path(), &good, "", &options).await.contains("--server: wss:// needs ssl in "));
    let secure = listing("config_wss_mutual.json", "wss://127.0.0.1:1/");
    let line = error(folder.path(), &secure, "", &[]).await;
    assert!(line.contains("ca.der: cannot be read, but is ssl.ca"), "{line}");
    std::fs::write(folder.path().join("ca.der"), "nonsense").expect("the folder can be written to");
    let line = error(
        folder.path(),
        &secure.replace("\"cert\": \"ESP Client 1.crt\",", "").replace("\"key\": \"ESP Client 1.key\",", ""),
        "",
        &[],
    )
    .await;
    assert!(line.contains("ca.der: neither PEM nor DER"), "{line}");
}

// ---- TLS.

/// The files of the device's project are those that `tautline cert` has put there.
fn secured(project: &Project, name: &str, server: &str, options: &[&str]) -> Process {
    device(&project.file("src"), &listing(name, server), "", options)
}

#[tokio::test]
async fn it_checks_the_server_as_each_of_the_projects_files_says() {
    let (project, other) = (Project::new().await, Project::new().await);
    let hub = project.serve(&ASKING.replace("--ssl-certs-reqs=2", "--ssl-certs-reqs=0")).await;
    let base = hub.uri("/");
    for name in ["config_wss_noverify.json", "config_wss_verify.json"] {
        let mut device = secured(&project, name, &base, &[]);
        // Both of the listings lack it.
        device.logged("warning: ").await;
        prints(&mut device, "welcome").await;
        let mut friend = ours(hub.uri("/friend"), &project.anonymous()).await;
        assert_eq!(heard(&mut friend).await, "SOS");
        friend.send("help is on its way").await.expect("an open connection");
        prints(&mut device, "received help is on its way").await;
        ends_by_ctrl_c(device).await;
    }
    // The files of another authority.
    prints(&mut secured(&other, "config_wss_verify.json", &base, &[]), "error: TLS: ").await;
    prints(&mut secured(&other, "config_wss_noverify.json", &base, &[]), "welcome").await;
    // The certificate is for 127.0.0.1.
    prints(
        &mut secured(&project, "config_wss_verify.json", &base.replace("127.0.0.1", "localhost"), &[]),
        "error: TLS: ",
    )
    .await;
}

#[tokio::test]
async fn a_missing_comma_is_a_warning_that_names_line_and_key() {
    let project = Project::new().await;
    let mut device = secured(&project, "config_wss_verify.json", "wss://127.0.0.1:1/", &[]);
    let line = device.logged("warning: ").await;
    assert!(line.ends_with("config.json: line 12: socket_delay_ms: a comma is missing before it"), "{line}");
}

#[tokio::test]
async fn with_a_certificate_of_its_own_it_has_the_name_that_stands_there() {
    let project = Project::new().await;
    project.cert(&["client", "friend"]).await;
    let hub = project.serve(ASKING).await;
    let mut device = secured(&project, "config_wss_mutual.json", &hub.uri("/"), &[]);
    prints(&mut device, "welcome, ESP Client 1, to main").await;
    let mut friend = ours(hub.uri("/friend"), &project.client("friend")).await;
    assert_eq!(heard(&mut friend).await, "SOS");
    ends_by_ctrl_c(device).await;
    // Without one it is not let in.
    prints(&mut secured(&project, "config_wss_verify.json", &hub.uri("/"), &[]), "error").await;
}

#[tokio::test]
async fn certificates_of_the_projects_own_script_are_good() {
    let project = Project::by_script().await;
    let hub = project.serve(ASKING).await;
    let mut device = secured(&project, "config_wss_mutual.json", &hub.uri("/"), &[]);
    prints(&mut device, "welcome, ESP Client 1").await;
    ends_by_ctrl_c(device).await;
}

// ---- The project's own server.

/// The project's server, which takes numbers as client ids and knows no envelopes.
async fn original(project: &Project, line: &str) -> (Process, u16) {
    let mut command = Command::new(tool("TAUTLINE_PYTHON"));
    command.env("PYTHONDONTWRITEBYTECODE", "1").arg(peer("standins/server.py")).args(line.split_whitespace());
    command.current_dir(project.folder());
    let mut process = Process::spawn(command);
    let port = process.listening().await;
    (process, port)
}

async fn relays(config: &str, project: &Project, base: &str, options: Value) -> Process {
    let mut friend = opened(Language::Python, format!("{base}7"), options).await;
    let mut device = secured(project, config, base, &["--raw"]);
    friend.expect("SOS").await;
    friend.send("help is on its way").await;
    prints(&mut device, "received help is on its way").await;
    device
}

#[tokio::test]
async fn the_projects_server_relays_to_it_and_from_it() {
    let project = Project::new().await;
    let (_server, port) = original(&project, "--host=127.0.0.1 --port=0").await;
    let base = format!("ws://127.0.0.1:{port}/");
    ends_by_ctrl_c(relays("config_ws.json", &project, &base, json!({})).await).await;
    // What it says of envelopes there.
    let mut device = secured(&project, "config_ws.json", &base, &["--client-id", "8"]);
    prints(&mut device, "this server knows no envelopes").await;
}

#[tokio::test]
async fn the_projects_server_with_certificates_of_both_sides_knows_its_name() {
    let project = Project::new().await;
    let (mut server, port) = original(&project, ASKING).await;
    let base = format!("wss://127.0.0.1:{port}/");
    let device = relays("config_wss_mutual.json", &project, &base, project.client("ESP Client 1")).await;
    for _ in ["the friend", "the device"] {
        server.find(|line| (line == "New client: ESP Client 1").then_some(())).await;
    }
    server.signal(Signal::KILL);
    let mut device = device;
    prints(&mut device, "disconnected").await;
}
