//! Programs of others that tests run. Each is looked up on the PATH or in the test environment that `make test`
//! prepares.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Duration,
};

use net::{Client, Request};

use crate::node::eventually;

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
    environment("ORRERY_PEERS_PYTHON")
}

/// That of `tests/peers/spans-requirements.txt`, with exporters for Zipkin and Jaeger.
pub fn spans_python() -> Option<PathBuf> {
    environment("ORRERY_SPAN_PEERS_PYTHON")
}

fn environment(variable: &str) -> Option<PathBuf> {
    let bin = std::env::var_os(variable).map(PathBuf::from).filter(|b| b.join("python").exists());
    if bin.is_none() {
        absent(&format!("the Python environment ({variable})"));
    }
    bin
}

pub fn absent(what: &str) {
    let required = std::env::var("ORRERY_PEERS").is_ok_and(|v| v == "required");
    assert!(!required, "{what} is required and not there");
    println!("skipped: {what} is not installed; `make test` installs what it can");
}

/// A running program, killed when dropped.
pub struct Peer(pub Child);

impl Peer {
    pub fn start(command: &mut Command) -> Self {
        Peer(command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap())
    }
}

impl Peer {
    /// Asks it to end, and waits until it has: what it holds is on the disk then.
    pub fn terminate(mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
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

/// A Prometheus that takes remote writes and keeps its data below `dir`, and its address.
pub async fn receiving_prometheus(binary: &Path, dir: &Path, features: &[&str]) -> (Peer, String) {
    let port = free_port();
    let peer = prometheus_on(port, binary, dir, features).await;
    (peer, format!("http://127.0.0.1:{port}"))
}

/// The same on a port, which it has again when it is started again.
pub async fn prometheus_on(port: u16, binary: &Path, dir: &Path, features: &[&str]) -> Peer {
    std::fs::write(dir.join("p.yml"), "global: {scrape_interval: 15s}\n").unwrap();
    let peer = Peer::start(
        Command::new(binary)
            .arg(format!("--config.file={}", dir.join("p.yml").display()))
            .arg(format!("--storage.tsdb.path={}", dir.join("p").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(["--web.enable-remote-write-receiver", "--web.enable-admin-api"])
            .args(features),
    );
    ready("Prometheus", &format!("http://127.0.0.1:{port}/-/ready")).await;
    peer
}

/// A VictoriaMetrics that keeps its data below `dir`. Of a sample that is sent again it keeps one, as it does for those
/// who run two senders.
pub async fn victoria_metrics_on(port: u16, binary: &Path, dir: &Path) -> Peer {
    let peer = Peer::start(
        Command::new(binary)
            .arg(format!("-storageDataPath={}", dir.join("victoria").display()))
            .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
            .args(["-retentionPeriod=100y", "-search.latencyOffset=0s", "-dedup.minScrapeInterval=1ms"]),
    );
    ready("VictoriaMetrics", &format!("http://127.0.0.1:{port}/health")).await;
    peer
}

async fn ready(name: &str, url: &str) {
    let client = Client::new().unwrap();
    eventually(&format!("{name} is ready"), Duration::from_secs(60), async || {
        let answer = client.send(Request::get(url)).await.ok()?;
        answer.status.is_success().then_some(())
    })
    .await;
}
