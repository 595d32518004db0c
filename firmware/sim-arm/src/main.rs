//! The device for QEMU's Cortex-M3 board `lm3s6965evb`, which has no room for a server beside TLS.

#![no_std]
#![no_main]
#![allow(unsafe_code)] // the start-up code calls by name

use embassy_net::StackResources;
use static_cell::StaticCell;
use tautline_firmware_sim::{DEVICE_SOCKETS, device};

/// What the board's start-up code calls.
#[cortex_m_rt::entry]
fn main() -> ! {
    static RESOURCES: StaticCell<StackResources<DEVICE_SOCKETS>> = StaticCell::new();
    tautline_sim_arm::run(RESOURCES.init_with(StackResources::new), device)
}
