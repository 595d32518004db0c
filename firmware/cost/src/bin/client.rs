//! An executor with a task, which is a client that sends and receives. The buffers are memory that is not counted: how large they
//! are is up to whoever uses the client.

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
    let settings = Settings::new("192.168.1.10", 8000);
    let mut client = Client::new(&settings, &link, uncounted::<LENGTH>(1), uncounted::<LENGTH>(2));
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
    client.run(&mut Nothing, &Nothing, &mut random, &mut handler).await;
}
