//! What tests try on QEMU's board: see [`trial`].

#![no_std]
#![no_main]
#![allow(unsafe_code)] // the start-up code calls by name

use embassy_net::StackResources;
use static_cell::StaticCell;
use tautline_firmware_sim::{DEVICE_SOCKETS, SERVER_SOCKETS, trial};

/// What the board's start-up code calls.
#[cortex_m_rt::entry]
fn main() -> ! {
    static RESOURCES: StaticCell<StackResources<{ DEVICE_SOCKETS + SERVER_SOCKETS }>> = StaticCell::new();
    tautline_sim_arm::run(RESOURCES.init_with(StackResources::new), trial)
}
