//! What the emulated boards have in common.
//!
//! The emulator counts guest time in instructions, so that it does not depend on how busy the host is. A guest that waits
//! for an interrupt executes none, and its time would be the host's again: so these boards never wait, and run embassy's
//! executor for boards that cannot (`platform-spin`).

#![no_std]

pub mod time;

use embassy_net::driver::Driver;
use embassy_net::{Runner, Stack, StackResources};
use static_cell::StaticCell;

/// TCP of the device and of the small server, DHCP, DNS.
const SOCKETS: usize = 5;

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
