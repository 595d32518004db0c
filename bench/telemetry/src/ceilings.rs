//! What the machine does without a hub.

use std::io::{self, IoSliceMut};
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSockRef, UdpSocketState};
use rusqlite::{Connection, OpenFlags, params};
use tautline_store::{Settings, Store};

use crate::fleet::SENSORS;
use crate::hub::{Folder, open};
use crate::wires::wait_for;

/// Rows of a transaction: more do not make a row cheaper.
const BATCH: usize = 4_096;
/// As the hub's.
const BUFFER: usize = 64 * 1024;
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

/// Datagrams of this size per second that one thread receives, many at a time, and another one sends.
pub(crate) fn datagrams(size: usize, span: Duration) -> io::Result<f64> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let sender = UdpSocket::bind("127.0.0.1:0")?;
    sender.connect(socket.local_addr()?)?;
    let (received, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let receiver = thread::spawn({
        let (received, over) = (received.clone(), over.clone());
        move || receive(&socket, &received, &over)
    });
    let datagram = vec![0; size];
    let start = Instant::now();
    while start.elapsed() < span {
        for _ in 0..BATCH_SIZE {
            // What does not fit is lost, as it is anywhere.
            let _ = sender.send(&datagram);
        }
    }
    let rate = received.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64();
    over.store(true, Ordering::Relaxed);
    receiver.join().map_err(|_| io::Error::other("the receiver has failed"))??;
    Ok(rate)
}

fn receive(socket: &UdpSocket, received: &AtomicU64, over: &AtomicBool) -> io::Result<()> {
    let state = UdpSocketState::new(UdpSockRef::from(socket))?;
    let _ = state.set_recv_buffer_size(UdpSockRef::from(socket), RECEIVE_BUFFER);
    let mut buffers = vec![vec![0; BUFFER]; BATCH_SIZE];
    let mut metas = vec![RecvMeta::default(); BATCH_SIZE];
    while !over.load(Ordering::Relaxed) {
        let mut slices: Vec<IoSliceMut<'_>> = buffers.iter_mut().map(|buffer| IoSliceMut::new(buffer)).collect();
        match state.recv(UdpSockRef::from(socket), &mut slices, &mut metas) {
            Ok(count) => {
                let datagrams = |meta: &RecvMeta| meta.len.div_ceil(meta.stride.max(1)) as u64;
                received.fetch_add(metas[..count].iter().map(datagrams).sum(), Ordering::Relaxed);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait_for(socket, Duration::from_millis(1))?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Rows per second into the hub's own table, as durable as the hub's.
pub(crate) fn rows(folder: &Folder, span: Duration) -> io::Result<f64> {
    drop(Store::open(folder.path(), Settings::new()).map_err(io::Error::other)?);
    let database = open(&folder.path().join("tautline.db"), OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    insert(&database, span).map_err(io::Error::other)
}

fn insert(database: &Connection, span: Duration) -> rusqlite::Result<f64> {
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "FULL")?;
    let mut statement = database.prepare("INSERT INTO readings (sensor, at_ms, value) VALUES (?1, ?2, ?3)")?;
    let (mut rows, start) = (0_i64, Instant::now());
    while start.elapsed() < span {
        database.execute_batch("BEGIN IMMEDIATE")?;
        for _ in 0..BATCH {
            let (sensor, at) = (rows % (crate::DEVICES * SENSORS.len()) as i64, 1_800_000_000_000 + rows / 10);
            match sensor % 6 {
                3 | 4 => statement.execute(params![sensor, at, rows % 2])?,
                5 => statement.execute(params![sensor, at, "idle"])?,
                _ => statement.execute(params![sensor, at, rows as f64 / 16.0])?,
            };
            rows += 1;
        }
        database.execute_batch("COMMIT")?;
    }
    Ok(rows as f64 / start.elapsed().as_secs_f64())
}
