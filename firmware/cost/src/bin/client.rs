//! An executor with a task, which is a client that sends and receives. The buffers are memory that is not counted: how large they
//! are is up to whoever uses the client. With the feature `deflate` it compresses, and what that takes is counted.

#![no_std]
#![no_main]
#![allow(unsafe_code)] // what the macros make

use embassy_executor::Executor;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use portable_atomic as _;
use riscv as _;
use static_cell::StaticCell;
use tautline_cost::{Nothing, input, output, uncounted};
use tautline_device::{Client, Event, Link, Message, Settings};

/// Bytes of each buffer.
const LENGTH: usize = 1024;

/// What the board's start-up code calls.
#[riscv_rt::entry]
fn main() -> ! {
    static EXECUTOR: StaticCell<Executor> = StaticCell::new();
    EXECUTOR.init_with(Executor::new).run(|spawner| spawner.spawn(task().expect("the only one")))
}

#[embassy_executor::task]
async fn task() {
    let link: Link<'_, CriticalSectionRawMutex> = Link::new(uncounted::<LENGTH>(0));
    static SETTINGS: Settings<'static> = Settings::new("192.168.1.10", 8000);
    let client = Client::new(&SETTINGS, &link, uncounted::<LENGTH>(1), uncounted::<LENGTH>(2));
    #[cfg(feature = "deflate")]
    let mut deflate = compression();
    #[cfg(feature = "deflate")]
    let mut client = client.with_deflate(&mut deflate);
    let mut random = |bytes: &mut [u8]| bytes.fill_with(|| input() as u8);
    let mut handler = |event: Event<'_>| match event {
        Event::Data(data) => {
            data.bytes().iter().for_each(|byte| output((*byte).into()));
            let _ = link.try_send(Message::text("SOS"));
        }
        Event::Closed { code, .. } => output(code.as_u16().into()),
        Event::Disconnected { .. } => link.stop(),
        _ => {}
    };
    #[cfg(not(feature = "deflate"))]
    let mut client = client;
    client.run(&mut Nothing, &Nothing, &mut random, &mut handler).await;
}

/// With a window of 512 bytes, inflating 256 bytes at once.
#[cfg(feature = "deflate")]
fn compression() -> tautline_device::Deflate<'static> {
    use tautline_device::{Deflate, WindowBits};

    const BITS: WindowBits = WindowBits::new(9).expect("between 8 and 15");
    static MEMORY: StaticCell<[u8; Deflate::memory(BITS, 256)]> = StaticCell::new();
    Deflate::new(BITS, MEMORY.init([0; _]))
}
