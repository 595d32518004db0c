//! The store without a disk: for a hub that is told to keep nothing, and as the measure of what the other one answers.

mod apply;
mod read;
mod retain;
mod telemetry;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::apply::Undo;
use self::read::MemoryReader;
use self::telemetry::Telemetry;
use crate::backend::{Backend, Reader, Retention, Source, Step};
use crate::error::StoreError;
use crate::record::{Command, Connection, Dedup, Device, Document, Message, Token, Twin};
use crate::write::Write;

/// Everything in memory, as much as is written and not trimmed or retained away. It is gone with the process.
#[derive(Debug, Default)]
pub struct Memory {
    shared: Arc<SharedState>,
}

impl Memory {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Backend for Memory {
    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        let mut state = self.shared.lock();
        let mut undo = Undo::default();
        for write in writes {
            if let Err(error) = state.apply(write, &mut undo) {
                undo.roll_back(&mut state);
                return Err(error);
            }
        }
        Ok(())
    }

    fn retain(&mut self, retention: &Retention) -> Result<Step, StoreError> {
        Ok(Step { deleted: self.shared.lock().retain(retention), more: false })
    }

    fn source(&self) -> Arc<dyn Source> {
        Arc::new(MemorySource { shared: self.shared.clone() })
    }
}

#[derive(Debug, Default)]
struct SharedState {
    state: Mutex<State>,
}

impl SharedState {
    /// Nothing panics while it is held; if it did, the maps would still be maps.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the others read.
struct MemorySource {
    shared: Arc<SharedState>,
}

impl Source for MemorySource {
    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        Ok(Box::new(MemoryReader { shared: self.shared.clone() }))
    }

    fn backup(&self, _to: &Path) -> Result<(), StoreError> {
        Err(StoreError::Unsupported("the store is in memory: there is nothing to back up"))
    }
}

/// What is there.
#[derive(Debug, Default)]
struct State {
    rooms: BTreeMap<Arc<str>, RoomState>,
    counters: BTreeMap<Arc<str>, i64>,
    /// By room and name.
    documents: BTreeMap<(Arc<str>, Arc<str>), Document>,
    twins: BTreeMap<Arc<str>, Twin>,
    commands: BTreeMap<Arc<str>, Command>,
    tokens: BTreeMap<Arc<str>, Token>,
    devices: BTreeMap<Arc<str>, Device>,
    /// By number.
    connections: BTreeMap<u64, Connection>,
    last_connection: u64,
    telemetry: Telemetry,
}

#[derive(Debug)]
struct RoomState {
    epoch: u64,
    durable: bool,
    last_offset: u64,
    /// By offset.
    messages: BTreeMap<u64, Message>,
    /// By client and message id.
    dedup: BTreeMap<(Arc<str>, Arc<str>), Dedup>,
}
