//! An executor with a task, and no client.

#![no_std]
#![no_main]
#![allow(unsafe_code)] // what the macros make

use embassy_executor::Executor;
use portable_atomic as _;
use riscv as _;
use static_cell::StaticCell;
use tautline_cost::{input, output};

/// What the board's start-up code calls.
#[riscv_rt::entry]
fn main() -> ! {
    static EXECUTOR: StaticCell<Executor> = StaticCell::new();
    EXECUTOR.init_with(Executor::new).run(|spawner| spawner.spawn(task().expect("the only one")))
}

#[embassy_executor::task]
async fn task() {
    output(input());
}
