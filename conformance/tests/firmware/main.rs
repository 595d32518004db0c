//! The firmware in an emulator. Guest time is counted in instructions, so what the board says of its own punctuality is the same
//! on a busy machine.

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

mod device;
mod replay;
mod server;
