//! The store in a file.

mod apply;
mod beside;
mod copy;
mod error;
mod files;
mod read;
mod retain;
mod schema;
mod telemetry;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use self::error::{at, store_error};
use self::files::{DATABASE, Lock};
use self::read::SqliteReader;
use self::telemetry::Touched;
use crate::backend::{Backend, Reader, Retention, Source, Step};
use crate::error::StoreError;
use crate::telemetry::ReadingAge;
use crate::write::Write;

pub use self::beside::Beside;
pub use self::copy::backup;

/// How long a statement waits for another program that writes to the database.
const BUSY: Duration = Duration::from_secs(5);

/// Up to which size the whole database is checked when it is opened. It takes a fraction of a second; a large one would
/// keep the hub from starting for minutes.
const CHECKED_BYTES: u64 = 64 * 1024 * 1024;

/// Statements that a connection keeps prepared; more than there are.
const STATEMENTS: usize = 64;

/// An SQLite database in a directory of its own.
#[derive(Debug)]
pub struct Sqlite {
    connection: Connection,
    file: PathBuf,
    /// For how long readings were kept when old ones were last looked for.
    kept_ms: Option<Option<i64>>,
    /// Declared last: given up when the database is closed.
    _lock: Lock,
}

impl Sqlite {
    /// Opens `tautline.db` in `directory`; creates what is not there, for the owner alone (modes 0700 and 0600). An older
    /// schema is brought up to date.
    ///
    /// A database of up to 64 MiB is checked as a whole (`quick_check`). In a larger one, damage is found when it is come
    /// across.
    ///
    /// The directory has to be on a disk of this machine: what is on a network file system cannot be shared safely.
    ///
    /// # Errors
    ///
    /// [`InUse`](StoreError::InUse), [`Newer`](StoreError::Newer), [`Foreign`](StoreError::Foreign),
    /// [`Damaged`](StoreError::Damaged), or the system's.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self, StoreError> {
        let directory = directory.as_ref();
        files::create_directory(directory)?;
        let lock = Lock::take(directory)?;
        let file = directory.join(DATABASE);
        files::create_file(&file)?;
        let mut connection = connect(&file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        schema::identify(&connection, &file)?;
        configure(&connection).map_err(|error| at(&file, error))?;
        check(&connection, &file)?;
        schema::migrate(&mut connection, schema::MIGRATIONS).map_err(|error| at(&file, error))?;
        Ok(Self { connection, file, kept_ms: None, _lock: lock })
    }
}

impl Backend for Sqlite {
    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        commit(&mut self.connection, writes)
    }

    fn probe(&mut self) -> Result<(), StoreError> {
        // To write what is there already takes as much of the disk as a small change.
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(store_error)?;
        let version: i64 =
            transaction.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(store_error)?;
        transaction.pragma_update(None, "user_version", version).map_err(store_error)?;
        transaction.commit().map_err(store_error)
    }

    fn retain(&mut self, retention: &Retention) -> Result<Step, StoreError> {
        if let Some(ReadingAge { keep_ms, .. }) = retention.readings
            && self.kept_ms != Some(keep_ms)
        {
            telemetry::check_all(&self.connection)?;
            self.kept_ms = Some(keep_ms);
        }
        retain::step(&mut self.connection, retention)
    }

    fn source(&self) -> Arc<dyn Source> {
        Arc::new(SqliteSource { file: self.file.clone() })
    }

    fn close(&mut self) -> Result<(), StoreError> {
        // So that the database is one file, which can be copied by any means.
        let busy: i64 =
            self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).map_err(store_error)?;
        match busy {
            0 => Ok(()),
            _ => Err(StoreError::Io("another program reads the database".into())),
        }
    }
}

/// Does all of `writes`, in their order, or nothing.
fn commit(connection: &mut Connection, writes: &[Write]) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(store_error)?;
    write(&transaction, writes)?;
    transaction.commit().map_err(store_error)
}

/// Does all of `writes` within a transaction, which is to be rolled back after an error.
fn write(transaction: &Connection, writes: &[Write]) -> Result<(), StoreError> {
    let mut touched = Touched::default();
    for write in writes {
        apply::apply(transaction, write, &mut touched)?;
    }
    touched.store(transaction)
}

/// Opens connections for reading.
struct SqliteSource {
    file: PathBuf,
}

impl Source for SqliteSource {
    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        Ok(Box::new(SqliteReader::new(connect_to_read(&self.file)?)))
    }

    fn backup(&self, to: &Path) -> Result<(), StoreError> {
        copy::copy(&connect_to_read(&self.file)?, to)
    }
}

fn connect_to_read(file: &Path) -> Result<Connection, StoreError> {
    connect(file, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

fn connect(file: &Path, access: OpenFlags) -> Result<Connection, StoreError> {
    // A connection is used by one thread at a time: SQLite need not lock it.
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connect = || {
        let connection = Connection::open_with_flags(file, flags)?;
        connection.busy_timeout(BUSY)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(connection)
    };
    connect().map_err(|error| at(file, error))
}

/// Settings of the writing connection. The first one counts for a new database only, and must be set while it is empty.
fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // On macOS a flush is only one with these; elsewhere they mean nothing.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    // The log is written back to the database when it has 1,000 pages (4 MB), and its file is not left larger than 64 MiB
    // when a long read has kept it from that.
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 1000, |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_size_limit", 64 * 1024 * 1024, |_| Ok(()))?;
    connection.pragma_update(None, "temp_store", "MEMORY")
}

fn check(connection: &Connection, file: &Path) -> Result<(), StoreError> {
    if files::size(file)? > CHECKED_BYTES {
        return Ok(());
    }
    let found: String =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(|error| at(file, error))?;
    if found == "ok" { Ok(()) } else { Err(StoreError::Damaged(format!("{}: {found}", file.display()))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Twin;

    #[test]
    fn the_writing_connection_flushes_with_every_commit() {
        let directory = tempfile::tempdir().unwrap();
        let sqlite = Sqlite::open(directory.path()).unwrap();
        let pragma = |name| sqlite.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
        let mode: String = sqlite.connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal");
        // 2 is FULL, and INCREMENTAL.
        assert_eq!((pragma("synchronous"), pragma("auto_vacuum")), (2, 2));
    }

    #[test]
    fn a_probe_writes_and_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let mut sqlite = Sqlite::open(directory.path()).unwrap();
        let log = directory.path().join(format!("{DATABASE}-wal"));
        let written = || std::fs::metadata(&log).unwrap().len();
        let pragma = |sqlite: &Sqlite, name| {
            sqlite.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap()
        };
        let (before, version) = (written(), pragma(&sqlite, "user_version"));
        sqlite.probe().unwrap();
        assert!(written() > before, "{before}");
        assert_eq!(pragma(&sqlite, "user_version"), version);
        drop(sqlite);
        Sqlite::open(directory.path()).unwrap();
    }

    #[test]
    fn a_full_disk_takes_nothing_of_a_commit_and_the_next_one_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let mut sqlite = Sqlite::open(directory.path()).unwrap();
        // SQLite answers as it does when the disk is full.
        let limit = |sqlite: &Sqlite, pages: i64| {
            sqlite.connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
        };
        limit(&sqlite, 60);
        let twin = |device: &str, size: usize| {
            Write::Twin(Twin {
                device: device.into(),
                desired: "x".repeat(size).into(),
                desired_version: 1,
                reported: "{}".into(),
                reported_version: 0,
                at_ms: 0,
            })
        };
        let full = sqlite.commit(&[twin("small", 1), twin("large", 1_000_000)]);
        assert_eq!(full, Err(StoreError::DiskFull));
        let mut reader = sqlite.source().reader().unwrap();
        assert_eq!(reader.twins().unwrap(), []);
        sqlite.commit(&[twin("small", 1)]).unwrap();
        limit(&sqlite, 1000);
        sqlite.commit(&[twin("large", 1_000_000)]).unwrap();
        assert_eq!(reader.twins().unwrap().len(), 2);
    }
}
