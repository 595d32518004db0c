//! A device of the labs on a host: sends `SOS` every second and prints what it is told. Beside a running hub:
//! `cargo run -p tautline-device --features tokio --example sos -- 127.0.0.1 8000`.

// A terminal program: printing is what it is for.
#![allow(clippy::print_stdout)]

use std::time::Duration;

use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use tautline_device::host::{HostClock, HostRandom, Tcp};
use tautline_device::{Client, Event, Link, Message, Policy, Settings};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let host = arguments.next().unwrap_or_else(|| "127.0.0.1".into());
    let port = arguments.next().and_then(|port| port.parse().ok()).unwrap_or(8000);
    let settings = Settings::new(&host, port);

    let mut outbox = [0; 1024];
    let link = Link::<CriticalSectionRawMutex>::new(&mut outbox);
    let (mut receive, mut transmit) = ([0; 1024], [0; 512]);
    let mut client = Client::new(&settings, &link, &mut receive, &mut transmit);
    let mut handler = |event: Event<'_>| println!("{event:?}");
    let (mut tcp, clock, mut random) = (Tcp::new(host.clone(), port), HostClock::new(), HostRandom);

    let control_loop = async {
        loop {
            let _ = link.try_send(Message::text("SOS").policy(Policy::KeepLatest(1)));
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        stopped = client.run(&mut tcp, &clock, &mut random, &mut handler) => println!("{stopped}"),
        () = control_loop => {}
    }
}
