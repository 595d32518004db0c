//! Stamps: how a provisioned folder says what it was made from.

use std::{fs, path::Path};

use crate::{outcome::Stop, workspace::fresh_dir};

/// The file in a provisioned folder that holds its recipe.
const NAME: &str = "recipe.stamp";

/// Makes a folder from a recipe unless it was made from the same one before. The recipe is the whole text of whatever
/// decides what gets into the folder (requirement files, versions of interpreters). The stamp keeps that text itself, not
/// a hash of it: it cannot collide, and whoever wonders why something was installed again can read it.
///
/// The folder's own place is part of it: the scripts of a Python environment do not survive a move.
///
/// The stamp is written last, so a folder that was interrupted half-way is made again from nothing.
pub(super) fn stamped(dir: &Path, recipe: &str, make: impl FnOnce() -> Result<(), Stop>) -> Result<(), Stop> {
    let recipe = &format!("{}\n{recipe}", dir.display());
    if is_fresh(dir, recipe) {
        return Ok(());
    }
    fresh_dir(dir)?;
    make()?;
    fs::write(dir.join(NAME), recipe)?;
    Ok(())
}

fn is_fresh(dir: &Path, recipe: &str) -> bool {
    fs::read_to_string(dir.join(NAME)).is_ok_and(|stamp| stamp == recipe)
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, env, process};

    use super::*;

    #[test]
    fn a_folder_is_made_once_per_recipe_and_again_after_a_failure() {
        let dir = env::temp_dir().join(format!("tautline-xtask-{}-stamp", process::id()));
        let made = Cell::new(0);
        let make = |recipe, result: Result<(), Stop>| {
            stamped(&dir, recipe, || {
                made.set(made.get() + 1);
                result
            })
        };
        make("one", Ok(())).unwrap();
        make("one", Ok(())).unwrap();
        assert_eq!(made.get(), 1, "the same recipe");
        fs::write(dir.join("left over"), "").unwrap();
        make("two", Err(Stop::Failed("network".into()))).unwrap_err();
        assert!(!dir.join("left over").exists(), "another recipe starts from nothing");
        make("two", Ok(())).unwrap();
        assert_eq!(made.get(), 3, "a failure leaves no stamp");
        fs::remove_dir_all(dir).unwrap();
    }
}
