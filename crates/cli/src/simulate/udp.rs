//! Devices that share a few UDP sockets.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tautline_telemetry::device::Config;
use tautline_telemetry::{MAX_MESSAGE, messages};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};

use super::crew::Member;
use super::plan::{Clock, Orders, Plan, changed};
use super::station::{OUTBOX, Station};
use super::tally::Tally;
use super::wire::{Way, Wire};

/// Messages that wait for a device. More are lost, as they are in a socket.
const WAITING: usize = 64;

/// Where the messages for a device go.
pub(super) type Mailbox = mpsc::Sender<Box<[u8]>>;

/// A socket for the hub.
///
/// # Errors
///
/// The system's.
pub(super) async fn socket(hub: SocketAddr) -> io::Result<UdpSocket> {
    let any = if hub.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind::<SocketAddr>(any).await?;
    // Datagrams from elsewhere do not come in.
    socket.connect(hub).await?;
    Ok(socket)
}

/// A mailbox, and what comes out of it.
pub(super) fn mailbox() -> (Mailbox, mpsc::Receiver<Box<[u8]>>) {
    mpsc::channel(WAITING)
}

/// Hands what comes to the devices that it is for, for ever.
pub(super) async fn sort(socket: Arc<UdpSocket>, mailboxes: HashMap<u32, Mailbox>) {
    let mut datagram = [0; 2 * MAX_MESSAGE];
    loop {
        let Ok(len) = socket.recv(&mut datagram).await else {
            // The hub is not there, perhaps. If it is worse than that, this is no reason to be busy with it.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        for message in messages(&datagram[..len]).map_while(Result::ok) {
            if let Some(mailbox) = mailboxes.get(&message.header().address.device) {
                let _ = mailbox.try_send(message.bytes().into());
            }
        }
    }
}

/// A device, until everything is done and acknowledged, or it is told to stop.
pub(super) async fn run(
    member: &Member,
    plan: &Plan,
    tally: &Tally,
    clock: Clock,
    socket: &UdpSocket,
    mut mail: mpsc::Receiver<Box<[u8]>>,
    mut orders: watch::Receiver<Orders>,
) {
    let mut outbox = vec![0; OUTBOX];
    let mut wire = Wire::new(plan.faults, plan.seed_of(member, 3));
    let Ok(mut station) = Station::new(clock.now(), member, plan, Config::DATAGRAM, tally, &mut outbox) else {
        tally.complain(format!("{} does not fit into a hello", member.name));
        return;
    };
    let mut out = [0; MAX_MESSAGE];
    let mut told = *orders.borrow_and_update();
    loop {
        let now = clock.now();
        station.handle_timeout(now);
        loop {
            while let Some((way, datagram)) = wire.arrived(now) {
                match way {
                    // What the system does not take is lost.
                    Way::Out => drop(socket.send(&datagram).await),
                    Way::In => station.receive(now, &datagram),
                }
            }
            let Some(len) = station.poll_transmit(now, &mut out) else { break };
            wire.enter(now, Way::Out, &out[..len]);
        }
        if station.is_done() {
            return;
        }
        let next = station.poll_timeout(true).into_iter().chain(wire.due()).min();
        tokio::select! {
            Some(message) = mail.recv() => wire.enter(clock.now(), Way::In, &message),
            () = clock.until(next) => {}
            new = changed(&mut orders) => {
                if new.stop {
                    return;
                }
                if new.end {
                    station.end();
                }
                if new.storms != told.storms {
                    station.reconnected(clock.now());
                }
                told = new;
            }
        }
    }
}
