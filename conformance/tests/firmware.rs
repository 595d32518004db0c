//! The firmware in an emulator, against the real hub. Guest time is counted in instructions, so what the board says of its own
//! punctuality is the same on a busy machine.

use tautline_conformance::peers::{Board, Cable, Hub};

async fn boots(board: Board) {
    let hub = Hub::start().await;
    let cable = Cable::to(hub.port).await;
    let mut emulator = board.start(&[], cable.port);
    emulator.process.find(|line| line.starts_with("address ").then_some(())).await;
}

mod riscv {
    use super::*;

    #[tokio::test]
    async fn boots() {
        super::boots(Board::Riscv).await;
    }
}

mod arm {
    use super::*;

    #[tokio::test]
    async fn boots() {
        super::boots(Board::Arm).await;
    }
}
