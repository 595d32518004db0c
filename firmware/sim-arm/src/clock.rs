//! Time: SysTick says what time it is, and a timer of the chip's drives tasks and the light.
//!
//! Two timers, because the first never stops: an interrupt that is late cannot make the clock late.

use core::cell::Cell;

use cortex_m::peripheral::{SCB, SYST, syst::SystClkSource};
use cortex_m_rt::exception;
use critical_section::Mutex;
use embassy_time_driver::time_driver_impl;
use tautline_firmware_sim::time::{Hardware, Time};

use crate::register;

/// The longest time that SysTick counts, in ticks.
const ROUND: u32 = 1 << 24;
/// The clock after a reset: 12.5 MHz. That is 25 ticks in two microseconds.
const TICKS_PER_2_US: u64 = 25;
/// The longest that the timer is set to. What is later is asked for again then.
const LONGEST_US: u64 = 100_000_000;

/// The interrupt of timer 0A.
pub(crate) const INTERRUPT: i16 = 19;
const CLOCK_GATES: usize = 0x400f_e104;
const TIMER: usize = 0x4003_0000;
const MODE: usize = TIMER + 0x04;
const CONTROL: usize = TIMER + 0x0c;
const INTERRUPT_MASK: usize = TIMER + 0x18;
const INTERRUPT_CLEAR: usize = TIMER + 0x24;
const LOAD: usize = TIMER + 0x28;

/// How often SysTick has run over.
static ROUNDS: Mutex<Cell<u32>> = Mutex::new(Cell::new(0));

time_driver_impl!(static TIME: Time<Timers> = Time::new(Timers));

/// SysTick and timer 0.
pub(crate) struct Timers;

impl Hardware for Timers {
    fn now_us(&self) -> u64 {
        critical_section::with(|cs| {
            let rounds = ROUNDS.borrow(cs);
            let mut left = SYST::get_current();
            // It may have run over with interrupts off.
            if SCB::is_pendst_pending() {
                SCB::clear_pendst();
                rounds.set(rounds.get() + 1);
                left = SYST::get_current();
            }
            let ticks = u64::from(rounds.get()) * u64::from(ROUND) + u64::from(ROUND - 1 - left);
            ticks * 2 / TICKS_PER_2_US
        })
    }

    fn wake_at(&self, us: u64) {
        let wait = us.saturating_sub(self.now_us()).min(LONGEST_US);
        register::write(CONTROL, 0);
        register::write(LOAD, (wait * TICKS_PER_2_US / 2) as u32 + 1);
        register::write(CONTROL, 1);
    }
}

/// Starts the clock and the light.
pub(crate) fn start(mut syst: SYST) {
    syst.set_clock_source(SystClkSource::Core);
    syst.set_reload(ROUND - 1);
    syst.clear_current();
    syst.enable_interrupt();
    syst.enable_counter();
    register::write(CLOCK_GATES, 1 << 16);
    register::write(MODE, 1); // once
    register::write(INTERRUPT_MASK, 1);
    TIME.start();
}

/// What the timer's interrupt does.
pub(crate) fn interrupt() {
    register::write(INTERRUPT_CLEAR, 1);
    TIME.interrupt();
}

/// The light and all tasks that wait for a time.
pub(crate) fn time() -> &'static Time<Timers> {
    &TIME
}

/// A round of the clock is over.
#[exception]
fn SysTick() {
    critical_section::with(|cs| {
        let rounds = ROUNDS.borrow(cs);
        rounds.set(rounds.get() + 1);
    });
}
