//! Small changes beside a hub that runs, or not.

use std::fmt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::error::{at, store_error};
use super::files::{self, DATABASE};
use super::read::SqliteReader;
use super::{Sqlite, commit, configure, connect, connect_to_read, schema, write};
use crate::backend::Reader;
use crate::error::StoreError;
use crate::write::Write;

/// A second writer to a database, for the few things that its hub does not decide: it reads them again. What the hub keeps in
/// memory (rooms, counters, documents, twins, commands) must not be changed with it. Everything blocks.
pub struct Beside {
    connection: Connection,
    file: PathBuf,
}

impl fmt::Debug for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Beside").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Beside {
    /// Opens the database in `directory`, whether or not a hub runs on it.
    ///
    /// # Errors
    ///
    /// [`Missing`](StoreError::Missing): there is none. [`Newer`](StoreError::Newer), [`Foreign`](StoreError::Foreign), or the
    /// system's; [`InUse`](StoreError::InUse): the database is not complete yet, or of an older version, and a hub holds it.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self, StoreError> {
        let directory = directory.as_ref();
        let file = directory.join(DATABASE);
        if !files::exists(&file) {
            return Err(StoreError::Missing(format!("database {}", file.display())));
        }
        let open = || {
            let connection = connect(&file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            schema::identify(&connection, &file)?;
            Ok(connection)
        };
        let mut connection = open()?;
        if !schema::is_current(&connection).map_err(|error| at(&file, error))? {
            drop(connection);
            // Nobody else may bring it up to date meanwhile.
            drop(Sqlite::open(directory)?);
            connection = open()?;
        }
        configure(&connection).map_err(|error| at(&file, error))?;
        Ok(Self { connection, file })
    }

    /// As [`open`](Self::open), and makes directory and database as a hub would that starts, if there are none.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), but that there is none.
    pub fn open_or_create(directory: impl AsRef<Path>) -> Result<Self, StoreError> {
        let directory = directory.as_ref();
        if !files::exists(&directory.join(DATABASE)) {
            drop(Sqlite::open(directory)?);
        }
        Self::open(directory)
    }

    /// What there is now.
    ///
    /// # Errors
    ///
    /// The environment's.
    pub fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        Ok(Box::new(SqliteReader::new(connect_to_read(&self.file)?)))
    }

    /// Does all of `writes`, in their order, or nothing. It waits up to 5 s for a commit of the hub.
    ///
    /// # Errors
    ///
    /// See [`Write`].
    pub fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        commit(&mut self.connection, writes)
    }

    /// As [`commit`](Self::commit), for writes that follow from what there is: nobody else writes between what `decide` reads and
    /// what it answers. What goes with the writes is returned when they are done.
    ///
    /// # Errors
    ///
    /// Those of `decide`, which end it without a change, and those of [`Write`].
    pub fn change<T, E: From<StoreError>>(
        &mut self,
        decide: impl FnOnce(&mut dyn Reader) -> Result<(Vec<Write>, T), E>,
    ) -> Result<T, E> {
        // Another connection, which sees what is committed: all there is, as long as this transaction has written nothing.
        let mut reader = SqliteReader::new(connect_to_read(&self.file)?);
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(store_error)?;
        let (writes, answer) = decide(&mut reader)?;
        write(&transaction, &writes)?;
        transaction.commit().map_err(store_error)?;
        Ok(answer)
    }
}
