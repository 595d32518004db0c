//! The handle.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crate::backend::{Backend, Reader, Retention, Source};
use crate::committer::{Committer, Shared};
use crate::error::{StoreError, SubmitError};
use crate::memory::Memory;
use crate::settings::Settings;
use crate::sqlite::Sqlite;
use crate::write::Write;

/// How many readers are kept for later reads. More are opened when more read at once.
const READERS: usize = 4;

/// A handle to what the hub keeps. Clones are handles to the same; see the [crate documentation](crate).
///
/// When the last one is dropped, what waits is committed, the commit thread ends, and the drop returns after that.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("counters", &self.counters()).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the SQLite database in `directory`; creates what is not there. See [`Sqlite::open`]. It blocks.
    ///
    /// # Errors
    ///
    /// As [`Sqlite::open`]; or the system refuses a thread.
    pub fn open(directory: impl AsRef<Path>, settings: Settings) -> Result<Self, StoreError> {
        Self::start(Sqlite::open(directory)?, settings)
    }

    /// A store that forgets everything when its last handle goes.
    ///
    /// # Errors
    ///
    /// The system refuses a thread.
    pub fn in_memory(settings: Settings) -> Result<Self, StoreError> {
        Self::start(Memory::new(), settings)
    }

    /// Starts the commit thread around a backend.
    ///
    /// # Errors
    ///
    /// The system refuses a thread.
    pub fn start(backend: impl Backend + 'static, settings: Settings) -> Result<Self, StoreError> {
        let source = backend.source();
        let shared = Arc::new(Shared::new(settings));
        let committer = Committer::new(shared.clone(), Box::new(backend));
        let thread = thread::Builder::new()
            .name("tautline-store".into())
            .spawn(|| committer.run())
            .map_err(|error| StoreError::Io(format!("cannot start the commit thread: {error}")))?;
        Ok(Self { inner: Arc::new(Inner { shared, source, readers: Mutex::default(), thread: Some(thread) }) })
    }

    /// Asks for `writes` to be committed, all or nothing, after everything that was submitted before. It never blocks.
    ///
    /// `done` is called once, on the commit thread, after the commit and in the order of submission; it must be quick, and
    /// must not call [`flush`](Self::flush). A submission without writes is done when all before it are.
    ///
    /// `done` is told `Err` if the backend refused (see [`Write`]) or the environment failed: a full disk, say, which is also
    /// logged. Then nothing of this submission is kept, while those before and behind it stand for themselves.
    ///
    /// # Errors
    ///
    /// Nothing was submitted, and `done` is dropped without being called.
    pub fn submit(
        &self,
        writes: Vec<Write>,
        done: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) -> Result<(), SubmitError> {
        self.inner.shared.submit(writes, Box::new(done))
    }

    /// Deletes what `retention` does not keep, in steps between the commits. `done` is called once, on the commit thread;
    /// if the store ends before, it is told [`Closed`](StoreError::Closed).
    ///
    /// # Errors
    ///
    /// [`Full`](SubmitError::Full) if an earlier call is under way. Then `done` is dropped without being called.
    pub fn retain(
        &self,
        retention: Retention,
        done: impl FnOnce(Result<Retained, StoreError>) + Send + 'static,
    ) -> Result<(), SubmitError> {
        self.inner.shared.retain(retention, Box::new(done))
    }

    /// Waits until every `done` of what was submitted before has been called. It blocks; not for the commit thread.
    pub fn flush(&self) {
        self.inner.shared.flush();
    }

    /// Reads what is committed, beside the commits: what waits is not seen, see [`flush`](Self::flush). It blocks, for the
    /// disk and not for commits: call it where blocking is allowed (tokio's `spawn_blocking`).
    ///
    /// Each call of the reader sees one state; two calls may see two.
    ///
    /// # Errors
    ///
    /// Those of `read`, or the environment's.
    pub fn read<T>(&self, read: impl FnOnce(&mut dyn Reader) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let kept = self.inner.readers().pop();
        let mut reader = match kept {
            Some(reader) => reader,
            None => self.inner.source.reader()?,
        };
        let answer = read(&mut *reader);
        let mut readers = self.inner.readers();
        if readers.len() < READERS {
            readers.push(reader);
        }
        answer
    }

    /// Writes a consistent copy of everything committed to the new file `to`, while commits go on. It blocks.
    ///
    /// The copy appears under its name when it is complete and on the disk; only its owner may read it. Meanwhile the
    /// write-ahead log grows by what is committed.
    ///
    /// # Errors
    ///
    /// [`FileExists`](StoreError::FileExists): it overwrites nothing. [`Unsupported`](StoreError::Unsupported): the store is
    /// in memory. Or the environment's.
    pub fn backup(&self, to: impl AsRef<Path>) -> Result<(), StoreError> {
        self.inner.source.backup(to.as_ref())
    }

    /// What has been counted, and what waits now.
    pub fn counters(&self) -> Counters {
        self.inner.shared.counters()
    }
}

/// What a store has counted since its start, and what waits now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Transactions that were committed, without those of retention.
    pub commits: u64,
    /// Submissions that were committed.
    pub committed: u64,
    /// Submissions that failed.
    pub failed: u64,
    /// Rows that retention has deleted.
    pub deleted: u64,
    /// Submissions that wait, those included that are being committed.
    pub waiting: usize,
    /// The bytes that these hold.
    pub waiting_bytes: usize,
}

/// What retention has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    /// How many rows it has deleted.
    pub deleted: u64,
    /// In how many steps.
    pub steps: u64,
}

struct Inner {
    shared: Arc<Shared>,
    source: Arc<dyn Source>,
    readers: Mutex<Vec<Box<dyn Reader>>>,
    /// Taken when it is joined.
    thread: Option<JoinHandle<()>>,
}

impl Inner {
    fn readers(&self) -> MutexGuard<'_, Vec<Box<dyn Reader>>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Before the backend closes: SQLite tidies up when its last connection ends.
        self.readers().clear();
        self.shared.end();
        let Some(thread) = self.thread.take() else { return };
        // The last handle may be dropped by a `done`, in the thread that would be waited for.
        if thread.thread().id() != thread::current().id() && thread.join().is_err() {
            tracing::error!("the commit thread had failed");
        }
    }
}
