//! Tells the binary which revision it is built from and by which compiler. Outside a checkout, or without git,
//! it does not know and says nothing.

use std::{path::Path, process::Command};

fn main() {
    let revision = output("git", &["rev-parse", "HEAD"]);
    let branch = output("git", &["rev-parse", "--abbrev-ref", "HEAD"]);
    let compiler = output("rustc", &["--version"]);
    println!("cargo:rustc-env=ORRERY_REVISION={revision}");
    println!("cargo:rustc-env=ORRERY_BRANCH={branch}");
    println!("cargo:rustc-env=ORRERY_RUSTC={compiler}");
    println!("cargo:rerun-if-changed=build.rs");
    // Grows with every commit, checkout and rebase.
    let log = output("git", &["rev-parse", "--git-path", "logs/HEAD"]);
    if Path::new(&log).exists() {
        println!("cargo:rerun-if-changed={log}");
    }
}

/// The first line a command prints, empty where it cannot.
fn output(command: &str, arguments: &[&str]) -> String {
    let ran = Command::new(command).args(arguments).output().ok().filter(|o| o.status.success());
    let text = ran.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or_default().trim().to_owned()
}
