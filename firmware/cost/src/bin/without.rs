//! An executor with a task that receives and sends over the same network, and no client. What the client is compared with has
//! a network as well, and so it has what every network needs: copies of bytes, wakers, and the network itself.

#![no_std]
#![no_main]
#![allow(unsafe_code)] // what the macros make

use embassy_executor::Executor;
use embedded_io_async::{Read, Write};
use portable_atomic as _;
use riscv as _;
use static_cell::StaticCell;
use tautline_cost::{Nothing, uncounted};
use tautline_device::{Clock, Connector, Instant, Transport};

/// Bytes of each buffer.
const LENGTH: usize = 1024;

/// Microseconds between two connections.
const PAUSE: u64 = 1_000_000;

/// What the board's start-up code calls.
#[riscv_rt::entry]
fn main() -> ! {
    static EXECUTOR: StaticCell<Executor> = StaticCell::new();
    EXECUTOR.init_with(Executor::new).run(|spawner| spawner.spawn(task().expect("the only one")))
}

#[embassy_executor::task]
async fn task() {
    let (receive, transmit) = (uncounted::<LENGTH>(0), uncounted::<LENGTH>(1));
    loop {
        if let Ok(mut transport) = Nothing.connect().await {
            let (mut reader, mut writer) = transport.split();
            let mut filled = 0;
            while let Ok(len @ 1..) = reader.read(&mut receive[filled..]).await {
                filled += len;
                transmit[..filled].copy_from_slice(&receive[..filled]);
                transmit[filled..].fill(0);
                let Ok(taken) = writer.write(&transmit[..filled]).await;
                let Ok(()) = writer.flush().await;
                receive.copy_within(taken..filled, 0);
                filled -= taken;
            }
            transport.close().await;
        }
        Nothing.sleep_until(Instant::from_micros(Nothing.now().as_micros() + PAUSE)).await;
    }
}
