//! Programs of others that tests run. Each is looked up on the PATH or in the test environment that `make test`
//! prepares.

use std::{
    path::PathBuf,
    process::{Child, Command},
};

/// A program on the PATH, or `None` after a printed line; fails where peers are required.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|d| d.join(name)).find(|p| p.is_file());
    if found.is_none() {
        absent(name);
    }
    found
}

/// The Python environment of `tests/peers/requirements.txt`; its `bin` directory.
pub fn python() -> Option<PathBuf> {
    let bin =
        std::env::var_os("ORRERY_PEERS_PYTHON").map(PathBuf::from).filter(|b| b.join("python").exists());
    if bin.is_none() {
        absent("the Python environment (ORRERY_PEERS_PYTHON)");
    }
    bin
}

fn absent(what: &str) {
    let required = std::env::var("ORRERY_PEERS").is_ok_and(|v| v == "required");
    assert!(!required, "{what} is required and not there");
    println!("skipped: {what} is not installed; `make test` installs it");
}

/// A running program, killed when dropped.
pub struct Peer(pub Child);

impl Peer {
    pub fn start(command: &mut Command) -> Self {
        Peer(command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port nobody listens on at the moment.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
