//! A device with a temperature and a lamp, over UDP. Beside a running hub:
//! `cargo run -p tautline-device --features telemetry,tokio --example telemetry -- 127.0.0.1 65433`, and with the number and the key that
//! `tautline device add kitchen` shows: `... 192.168.1.20 65433 NUMBER KEY`.

// A terminal program: printing is what it is for.
#![allow(clippy::print_stdout)]

use std::time::Duration;

use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use tautline_device::Clock;
use tautline_device::host::{HostClock, HostRandom, Udp};
use tautline_device::telemetry::*;

static SENSORS: [Sensor<'static>; 1] = [Sensor { index: 0, kind: Type::F32, name: "temperature", unit: "Cel" }];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Unencodable> {
    let arguments: Vec<String> = std::env::args().collect();
    let argument = |index: usize| arguments.get(index).map(String::as_str);
    let port = argument(2).and_then(|port| port.parse().ok()).unwrap_or(65433);
    let device = argument(3).and_then(|number| number.parse().ok()).unwrap_or(1_000_000);
    let identity =
        Identity { device, name: "kitchen", firmware: "example", sensors: &SENSORS, key: argument(4).and_then(key) };

    let (clock, mut random) = (HostClock::new(), HostRandom);
    let mut outbox = [0; 4096];
    let link = Link::<CriticalSectionRawMutex>::new(identity, Config::DATAGRAM, &mut outbox, &clock, &mut random)?;
    let (mut receive, mut transmit) = ([0; MAX_MESSAGE], [0; MAX_MESSAGE]);
    let settings = Settings::new();
    let mut client = Client::new(&settings, &link, &mut receive, &mut transmit);
    let mut udp = Udp::new(argument(1).unwrap_or("127.0.0.1"), port);
    let mut handler = |event: Event<'_>| {
        println!("{event:?}");
        if let Event::Hub(FromHub::Command { number, command }) = event {
            let status = if matches!(command, Command::Switch { .. }) { Status::Done } else { Status::Refused };
            let _ = link.answer(number, &Outcome { status, value: None });
        }
    };

    let control_loop = async {
        for turn in (0..8_u8).cycle() {
            // If there is no room for it, it is lost: the loop goes on.
            let _ = link.push(clock.now(), 0, Value::F32(21.0 + f32::from(turn) / 8.0));
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        () = client.run(&mut udp, &clock, &mut random, &mut handler) => {}
        () = control_loop => {}
    }
    Ok(())
}

/// A key of 64 hexadecimal digits.
fn key(digits: &str) -> Option<Key> {
    let mut key = [0; 32];
    for (index, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(Key::new(&key))
}
