//! The device project over TLS: its command lines, certificates of `tautline cert` and of its own script, and on the other
//! side programs of others. All of it once more with its own server and our client.

use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};
use tautline::{CloseCode, Ended};
use tautline_conformance::peers::secure::{
    at, command, command_is_refused, command_relays, opened, ours, refused, relay,
};
use tautline_conformance::peers::{Controller, Language, Process, Project, Received, on_path, peer, tool, within};

/// As the README starts its server.
const PLAIN_TLS: &str = "--ssl --ssl-keyfile=tls/127.0.0.1/127.0.0.1.key --ssl-certfile=tls/127.0.0.1/127.0.0.1.crt \
                         --host=127.0.0.1 --port=0";

/// As the README starts it to ask clients for certificates: 0 is not at all, 1 optional, 2 required.
fn asking(reqs: u8) -> String {
    format!("{PLAIN_TLS} --ssl-ca-cert=tls/ca/ca.crt --ssl-certs-reqs={reqs}")
}

/// As its older half starts uvicorn.
const UVICORN: &str = "--reload --workers 1 --host 127.0.0.1 --port 0 --ws-ping-interval 10 --ws-ping-timeout 10 \
                       --log-level info --ssl-keyfile=./tls/127.0.0.1/127.0.0.1.key \
                       --ssl-certfile=./tls/127.0.0.1/127.0.0.1.crt --ssl-ca-certs=tls/ca/ca.crt --ssl-cert-reqs=2";

/// How long the controller's program runs, and how slowly: it drops the channel once, and has time to come back on a busy
/// machine.
const CYCLES: [&str; 3] = ["18", "--cycle-ms", "600"];

const LANGUAGES: [Language; 2] = [Language::Python, Language::Node];

// ---- Servers are checked.

#[tokio::test]
async fn python_and_node_relay_with_and_without_verification() {
    let project = Project::new().await;
    for line in [PLAIN_TLS.to_owned(), format!("{PLAIN_TLS} --app relay")] {
        let hub = project.serve(&line).await;
        let mut clients = Vec::new();
        for (id, language) in LANGUAGES.into_iter().cycle().take(4).enumerate() {
            let options = if id < 2 { project.anonymous() } else { json!({ "insecure": true }) };
            clients.push(opened(language, hub.uri(&format!("/{id}")), options).await);
        }
        relay(&mut clients).await;
        hub.stop().await;
    }
}

#[tokio::test]
async fn a_server_of_an_unknown_ca_is_refused() {
    let (project, other) = (Project::new().await, Project::new().await);
    let hub = project.serve(PLAIN_TLS).await;
    for language in LANGUAGES {
        for options in [json!({}), other.anonymous()] {
            let error = refused(language, hub.uri("/1"), options).await.to_lowercase();
            assert!(error.contains("verify") || error.contains("signature"), "{language:?}: {error}");
        }
    }
    for options in [json!({}), other.anonymous()] {
        command_is_refused(hub.uri("/1"), &options).await;
    }
    command_relays(&hub.uri(""), &project.anonymous(), &json!({ "insecure": true })).await;
}

#[tokio::test]
async fn a_device_that_poses_as_a_server_is_refused() {
    let project = Project::new().await;
    let device = project.client("ESP Client 1");
    let files =
        ["--ssl-cert", device["cert"].as_str().expect("a path"), "--ssl-key", device["key"].as_str().expect("a path")];
    let (_impostor, port) = Language::Python.echo_server(&files).await;
    let uri = format!("wss://127.0.0.1:{port}/");
    for language in LANGUAGES {
        let error = refused(language, uri.clone(), project.anonymous()).await;
        assert!(error.contains("unsuitable certificate purpose"), "{language:?}: {error}");
        // Who does not look is deceived: it is not the server that failed.
        opened(language, uri.clone(), json!({ "insecure": true })).await.finish().await;
    }
    let mut process = command(uri, &project.anonymous());
    process.logged("certificate does not allow extended key usage for server authentication").await;
    assert_eq!(process.exit().await.code(), Some(1));
}

#[tokio::test]
async fn the_controller_relays_as_each_of_its_configurations_says() {
    let (project, other) = (Project::new().await, Project::new().await);
    let (files, copied, foreign) = (project.file("src"), project.file("controller"), other.file("src"));
    let of = |config, files| Controller { config, files };
    const RELAYED: [&str; 5] = ["handshake", "relayed", "relayed", "relayed", "duplicate refused"];

    let hub = project.serve(PLAIN_TLS).await;
    let base = hub.uri("/");
    assert_eq!(of("config_wss_noverify.json", &foreign).checks("relay", &base, &[]).await, RELAYED);
    assert_eq!(of("config_wss_verify.json", &files).checks("relay", &base, &[]).await, RELAYED);
    assert!(!of("config_wss_verify.json", &foreign).start("relay", &base, &[]).exit().await.success());

    // What the one line has put into `src`, and what is copied elsewhere on request.
    project.cert(&["client", "ESP Client 1", "--force", "--copy-to", "controller"]).await;
    let mut hub = project.serve(&asking(2)).await;
    let base = hub.uri("/");
    for files in [&files, &copied] {
        let made = of("config_wss_mutual.json", files).checks("main", &base, &CYCLES).await;
        assert_eq!(made, ["cycles", "handshakes", "ids differ", "SOS only", "SOS each cycle"]);
        hub.process.logged("New client: ESP Client 1").await;
    }
    let without = of("config_wss_verify.json", &files).start("main", &base, &CYCLES).exit().await;
    assert!(!without.success(), "a certificate is required");
    hub.process.logged("peer sent no certificates").await;
}

// ---- Clients are checked.

#[tokio::test]
async fn clients_are_asked_for_certificates_as_told() {
    let (project, other) = (Project::new().await, Project::new().await);
    let mut stranger = other.client("ESP Client 1");
    stranger["ca"] = project.anonymous()["ca"].clone();
    for reqs in [0, 1, 2] {
        let mut hub = project.serve(&asking(reqs)).await;
        for language in LANGUAGES {
            let mut known = opened(language, hub.uri("/1"), project.client("ESP Client 1")).await;
            if reqs < 2 {
                let without = opened(language, hub.uri("/2"), project.anonymous()).await;
                relay(&mut [known, without]).await;
            } else {
                refused(language, hub.uri("/2"), project.anonymous()).await;
                hub.process.logged("peer sent no certificates").await;
                known.ping(b"still").await;
            }
            if reqs == 0 {
                opened(language, hub.uri("/3"), stranger.clone()).await.finish().await;
            } else {
                refused(language, hub.uri("/3"), stranger.clone()).await;
                hub.process.logged("UnknownIssuer").await;
            }
        }
    }
}

#[tokio::test]
async fn an_expired_client_is_refused() {
    let project = Project::empty();
    project.cert(&["init", "--name", "Lab 3"]).await;
    project.cert(&["--srv=127.0.0.1", "--cn=ESP Client 1"]).await;
    let expired = project.expired_client("Lab 3");
    for reqs in [1, 2] {
        let mut hub = project.serve(&asking(reqs)).await;
        for language in LANGUAGES {
            refused(language, hub.uri("/1"), expired.clone()).await;
            hub.process.logged("xpired").await;
        }
        opened(Language::Python, hub.uri("/1"), project.client("ESP Client 1")).await.finish().await;
    }
}

#[tokio::test]
async fn a_revoked_client_is_sent_away_and_stays_out() {
    let project = Project::new().await;
    project.cert(&["client", "Program"]).await;
    let mut hub = project.serve(UVICORN).await;
    let mut stolen = opened(Language::Python, hub.uri("/1"), project.client("ESP Client 1")).await;
    let mut other = opened(Language::Node, hub.uri("/2"), project.client("Program")).await;
    stolen.send("before").await;
    other.expect("before").await;

    project.cert(&["revoke", "ESP Client 1"]).await;
    hub.process.signal(Signal::HUP);
    assert_eq!(stolen.wait_closed().await.0, 1008);
    for language in LANGUAGES {
        refused(language, hub.uri("/1"), project.client("ESP Client 1")).await;
        hub.process.logged("Revoked").await;
    }
    other.ping(b"still").await;

    // Its successor has the name and another certificate.
    project.cert(&["client", "ESP Client 1", "--force"]).await;
    let successor = opened(Language::Python, hub.uri("/1"), project.client("ESP Client 1")).await;
    relay(&mut [successor, other]).await;
}

#[tokio::test]
async fn the_name_in_the_certificate_is_the_clients() {
    let project = Project::new().await;
    let mut hub = project.serve(&asking(2)).await;
    let mut options = project.client("ESP Client 1");
    options["subprotocols"] = json!(["tautline.v1.json"]);
    for language in LANGUAGES {
        let mut client = opened(language, hub.uri("/"), options.clone()).await;
        let welcome = client.recv().await;
        let welcome: Value = serde_json::from_str(welcome.as_text().expect("an envelope")).expect("JSON");
        assert_eq!((&welcome["type"], &welcome["client"]), (&json!("welcome"), &json!("ESP Client 1")));
        assert!(hub.process.logged("New client").await.contains("New client: ESP Client 1\""));
        client.finish().await;
    }
}

#[tokio::test]
async fn an_id_is_taken_over_by_the_same_certificate_only() {
    let project = Project::new().await;
    project.cert(&["client", "Program"]).await;
    let hub = project.serve(&asking(2)).await;
    let mut first = opened(Language::Python, hub.uri("/7"), project.client("ESP Client 1")).await;
    let answer = Language::Node.client().connect(at(hub.uri("/7"), project.client("Program"))).await;
    assert_eq!(answer["status"], 409, "{answer}");
    let again = opened(Language::Python, hub.uri("/7"), project.client("ESP Client 1")).await;
    assert_eq!(first.receive().await, Received::Closed(4001, "another connection has this client id now".into()));
    again.finish().await;
}

// ---- HTTP, the counter, new certificates.

/// What an HTTP client of others prints about a request.
async fn answer(mut command: Command, options: &[&str], url: &str, data: Option<&str>) -> String {
    command.args(options).args(data.iter().flat_map(|data| ["--data", data])).arg(url);
    Process::spawn(command).success().await.join("\n")
}

#[tokio::test]
async fn pages_and_posts_over_https() {
    let project = Project::new().await;
    let hub = project.serve(&asking(2)).await;
    let base = format!("https://127.0.0.1:{}", hub.port);
    let file = |name: &str| project.client("ESP Client 1")[name].as_str().expect("a path").to_owned();
    let (ca, cert, key) = (file("ca"), file("cert"), file("key"));
    let python = || {
        let mut command = Command::new(tool("TAUTLINE_PYTHON"));
        command.arg(peer("python/https.py")).args(["--ca", &ca]);
        command
    };
    let curl = || {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--cacert", &ca, "--write-out", "%{http_code}"]);
        command
    };
    // Python is always there.
    let clients: &[&dyn Fn() -> Command] = if on_path("curl") { &[&python, &curl] } else { &[&python] };
    for client in clients {
        let own = ["--cert", &cert, "--key", &key];
        let page = answer(client(), &own, &format!("{base}/"), None).await;
        assert!(page.contains("200") && page.contains("<html"), "{page}");
        let posted = answer(client(), &own, &format!("{base}/any/path"), Some("hello")).await;
        assert!(posted.contains("200"), "{posted}");
        assert!(posted.contains(r#"{"status": "success", "message": "Received your request."}"#), "{posted}");
        let mut without = client();
        without.arg(format!("{base}/"));
        assert!(!Process::spawn(without).exit().await.success(), "a certificate is required");
    }
}

#[tokio::test]
async fn the_counter_counts_over_wss() {
    let project = Project::new().await;
    for line in [PLAIN_TLS.to_owned(), format!("{PLAIN_TLS} --app counter")] {
        let hub = project.serve(&line).await;
        let mut python = opened(Language::Python, hub.uri("/counter"), project.anonymous()).await;
        python.expect(r#"{"type": "users", "count": 1}"#).await;
        python.expect(r#"{"type": "state", "value": 0}"#).await;
        let mut node = opened(Language::Node, hub.uri("/counter"), json!({ "insecure": true })).await;
        for client in [&mut python, &mut node] {
            client.expect(r#"{"type": "users", "count": 2}"#).await;
        }
        node.expect(r#"{"type": "state", "value": 0}"#).await;
        for (action, value) in [("plus", 1), ("plus", 2), ("minus", 1)] {
            python.send(format!(r#"{{"action": "{action}"}}"#)).await;
            for client in [&mut python, &mut node] {
                client.expect(format!(r#"{{"type": "state", "value": {value}}}"#)).await;
            }
        }
    }
}

/// A certificate in PEM without its line breaks.
fn joined(pem: &str) -> String {
    pem.split_whitespace().collect()
}

#[tokio::test]
async fn a_new_certificate_is_for_new_connections() {
    let project = Project::new().await;
    let mut hub = project.serve(PLAIN_TLS).await;
    let on_disk = || joined(&std::fs::read_to_string(project.file("tls/127.0.0.1/127.0.0.1.crt")).expect("a file"));
    let (mut old, mut new) = (Language::Python.client(), Language::Python.client());
    let shown = |answer: Value| joined(answer["certificate"].as_str().expect("TLS"));
    let first = shown(old.open(at(hub.uri("/1"), project.anonymous())).await);
    assert_eq!(first, on_disk());

    project.cert(&["server", "127.0.0.1", "--force"]).await;
    hub.process.signal(Signal::HUP);
    hub.process.logged("certificates read again").await;
    let second = shown(new.open(at(hub.uri("/2"), project.anonymous())).await);
    assert_eq!(second, on_disk());
    assert_ne!(second, first);
    relay(&mut [old, new]).await;
}

// ---- The project's own server and script.

/// The device project's server with the command line that ours takes, too.
async fn original(project: &Project, line: &str) -> (Process, String) {
    let mut command = Command::new(tool("TAUTLINE_PYTHON"));
    command.env("PYTHONDONTWRITEBYTECODE", "1").arg(peer("standins/server.py")).args(line.split_whitespace());
    command.current_dir(project.folder());
    let mut process = Process::spawn(command);
    let port = process.listening().await;
    (process, format!("wss://127.0.0.1:{port}"))
}

#[tokio::test]
async fn our_command_speaks_with_the_projects_server_and_ours_alike() {
    let (project, other) = (Project::new().await, Project::new().await);
    let (known, without) = (project.client("ESP Client 1"), project.anonymous());
    let mut stranger = other.client("ESP Client 1");
    stranger["ca"] = without["ca"].clone();
    for line in [PLAIN_TLS.to_owned(), asking(0), asking(1), asking(2)] {
        let (mut original, theirs) = original(&project, &line).await;
        let hub = project.serve(&line).await;
        for base in [theirs, hub.uri("")] {
            command_relays(&base, &known, &known).await;
            if line == asking(2) {
                command_is_refused(format!("{base}/3"), &without).await;
            } else {
                command_relays(&base, &known, &without).await;
                command_relays(&base, &known, &json!({ "insecure": true })).await;
            }
            if line == asking(1) || line == asking(2) {
                command_is_refused(format!("{base}/3"), &stranger).await;
            }
        }
        if line == asking(1) || line == asking(2) {
            original.find(|line| (line == "New client: ESP Client 1").then_some(())).await;
        }
    }
}

#[tokio::test]
async fn certificates_of_the_projects_script_serve() {
    let project = Project::by_script().await;
    let mut hub = project.serve(&asking(2)).await;
    let files = project.file("src");
    let controller = Controller { config: "config_wss_mutual.json", files: &files };
    let made = controller.checks("main", &hub.uri("/"), &CYCLES).await;
    assert_eq!(made.last().map(String::as_str), Some("SOS each cycle"));
    hub.process.logged("New client: ESP Client 1").await;

    // As they are on the controller: DER.
    let device = der(&project, &files);
    command_relays(&hub.uri(""), &device, &device).await;
    let mut session = ours(hub.uri("/7"), &device).await;

    // The CA goes on with our command, which makes its first list of revoked certificates.
    project.cert(&["revoke", "tls/ESP Client 1/ESP Client 1.crt", "--ca-password=secret"]).await;
    hub.process.signal(Signal::HUP);
    assert_eq!(within("the end", session.recv()).await, None);
    assert_eq!(session.ended(), Some(Ended::ClosedByPeer { code: CloseCode::POLICY_VIOLATION, clean: true }));
    command_is_refused(hub.uri("/8"), &device).await;
    project.cert(&["client", "Successor", "--ca-password=secret"]).await;
    command_relays(&hub.uri(""), &project.client("Successor"), &project.client("Successor")).await;
}

/// The files of the controller as options of a client.
fn der(project: &Project, controller: &Path) -> Value {
    json!({
        "ca": project.file("tls/ca/ca.crt"),
        "cert": controller.join("ESP Client 1.crt"),
        "key": controller.join("ESP Client 1.key"),
    })
}
