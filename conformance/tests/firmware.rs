//! The firmware in an emulator, against the real hub. Guest time is counted in instructions, so what the board says of its own
//! punctuality is the same on a busy machine.

use std::time::Duration;

use tautline::{WebSocket, connect};
use tautline_conformance::peers::{Board, Cable, Emulator, Hub, request, within};

/// How often the hub is killed.
const KILLS: usize = 20;

/// For runs that end by themselves, after some seconds of guest time.
const RUN: Duration = Duration::from_secs(120);

/// A device that does not wait for long.
const PLAN: &str = "cycle_ms 100\nretry_ms 100\nping_ms 2000\n";

/// A hub, and the board connected to it by a cable.
async fn connected(board: Board, plan: &str, path: &str) -> (Hub, Cable, Emulator) {
    let hub = Hub::start().await;
    let cable = Cable::to(hub.port).await;
    let plan = format!("{PLAN}{plan}");
    let mut emulator = board.start(&[("plan", plan.as_bytes()), ("path", path.as_bytes())], cable.port);
    emulator.prints("connected").await;
    (hub, cable, emulator)
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
        let (hub, _cable, mut emulator) = connected(board, speaks, "/{client_id}").await;
        let mut friend = friend(&hub, "/friend").await;
        assert_eq!(heard(&mut friend).await, "SOS");
        assert_eq!(heard(&mut friend).await, "SOS");
        friend.send("help is on its way").await.expect("an open connection");
        emulator.prints("received help is on its way").await;
    }
}

async fn gets_what_is_larger_than_its_buffer_in_pieces(board: Board) {
    let (hub, _cable, mut emulator) = connected(board, "speaks raw\n", "/{client_id}").await;
    let mut friend = friend(&hub, "/friend").await;
    friend.send("x".repeat(3000)).await.expect("an open connection");
    emulator.prints("to 3000 of 3000 ").await;
}

async fn obeys_the_hub(board: Board) {
    let (hub, _cable, mut emulator) = connected(board, "", "/rooms/lab/board").await;
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
    let (hub, _cable, mut emulator) = connected(board, "leave_every 10\n", "/{client_id}").await;
    let mut friend = friend(&hub, "/friend").await;
    for _ in 0..4 {
        emulator.prints("closed with 1000").await;
        emulator.prints("connected").await;
        assert_eq!(heard(&mut friend).await, "SOS");
    }
}

async fn says_everything_before_it_ends(board: Board) {
    let (hub, _cable, emulator) = connected(board, "cycles 20\n", "/{client_id}").await;
    let lines = emulator.ends_within(RUN).await;
    assert!(lines.iter().any(|line| line.starts_with("closed with 1000")), "{lines:#?}");
    assert_eq!(lines.last().map(String::as_str), Some("messages 20 sent, 0 dropped"));
    drop(hub);
}

async fn comes_back_to_a_hub_that_is_killed(board: Board) {
    let (mut hub, cable, mut emulator) = connected(board, "", "/{client_id}").await;
    for _ in 0..KILLS {
        drop(hub); // SIGKILL
        emulator.prints("disconnected").await;
        hub = Hub::start().await;
        cable.plug_into(hub.port);
        emulator.prints("connected").await;
    }
    assert_eq!(heard(&mut friend(&hub, "/friend").await).await, "SOS");
}

async fn notices_that_the_network_is_cut_and_comes_back(board: Board) {
    let (hub, cable, mut emulator) = connected(board, "", "/{client_id}").await;
    for _ in 0..2 {
        cable.cut();
        emulator.prints("disconnected").await;
        cable.mend();
        emulator.prints("connected").await;
    }
    assert_eq!(heard(&mut friend(&hub, "/friend").await).await, "SOS");
}

async fn counts_with_the_lab_without_a_word(board: Board) {
    let (hub, _cable, mut emulator) = connected(board, "speaks raw\nsends no\n", "/counter").await;
    emulator.prints(r#"received {"type": "state", "value": 0}"#).await;
    let mut friend = friend(&hub, "/counter").await;
    emulator.prints(r#"received {"type": "users", "count": 2}"#).await;
    friend.send(r#"{"action": "plus"}"#).await.expect("an open connection");
    emulator.prints(r#"received {"type": "state", "value": 1}"#).await;
}

/// The same tests on each board.
macro_rules! on {
    ($module:ident, $board:expr, $($test:ident)*) => {
        mod $module {
            use super::*;
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test($board).await;
                }
            )*
        }
    };
}

on! { riscv, Board::Riscv,
    says_sos_and_prints_what_it_hears
    gets_what_is_larger_than_its_buffer_in_pieces
    obeys_the_hub
    leaves_and_comes_back_every_tenth_cycle
    says_everything_before_it_ends
    comes_back_to_a_hub_that_is_killed
    notices_that_the_network_is_cut_and_comes_back
    counts_with_the_lab_without_a_word
}

on! { arm, Board::Arm,
    says_sos_and_prints_what_it_hears
    gets_what_is_larger_than_its_buffer_in_pieces
    obeys_the_hub
    leaves_and_comes_back_every_tenth_cycle
    says_everything_before_it_ends
    comes_back_to_a_hub_that_is_killed
    notices_that_the_network_is_cut_and_comes_back
    counts_with_the_lab_without_a_word
}
