//! An executor with a task, which sends sensor data over datagrams and obeys commands. The buffers are memory that is not counted: how large
//! they are is up to whoever uses the client.

#![no_std]
#![no_main]
#![allow(unsafe_code)] // what the macros make

use embassy_executor::Executor;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use portable_atomic as _;
use riscv as _;
use static_cell::StaticCell;
use tautline_cost::{Nothing, input, output, uncounted};
use tautline_device::telemetry::{
    Client, Command, Config, Event, FromHub, Identity, Key, Link, MAX_MESSAGE, Outcome, Sensor, Settings, Status, Type,
    Value,
};
use tautline_device::{Clock, Random};

static SETTINGS: Settings = Settings::new();
static SENSORS: [Sensor<'static>; 1] = [Sensor { index: 0, kind: Type::F32, name: "temperature", unit: "Cel" }];

/// What the board's start-up code calls.
#[riscv_rt::entry]
fn main() -> ! {
    static EXECUTOR: StaticCell<Executor> = StaticCell::new();
    EXECUTOR.init_with(Executor::new).run(|spawner| spawner.spawn(task().expect("the only one")))
}

#[embassy_executor::task]
async fn task() {
    let mut random = |bytes: &mut [u8]| bytes.fill_with(|| input() as u8);
    let link = link(&mut random);
    let mut client = Client::new(&SETTINGS, &link, uncounted(1), uncounted(2));
    let mut handler = |event: Event<'_>| match event {
        Event::Hub(FromHub::Command { number, command: Command::Switch { on, .. } }) => {
            output(on.into());
            let _ = link.answer(number, &Outcome { status: Status::Done, value: Some(Value::Bool(on)) });
        }
        Event::Hub(FromHub::Acknowledged(_)) => {
            let _ = link.push(Nothing.now(), 0, Value::F32(f32::from(input() as u8)));
        }
        Event::Disconnected { .. } => link.stop(),
        _ => {}
    };
    client.run(&mut Nothing, &Nothing, &mut random, &mut handler).await;
}

fn link(random: &mut impl Random) -> Link<'static, CriticalSectionRawMutex> {
    let key = Some(Key::new(uncounted(4096)));
    let identity = Identity { device: 1, name: "kitchen", firmware: "1.0", sensors: &SENSORS, key };
    let link = Link::new(identity, Config::DATAGRAM, uncounted::<MAX_MESSAGE>(0), &Nothing, random);
    link.expect("this fits into a hello")
}
