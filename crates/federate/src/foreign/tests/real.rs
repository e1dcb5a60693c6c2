//! Programs of others, where they are installed.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use net::{Client, Request};

/// A program on the PATH, or `None` after a printed line; fails where peers are required.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|d| d.join(name)).find(|p| p.is_file());
    if found.is_none() {
        let required = std::env::var_os("ORRERY_PEERS").is_some_and(|v| v == "required");
        assert!(!required, "{name} is required and not there");
        println!("skipped: {name} is not installed");
    }
    found
}

/// A running program with its data, killed when dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) url: String,
    _dir: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// Starts what `command` makes of a directory and a port, and waits until it answers at `ready`.
    pub(crate) async fn start(command: impl FnOnce(&std::path::Path, u16) -> Command, ready: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = command(dir.path(), port);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let running = Running { child, url: format!("http://127.0.0.1:{port}"), _dir: dir };
        let client = Client::default();
        let mut tries = 0;
        while !client
            .send(Request::get(format!("{}{ready}", running.url)))
            .await
            .is_ok_and(|a| a.status.is_success())
        {
            tries += 1;
            assert!(tries < 600, "{ready} does not answer");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        running
    }

    /// Writes a batch by remote write.
    pub(crate) async fn write(&self, batch: &model::MetricBatch) {
        let body = snap::raw::Encoder::new().compress_vec(&wire::remote_write::encode(batch)).unwrap();
        let request = Request::post(format!("{}/api/v1/write", self.url), body)
            .header("content-encoding", "snappy")
            .header("content-type", "application/x-protobuf");
        let answer = Client::default().send(request).await.unwrap();
        assert!(answer.status.is_success(), "{}", answer.excerpt());
    }
}
