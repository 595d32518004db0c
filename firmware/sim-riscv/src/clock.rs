//! The CLINT's timer, which counts 10 MHz, drives tasks and the light.

use embassy_time_driver::time_driver_impl;
use riscv::interrupt::Interrupt;
use tautline_firmware_sim::time::{Hardware, Time};

use crate::register;

const TIME_LOW: usize = 0x0200_bff8;
const TIME_HIGH: usize = TIME_LOW + 4;
const COMPARE_LOW: usize = 0x0200_4000;
const COMPARE_HIGH: usize = COMPARE_LOW + 4;
/// The Goldfish real-time clock: nanoseconds since 1970.
const RTC: usize = 0x0010_1000;
const TICKS_PER_US: u64 = 10;

time_driver_impl!(static TIME: Time<Clint> = Time::new(Clint));

/// The core-local interruptor of hart 0.
pub(crate) struct Clint;

impl Hardware for Clint {
    fn now_us(&self) -> u64 {
        loop {
            let high = register::read(TIME_HIGH);
            let low = register::read(TIME_LOW);
            // Else the low half has run over in between.
            if register::read(TIME_HIGH) == high {
                return (u64::from(high) << 32 | u64::from(low)) / TICKS_PER_US;
            }
        }
    }

    fn wake_at(&self, us: u64) {
        let ticks = us.saturating_mul(TICKS_PER_US);
        // No time in between must be one that has come.
        register::write(COMPARE_HIGH, u32::MAX);
        register::write(COMPARE_LOW, ticks as u32);
        register::write(COMPARE_HIGH, (ticks >> 32) as u32);
    }
}

/// What the real-time clock says, which has the host's time.
pub(crate) fn unix_seconds() -> u64 {
    // Reading the low half fixes the high one.
    let low = register::read(RTC);
    let high = register::read(RTC + 4);
    (u64::from(high) << 32 | u64::from(low)) / 1_000_000_000
}

/// Starts the light.
pub(crate) fn start() {
    TIME.start();
    // SAFETY: what the interrupt uses, it shares through critical sections.
    unsafe { riscv::register::mie::set_mtimer() };
}

/// The light and all tasks that wait for a time.
pub(crate) fn time() -> &'static Time<Clint> {
    &TIME
}

#[riscv_rt::core_interrupt(Interrupt::MachineTimer)]
fn timer() {
    TIME.interrupt();
}
