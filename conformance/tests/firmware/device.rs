//! The labs' device against the real hub.

use std::time::Duration;

use serde_json::{Value, json};
use tautline::{WebSocket, connect};
use tautline_conformance::peers::secure::ours;
use tautline_conformance::peers::{Board, Cable, Emulator, Hub, Image, Project, request, within};

use super::server::hammer;

/// How often the hub is killed.
const KILLS: usize = 20;

/// For runs that end by themselves, after some seconds of guest time.
const RUN: Duration = Duration::from_secs(120);

/// A device that does not wait for long.
const PLAN: &str = "cycle_ms 100\nretry_ms 100\n";

/// A hub, and the board connected to it by a cable.
async fn connected(board: Board, plan: &str) -> (Hub, Cable, Emulator) {
    connected_to(Hub::start().await, board, plan, config(board, "ws", "/")).await
}

async fn connected_to(hub: Hub, board: Board, plan: &str, config: Value) -> (Hub, Cable, Emulator) {
    let (cable, mut emulator) = started(&hub, board, plan, &config, &[]).await;
    emulator.prints("connected").await;
    (hub, cable, emulator)
}

/// The board with a cable to the hub, and these files besides its plan and its configuration.
async fn started(hub: &Hub, board: Board, plan: &str, config: &Value, more: &[(&str, &[u8])]) -> (Cable, Emulator) {
    let cable = Cable::to(hub.port).await;
    let (plan, config) = (format!("{PLAN}{plan}"), config.to_string());
    let files = [&[("plan", plan.as_bytes()), ("config.json", config.as_bytes())], more].concat();
    let emulator = board.start(Image::Device, &files, cable.port);
    (cable, emulator)
}

/// A `config.json` with the hub at the end of the board's cable.
fn config(board: Board, scheme: &str, path: &str) -> Value {
    json!({
        "wifi": { "SSID": "none", "password": "", "attempts": 1, "delay_in_msec": 0 },
        "server": format!("{scheme}://{}{path}", board.server()),
        "socket_delay_ms": 5,
    })
}

/// Another client of the hub.
async fn friend(hub: &Hub, path: &str) -> WebSocket {
    within("our client's connection", connect(hub.uri(path)).into_future()).await.expect("a connection")
}

/// The next message, as text.
async fn heard(friend: &mut WebSocket) -> String {
    let message = within("a message", friend.recv()).await.expect("an open connection");
    message.as_text().expect("text").to_owned()
}

async fn says_sos_and_prints_what_it_hears(board: Board) {
    for speaks in ["speaks raw\n", "speaks envelopes\n"] {
        let (hub, _cable, mut emulator) = connected(board, speaks).await;
        let mut friend = friend(&hub, "/friend").await;
        assert_eq!(heard(&mut friend).await, "SOS");
        assert_eq!(heard(&mut friend).await, "SOS");
        friend.send("help is on its way").await.expect("an open connection");
        emulator.prints("received help is on its way").await;
    }
}

async fn gets_what_is_larger_than_its_buffer_in_pieces(board: Board) {
    let (hub, _cable, mut emulator) = connected(board, "speaks raw\n").await;
    let mut friend = friend(&hub, "/friend").await;
    friend.send("x".repeat(3000)).await.expect("an open connection");
    emulator.prints("to 3000 of 3000 ").await;
}

async fn obeys_the_hub(board: Board) {
    let mut config = config(board, "ws", "/rooms/lab/");
    config["client_id"] = "board".into();
    let (hub, _cable, mut emulator) = connected_to(Hub::start().await, board, "", config).await;
    emulator.prints("welcome, board, to lab").await;
    let command = async |body: &str| request(hub.port, "POST", "/api/devices/board/commands", body).await.status;
    assert_eq!(command(r#"{"name": "led", "payload": {"on": true}}"#).await, 200);
    emulator.prints("lamp on").await;
    assert_eq!(command(r#"{"name": "led", "payload": {"on": false}}"#).await, 200);
    emulator.prints("lamp off").await;
    for refused in [r#"{"name": "led", "payload": 7}"#, r#"{"name": "dance"}"#] {
        assert_eq!(command(refused).await, 422, "{refused}");
    }
}

async fn leaves_and_comes_back_every_tenth_cycle(board: Board) {
    let (hub, _cable, mut emulator) = connected(board, "leave_every 10\n").await;
    let mut friend = friend(&hub, "/friend").await;
    for _ in 0..4 {
        emulator.prints("closed with 1000").await;
        emulator.prints("connected").await;
        assert_eq!(heard(&mut friend).await, "SOS");
    }
}

async fn says_everything_before_it_ends(board: Board) {
    let (hub, _cable, emulator) = connected(board, "cycles 20\n").await;
    let lines = emulator.ends_within(RUN).await;
    assert!(lines.iter().any(|line| line.starts_with("closed with 1000")), "{lines:#?}");
    assert_eq!(lines.last().map(String::as_str), Some("messages 20 sent, 0 dropped"));
    drop(hub);
}

async fn comes_back_to_a_hub_that_is_killed(board: Board) {
    let (mut hub, cable, mut emulator) = connected(board, "").await;
    for _ in 0..KILLS {
        drop(hub); // SIGKILL
        emulator.prints("disconnected").await;
        hub = Hub::start().await;
        cable.plug_into(hub.port);
        emulator.prints("connected").await;
    }
    assert_eq!(heard(&mut friend(&hub, "/friend").await).await, "SOS");
}

async fn names_an_address_that_is_none_and_does_without(board: Board) {
    let hub = Hub::start().await;
    for wrong in ["fd00:1::5", "fd00:1::5/129", "ff02::1/64", "fd00:1::5/64 router", "fd00:1::5/64 fd00:1::1 fd00:1::2"]
    {
        let files = [("ipv6", wrong.as_bytes())];
        let (_cable, mut emulator) = started(&hub, board, "", &config(board, "ws", "/"), &files).await;
        emulator.prints("ipv6: neither an address").await;
        emulator.prints("connected").await;
    }
}

async fn notices_that_the_network_is_cut_and_comes_back(board: Board) {
    // Elsewhere a hub on a busy machine may take its time.
    let (hub, cable, mut emulator) = connected(board, "ping_ms 2000\n").await;
    for _ in 0..2 {
        cable.cut();
        emulator.prints("disconnected").await;
        cable.mend();
        emulator.prints("connected").await;
    }
    assert_eq!(heard(&mut friend(&hub, "/friend").await).await, "SOS");
}

async fn counts_with_the_lab_without_a_word(board: Board) {
    let plan = "speaks raw\nsends no\n";
    // There the device's own path is the counter, too.
    let (hub, _cable, mut emulator) =
        connected_to(Hub::app("counter").await, board, plan, config(board, "ws", "/")).await;
    emulator.prints(r#"received {"type": "state", "value": 0}"#).await;
    let mut friend = friend(&hub, "/counter").await;
    emulator.prints(r#"received {"type": "users", "count": 2}"#).await;
    friend.send(r#"{"action": "plus"}"#).await.expect("an open connection");
    emulator.prints(r#"received {"type": "state", "value": 1}"#).await;
}

/// What a device with a certificate has in its configuration.
fn secure(board: Board) -> Value {
    let mut config = config(board, "wss", "/");
    config["client_id"] = "board".into();
    config["ssl"] = json!({ "ca": "ca.der", "cert": "board.crt", "key": "board.key", "cert_reqs": 2 });
    config
}

/// The hub's address, as a certificate has it.
fn server(board: Board) -> String {
    board.server().ip().to_string()
}

/// Certificates for the board and for a server at these addresses; and the server's hub, which wants certificates of its clients.
async fn secured(addresses: &[&str]) -> (Project, Hub) {
    let project = Project::empty();
    let mut one_line = vec!["--cn=board".to_owned()];
    one_line.extend(addresses.iter().map(|address| format!("--srv={address}")));
    project.cert(&one_line.iter().map(String::as_str).collect::<Vec<_>>()).await;
    project.cert(&["client", "friend"]).await;
    let server = addresses[0].replace(':', "-"); // as files can be called
    let hub = project
        .serve(&format!(
            "--ssl --host=127.0.0.1 --port=0 --ssl-keyfile=tls/{server}/{server}.key \
             --ssl-certfile=tls/{server}/{server}.crt --ssl-ca-certs=tls/ca/ca.crt --ssl-cert-reqs=required"
        ))
        .await;
    (project, hub)
}

/// The board with what `tautline cert` has copied for it.
async fn started_securely(project: &Project, hub: &Hub, board: Board, plan: &str) -> (Cable, Emulator) {
    let names = ["ca.der", "board.crt", "board.key"];
    let files = names.map(|name| std::fs::read(project.file(&format!("src/{name}"))).expect("a file"));
    let more = [0, 1, 2].map(|index| (names[index], &files[index][..]));
    started(hub, board, plan, &secure(board), &more).await
}

async fn shows_its_certificate_and_blinks_on_while_it_shakes_hands(board: Board) {
    // Ours comes another way.
    let (project, hub) = secured(&[&server(board), "127.0.0.1"]).await;
    let (_cable, mut emulator) = started_securely(&project, &hub, board, "leave_every 10\n").await;
    emulator.prints("welcome, board, to main").await;
    let mut friend = ours(hub.uri("/friend"), &project.client("friend")).await;
    assert_eq!(heard(&mut friend).await, "SOS");
    friend.send("help is on its way").await.expect("an open connection");
    emulator.prints("received help is on its way").await;
    for _ in 0..3 {
        emulator.prints("closed with 1000").await;
        emulator.prints("welcome, board").await;
    }
}

async fn serves_clients_and_blinks_on_while_it_shakes_hands(board: Board) {
    let (project, hub) = secured(&[&server(board), "127.0.0.1"]).await;
    let (_cable, mut emulator) = started_securely(&project, &hub, board, "leave_every 10\n").await;
    emulator.prints("welcome, board, to main").await;
    hammer(&emulator).await;
    emulator.prints("closed with 1000").await;
    emulator.prints("welcome, board").await;
}

async fn talks_to_no_server_that_is_not_the_one_it_dialled(board: Board) {
    let (project, hub) = secured(&["127.0.0.1"]).await;
    let (_cable, mut emulator) = started_securely(&project, &hub, board, "").await;
    emulator.prints("error: TLS: ").await;
    let (others, _) = secured(&[&server(board)]).await;
    let (_, hub) = secured(&[&server(board)]).await;
    let (_cable, mut emulator) = started_securely(&others, &hub, board, "").await;
    emulator.prints("error: TLS: ").await;
}

on! { riscv, Board::RISCV,
    says_sos_and_prints_what_it_hears
    gets_what_is_larger_than_its_buffer_in_pieces
    obeys_the_hub
    leaves_and_comes_back_every_tenth_cycle
    says_everything_before_it_ends
    comes_back_to_a_hub_that_is_killed
    notices_that_the_network_is_cut_and_comes_back
    counts_with_the_lab_without_a_word
    shows_its_certificate_and_blinks_on_while_it_shakes_hands
    talks_to_no_server_that_is_not_the_one_it_dialled
    serves_clients_and_blinks_on_while_it_shakes_hands
}

on! { arm, Board::ARM,
    says_sos_and_prints_what_it_hears
    gets_what_is_larger_than_its_buffer_in_pieces
    obeys_the_hub
    leaves_and_comes_back_every_tenth_cycle
    says_everything_before_it_ends
    comes_back_to_a_hub_that_is_killed
    notices_that_the_network_is_cut_and_comes_back
    counts_with_the_lab_without_a_word
    shows_its_certificate_and_blinks_on_while_it_shakes_hands
    talks_to_no_server_that_is_not_the_one_it_dialled
}

on! { riscv_ipv6, Board::RISCV.by_ipv6(),
    says_sos_and_prints_what_it_hears
    comes_back_to_a_hub_that_is_killed
    notices_that_the_network_is_cut_and_comes_back
    serves_clients_and_blinks_on_while_it_shakes_hands
    talks_to_no_server_that_is_not_the_one_it_dialled
    names_an_address_that_is_none_and_does_without
}

on! { riscv_routed_ipv6, Board::RISCV.by_routed_ipv6(),
    says_sos_and_prints_what_it_hears
}

on! { arm_ipv6, Board::ARM.by_ipv6(),
    says_sos_and_prints_what_it_hears
    comes_back_to_a_hub_that_is_killed
    notices_that_the_network_is_cut_and_comes_back
    shows_its_certificate_and_blinks_on_while_it_shakes_hands
}

on! { arm_routed_ipv6, Board::ARM.by_routed_ipv6(),
    says_sos_and_prints_what_it_hears
}
