//! What the emulated boards have in common.
//!
//! The emulator counts guest time in instructions, so that it does not depend on how busy the host is. A guest that waits
//! for an interrupt executes none, and its time would be the host's again: so these boards never wait, and run embassy's
//! executor for boards that cannot (`platform-spin`).

#![no_std]

pub mod time;

use core::fmt;

use embassy_net::driver::Driver;
use embassy_net::{Runner, Stack, StackResources};
use static_cell::StaticCell;
use tautline_firmware_app::Files;
use tautline_firmware_app::blink::Punctuality;

/// TCP for the device, one for the small server, DHCP.
const SOCKETS: usize = 4;

/// What an emulated board has.
pub trait Board {
    /// Prints a line.
    fn print(&self, line: fmt::Arguments<'_>);

    /// Its files, which the emulator put into its flash.
    fn files(&self) -> Files<'static>;

    /// How punctual the light has been.
    fn punctuality(&self) -> Punctuality;

    /// Ends the emulator, with success or not.
    fn exit(&self, success: bool) -> !;
}

/// The TCP stack over this driver, and what runs it.
///
/// # Panics
///
/// If it is called twice.
pub fn network<D: Driver>(driver: D, seed: u64) -> (Stack<'static>, Runner<'static, D>) {
    static RESOURCES: StaticCell<StackResources<SOCKETS>> = StaticCell::new();
    let config = embassy_net::Config::dhcpv4(Default::default());
    embassy_net::new(driver, config, RESOURCES.init_with(StackResources::new), seed)
}

/// Runs the device to its end.
pub async fn device(board: impl Board, stack: Stack<'static>) {
    stack.wait_config_up().await;
    let address = stack.config_v4().map(|config| config.address);
    board.print(format_args!("address {address:?}"));
    embassy_time::Timer::after_secs(5).await;
    let light = board.punctuality();
    board.print(format_args!("light {} edges, worst {} us late", light.edges, light.worst_us));
    board.exit(true)
}
