//! What the emulated boards have in common.
//!
//! The emulator counts guest time in instructions, so that it does not depend on how busy the host is. A guest that waits
//! for an interrupt executes none, and its time would be the host's again: so these boards never wait, and run embassy's
//! executor for boards that cannot (`platform-spin`).

#![no_std]

pub mod time;
mod trial;

pub use trial::trial;

use embassy_executor::Spawner;
use embassy_net::driver::Driver;
use embassy_net::{Config, Runner, Stack, StackResources};
use tautline_firmware_app::Chip;
use tautline_firmware_app::embassy::{Setup, configure_ipv6, start};
use tautline_firmware_server as server;

/// The stack's sockets for the device: TCP, DHCP, DNS.
pub const DEVICE_SOCKETS: usize = 3;
/// Those of the small server.
pub const SERVER_SOCKETS: usize = server::SOCKETS;

/// What runs on a board that has a network: it starts tasks.
pub type Program = fn(Spawner, Stack<'static>, &'static dyn Chip);

/// The TCP stack over this driver, and what runs it.
pub fn network<D: Driver, const SOCKETS: usize>(
    driver: D,
    resources: &'static mut StackResources<SOCKETS>,
    board: &dyn Chip,
) -> (Stack<'static>, Runner<'static, D>) {
    let mut seed = [0; 8];
    board.random(&mut seed);
    let config = Config::dhcpv4(Default::default());
    let (stack, runner) = embassy_net::new(driver, config, resources, u64::from_le_bytes(seed));
    configure_ipv6(stack, board);
    (stack, runner)
}

/// The labs' device.
///
/// # Panics
///
/// If it is called twice, as the other programs.
pub fn device(spawner: Spawner, stack: Stack<'static>, board: &'static dyn Chip) {
    match Setup::read(board) {
        Some(setup) => start(spawner, stack, board, setup),
        None => board.ended(false),
    }
}

/// The labs' device and the small server beside it.
pub fn device_and_server(spawner: Spawner, stack: Stack<'static>, board: &'static dyn Chip) {
    server::start(spawner, stack, board);
    device(spawner, stack, board);
}
