//! Tests of the language through the engine: scripts of our own, scripts and reference answers nobody on the
//! project wrote (where they are at hand), and limits.

// A test stops at the first thing that is not as it should be.
#![allow(clippy::unwrap_used)]

mod compliance;
mod corpus;
mod divided;
mod memory;
mod notation;
mod property;
mod queries;
mod script;
mod suites;

use std::path::PathBuf;

/// A folder of outside test data beside the repository; prints a line and answers nothing where it is absent.
fn shared_data(folder: &str) -> Option<PathBuf> {
    let root = PathBuf::from(env!("ORRERY_CHECKOUT")).join("../shared/data").join(folder);
    if root.is_dir() {
        return Some(root);
    }
    println!("skipped: {} is not there", root.display());
    None
}
