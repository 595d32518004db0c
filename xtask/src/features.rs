//! The feature powerset: features only ever add API, so every set of them must build.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    job::Job,
    outcome::{Outcome, Stop},
};

/// The libraries that people outside this workspace choose features of.
const LIBRARIES: &[&str] = &[
    "tautline-proto",
    "tautline",
    "tautline-engine",
    "tautline-identity",
    "tautline-telemetry",
    "tautline-device",
    "tautline-device-tls",
];

/// Up to this many features every set is tried; above it, every single one, every pair, none and all.
const FULL_POWERSET: usize = 5;

/// Compiles every library with every set of its features.
pub(crate) fn suite(job: &Job<'_>) -> Outcome {
    let metadata = job.workspace.metadata(&job.workspace.root.join("Cargo.toml"))?;
    let mut count = 0;
    for library in LIBRARIES {
        for features in sets(&declared(&metadata, library)?) {
            let features = features.join(",");
            // Clippy rather than check: its `-D warnings` reaches this workspace's code only, where RUSTFLAGS would
            // compile every dependency again. A set that leaves something unused is worth knowing about.
            let mut command =
                job.cargo(&["clippy", "--package", library, "--lib", "--locked", "--no-default-features"]);
            job.run(command.args(["--features", &features, "--", "-D", "warnings"]))
                .map_err(|stop| named(stop, library, &features))?;
            count += 1;
        }
    }
    Ok(format!("{count} sets"))
}

/// Feature to what it turns on.
type Features = BTreeMap<String, Vec<String>>;

fn named(stop: Stop, library: &str, features: &str) -> Stop {
    match stop {
        Stop::Failed(why) => Stop::Failed(format!("{library} with features [{features}]: {why}")),
        other => other,
    }
}

/// The features that a package declares, without `default`, which is only a name for a set.
fn declared(metadata: &Value, package: &str) -> Result<Features, Stop> {
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = packages.iter().find(|candidate| candidate["name"] == package);
    let features = found.and_then(|package| package["features"].as_object());
    let features = features.ok_or_else(|| Stop::Failed(format!("the workspace has no package {package}")))?;
    let parts = |value: &Value| {
        value.as_array().into_iter().flatten().filter_map(|part| part.as_str().map(str::to_owned)).collect()
    };
    Ok(features.iter().filter(|(name, _)| *name != "default").map(|(name, on)| (name.clone(), parts(on))).collect())
}

/// The sets to try, smallest first. Two sets that turn on the same features are one.
fn sets(features: &Features) -> Vec<Vec<String>> {
    let names: Vec<&String> = features.keys().collect();
    let wanted = |size: usize| names.len() <= FULL_POWERSET || size <= 2 || size == names.len();
    let mut seen = BTreeSet::new();
    let mut sets = Vec::new();
    for size in (0..=names.len()).filter(|size| wanted(*size)) {
        for set in choose(&names, size) {
            if seen.insert(closure(features, &set)) {
                sets.push(set);
            }
        }
    }
    sets
}

/// Every way to take `size` of the names, in order.
fn choose(names: &[&String], size: usize) -> Vec<Vec<String>> {
    if size == 0 {
        return vec![vec![]];
    }
    let mut sets = Vec::new();
    for (index, first) in names.iter().enumerate() {
        for mut rest in choose(&names[index + 1..], size - 1) {
            rest.insert(0, (*first).clone());
            sets.push(rest);
        }
    }
    sets
}

/// Everything of the package itself that a set turns on, directly or not.
fn closure(features: &Features, set: &[String]) -> BTreeSet<String> {
    let mut on = BTreeSet::new();
    let mut todo = set.to_vec();
    while let Some(name) = todo.pop() {
        if let Some(parts) = features.get(&name)
            && on.insert(name)
        {
            todo.extend(parts.iter().cloned());
        }
    }
    on
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(entries: &[(&str, &[&str])]) -> Features {
        let parts = |on: &[&str]| on.iter().map(|part| (*part).to_owned()).collect();
        entries.iter().map(|(name, on)| ((*name).to_owned(), parts(on))).collect()
    }

    #[test]
    fn independent_features_give_the_whole_powerset_smallest_first() {
        let sets = sets(&features(&[("a", &["dep:x"]), ("b", &["y/std"]), ("c", &[])]));
        assert_eq!(sets.len(), 8);
        assert_eq!(sets[0], Vec::<String>::new());
        assert_eq!(sets[7], ["a", "b", "c"]);
    }

    #[test]
    fn sets_that_turn_on_the_same_are_tried_once() {
        // b turns a on: {b} and {a, b} are the same build.
        assert_eq!(sets(&features(&[("a", &[]), ("b", &["a"])])), [vec![], vec!["a"], vec!["b"]]);
    }

    #[test]
    fn many_features_are_tried_singly_in_pairs_and_all_together() {
        let names: Vec<String> = (0..8).map(|n| format!("f{n}")).collect();
        let entries: Vec<(&str, &[&str])> = names.iter().map(|name| (name.as_str(), &[][..])).collect();
        assert_eq!(sets(&features(&entries)).len(), 1 + 8 + 28 + 1);
    }

    #[test]
    fn default_is_not_a_feature_of_its_own() {
        let metadata = serde_json::json!({"packages": [{"name": "p", "features": {"default": ["a"], "a": ["dep:q"]}}]});
        assert_eq!(declared(&metadata, "p").unwrap(), features(&[("a", &["dep:q"])]));
        assert!(declared(&metadata, "absent").is_err());
    }
}
