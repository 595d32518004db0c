//! Whose database it is, and which version of the schema it has.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::error::at;
use crate::error::StoreError;

/// One script for each version of the schema: the first makes version 1 of an empty database, each further one the next of
/// the one before.
pub(super) const MIGRATIONS: &[&str] = &[include_str!("schema_1.sql"), include_str!("schema_2.sql")];

/// "Taut", in the header of every database of this program.
const APPLICATION_ID: i64 = 0x5461_7574;

/// Refuses a database that this program must not write to.
pub(super) fn identify(connection: &Connection, file: &Path) -> Result<(), StoreError> {
    let read = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let read = |pragma| read(pragma).map_err(|error| at(file, error));
    let application = read("application_id")?;
    let version = read("user_version")?;
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(|error| at(file, error))?;
    let new = application == 0 && version == 0 && tables == 0;
    if application != APPLICATION_ID && !new {
        return Err(StoreError::Foreign(file.to_owned()));
    }
    let known = MIGRATIONS.len() as i64;
    if version > known {
        return Err(StoreError::Newer { file: file.to_owned(), found: version, known });
    }
    Ok(())
}

/// Whether there is nothing to [`migrate`].
pub(super) fn is_current(connection: &Connection) -> rusqlite::Result<bool> {
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(found == MIGRATIONS.len() as i64)
}

/// Brings the schema up to date, each version in a transaction of its own: a crash or an error leaves the database at a
/// version that the next start goes on from.
pub(super) fn migrate(connection: &mut Connection, migrations: &[&str]) -> rusqlite::Result<()> {
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let done = usize::try_from(found).unwrap_or(0);
    for (index, script) in migrations.iter().enumerate().skip(done) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(script)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", index as i64 + 1)?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "CREATE TABLE things (name TEXT) STRICT; INSERT INTO things VALUES ('old');";
    const SECOND: &str = "ALTER TABLE things ADD COLUMN size INTEGER; UPDATE things SET size = 7;";
    const BROKEN: &str = "INSERT INTO things VALUES ('half', 1); INSERT INTO nothing VALUES (1);";

    fn version(connection: &Connection) -> i64 {
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    }

    fn things(connection: &Connection) -> Vec<(String, i64)> {
        let mut statement = connection.prepare("SELECT name, size FROM things").unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    }

    #[test]
    fn an_older_database_gets_what_it_lacks_and_keeps_what_it_has() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, &[FIRST]).unwrap();
        assert_eq!(version(&connection), 1);
        migrate(&mut connection, &[FIRST, SECOND]).unwrap();
        assert_eq!(version(&connection), 2);
        assert_eq!(things(&connection), [("old".into(), 7)]);
        // A second time there is nothing to do.
        migrate(&mut connection, &[FIRST, SECOND]).unwrap();
        assert_eq!(things(&connection), [("old".into(), 7)]);
    }

    #[test]
    fn a_migration_that_fails_leaves_the_version_before_it() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, &[FIRST, SECOND, BROKEN]).unwrap_err();
        assert_eq!(version(&connection), 2);
        assert_eq!(things(&connection), [("old".into(), 7)]);
    }

    #[test]
    fn every_version_of_the_schema_leads_to_the_latest() {
        for start in 0..=MIGRATIONS.len() {
            let mut connection = Connection::open_in_memory().unwrap();
            migrate(&mut connection, &MIGRATIONS[..start]).unwrap();
            migrate(&mut connection, MIGRATIONS).unwrap();
            assert_eq!(version(&connection), MIGRATIONS.len() as i64);
            identify(&connection, Path::new("test")).unwrap();
        }
    }
}
