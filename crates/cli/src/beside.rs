//! What the hub keeps, for commands that change a little of it while the hub runs or not.

use tautline_store::{Beside, StoreError};

use crate::config::{Config, Place, Problems, Unlisted};
use crate::failure::Failure;

/// Opens it; with `create` it is made where there is nothing yet. `what` is to be kept there.
pub(crate) fn open(options: &Unlisted, create: bool, what: &str) -> Result<Beside, Failure> {
    let config = Config::load(&options.0, &|name| std::env::var_os(name)).map_err(Problems::into_failure)?;
    let Place::Directory(directory) = config.store.path else {
        return Err(Failure::usage(format!("the store is in memory: there is nowhere to keep {what}")));
    };
    let opened = if create { Beside::open_or_create(&directory) } else { Beside::open(&directory) };
    opened.map_err(|error| match error {
        StoreError::Missing(_) => Failure::new(format!("{error} (--data names another directory)")),
        error => error.into(),
    })
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new(error.to_string())
    }
}
