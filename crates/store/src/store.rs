//! The handle.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
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
/// When the last one is dropped, what waits is committed, the commit thread ends, and the drop returns after that. A program
/// that cannot tell which one is the last calls [`close`](Self::close).
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
        Ok(Self {
            inner: Arc::new(Inner {
                shared,
                source,
                readers: Mutex::default(),
                returned: Condvar::new(),
                thread: Mutex::new(Some(thread)),
            }),
        })
    }

    /// Asks for `writes` to be committed, all or nothing, after everything that was submitted before. It never blocks.
    ///
    /// `done` is called once, on the commit thread, after the commit and in the order of submission; it must be quick, and
    /// must not call [`flush`](Self::flush). A submission without writes is done when all before it are; if the last commit has failed
    /// for the environment's reasons, it finds out whether commits work again, and fails if they do not.
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
    /// Those of `read`, or the environment's; [`Closed`](StoreError::Closed).
    pub fn read<T>(&self, read: impl FnOnce(&mut dyn Reader) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut lent = self.inner.lend()?;
        if lent.reader.is_none() {
            lent.reader = Some(self.inner.source.reader()?);
        }
        read(lent.reader.as_deref_mut().expect("it has just been opened"))
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
        let _lent = self.inner.lend()?;
        self.inner.source.backup(to.as_ref())
    }

    /// Closes the store, whoever still has a handle: commits what waits, waits for those who read, and closes the database,
    /// which is one file then. It blocks; not for the commit thread and not within a read. A second call does nothing.
    ///
    /// From then on submissions are refused and reads answer [`Closed`](StoreError::Closed).
    pub fn close(&self) {
        self.inner.close();
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
    readers: Mutex<Readers>,
    /// A reader was given back.
    returned: Condvar,
    /// Taken when it is joined.
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Readers {
    kept: Vec<Box<dyn Reader>>,
    /// How many are in use.
    lent: usize,
    closed: bool,
}

/// Somebody reads. Given back when dropped, also by a panic.
struct Lent<'a> {
    inner: &'a Inner,
    reader: Option<Box<dyn Reader>>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut readers = lock(&self.inner.readers);
        readers.lent -= 1;
        if let Some(reader) = self.reader.take()
            && readers.kept.len() < READERS
            && !thread::panicking()
        {
            readers.kept.push(reader);
        }
        drop(readers);
        self.inner.returned.notify_all();
    }
}

/// What is locked is sound whenever it can be, so a panic elsewhere does not matter.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    fn lend(&self) -> Result<Lent<'_>, StoreError> {
        let mut readers = lock(&self.readers);
        if readers.closed {
            return Err(StoreError::Closed);
        }
        readers.lent += 1;
        Ok(Lent { inner: self, reader: readers.kept.pop() })
    }

    fn close(&self) {
        let mut readers = lock(&self.readers);
        readers.closed = true;
        while readers.lent > 0 {
            readers = self.returned.wait(readers).unwrap_or_else(PoisonError::into_inner);
        }
        // Before the backend closes: SQLite tidies up when its last connection ends.
        readers.kept.clear();
        drop(readers);
        self.shared.end();
        // Whoever comes second waits here until the first one has joined it.
        let mut thread = lock(&self.thread);
        let Some(joined) = thread.take() else { return };
        // The last handle may be dropped by a `done`, in the thread that would be waited for.
        if joined.thread().id() != thread::current().id() && joined.join().is_err() {
            tracing::error!("the commit thread had failed");
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}
