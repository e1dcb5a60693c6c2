//! A node under test: its own directory, free ports, killed when dropped.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use net::{Answer, Client, Request};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{lab::Host, lifecycle::now_ns};

pub struct Node {
    child: Child,
    pub http: String,
    pub otlp_grpc: String,
    pub otlp_http: String,
    pub client: Client,
}

/// The directory and configuration that outlive a node, so that it can be started again.
pub struct Home {
    pub dir: TempDir,
    pub extra: String,
    /// Any free one where it is 0; a sender that outlives the node needs the same again.
    http_port: u16,
    /// Where in a laboratory the node runs; otherwise on this machine's loopback.
    host: Option<Host>,
    /// Where other nodes ask it, if they may.
    pub peers_port: Option<u16>,
    /// What the node finds in its environment beside what the test has.
    pub environment: Vec<(String, String)>,
    /// Further listeners, as `, syslog: '127.0.0.1:5514'`.
    pub listen: String,
}

/// A node that collects nothing by itself, so that tests see only what they sent.
pub const QUIET: &str = "collect:\n  host: {enabled: false}\n  files: {paths: []}\n  pods: {path: ''}\n  traces: {enabled: false}\n  defaults: false\n";

impl Home {
    /// `extra` is YAML added to a configuration without collectors.
    pub fn new(extra: &str) -> Self {
        Self::with(&format!("{QUIET}{extra}"))
    }

    /// A configuration that begins with nothing but data directory and free ports.
    pub fn with(extra: &str) -> Self {
        Home {
            dir: tempfile::tempdir().unwrap(),
            extra: extra.to_owned(),
            http_port: 0,
            host: None,
            peers_port: None,
            environment: Vec::new(),
            listen: String::new(),
        }
    }

    /// A node on a host of a laboratory, reached by that host's address.
    pub fn on_host(host: &Host, extra: &str) -> Self {
        Home { host: Some(host.clone()), ..Self::new(&format!("insecure: true\n{extra}")) }
    }

    /// A node that has the same port whenever it is started.
    pub fn on_port(http_port: u16, extra: &str) -> Self {
        Home { http_port, ..Self::new(extra) }
    }

    /// A node that other nodes ask on that port of this machine.
    pub fn asked_on(peers_port: u16, extra: &str) -> Self {
        Home { peers_port: Some(peers_port), ..Self::new(extra) }
    }

    /// A node that others ask and that senders outlive.
    pub fn lasting(http_port: u16, peers_port: u16, extra: &str) -> Self {
        Home { http_port, peers_port: Some(peers_port), ..Self::new(extra) }
    }

    pub fn http_port(&self) -> u16 {
        self.http_port
    }

    pub fn config(&self) -> PathBuf {
        self.dir.path().join("orrery.yaml")
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn write_config(&self, extra: &str) {
        let port = self.http_port;
        let at = self.host.as_ref().map_or_else(|| "127.0.0.1".to_owned(), |h| h.address.to_string());
        let peers = self.peers_port.map_or_else(|| "off".to_owned(), |p| format!("'{at}:{p}'"));
        let more = &self.listen;
        let listen = format!(
            "{{http: '{at}:{port}', otlp_grpc: '{at}:0', otlp_http: '{at}:0', peers: {peers}{more}}}"
        );
        std::fs::write(self.config(), format!("data_dir: data\nlisten: {listen}\n{extra}")).unwrap();
    }

    fn command(&self, binary: &Path) -> Command {
        let mut command = self.host.as_ref().map_or_else(|| Command::new(binary), |h| h.command(binary));
        command.envs(self.environment.iter().map(|(k, v)| (k, v)));
        command
    }

    /// Starts a node and waits until it says that it is ready.
    pub fn start(&self) -> Node {
        self.start_as(Path::new(env!("CARGO_BIN_EXE_orrery")))
    }

    /// The same with another build of the program.
    pub fn start_as(&self, binary: &Path) -> Node {
        self.write_config(&self.extra);
        let log = std::fs::File::options().create(true).append(true).open(self.log()).unwrap();
        let mut child = self
            .command(binary)
            .args(["run", "--config"])
            .arg(self.config())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().and_then(Result::ok).unwrap_or_default();
        let second = lines.next().and_then(Result::ok).unwrap_or_default();
        let Some((_, http)) = first.split_once("ready: ") else {
            let _ = child.kill();
            panic!("the node did not start: {}", std::fs::read_to_string(self.log()).unwrap_or_default());
        };
        let mut addresses = second.split(", ").filter_map(|p| p.rsplit(' ').next()).map(str::to_owned);
        Node {
            child,
            http: http.trim_end_matches('/').to_owned(),
            otlp_grpc: format!("http://{}", addresses.next().unwrap()),
            otlp_http: format!("http://{}", addresses.next().unwrap()),
            client: Client::new().unwrap(),
        }
    }

    pub fn log(&self) -> PathBuf {
        self.dir.path().join("orrery.log")
    }

    pub fn log_text(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }
}

impl Node {
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.client.send(Request::get(format!("{}{path}", self.http))).await.unwrap()
    }

    /// Lines of one stream, of five seconds ago.
    pub async fn push(&self, labels: Value, lines: &[impl AsRef<str>]) {
        let at = now_ns() - 5_000_000_000;
        let entry = |(n, line): (usize, &_)| json!([(at + n as i64).to_string(), AsRef::<str>::as_ref(line)]);
        let values: Vec<Value> = lines.iter().enumerate().map(entry).collect();
        let body = json!({"streams": [{"stream": labels, "values": values}]}).to_string();
        let answer = self.post("/loki/api/v1/push", "application/json", body).await;
        assert!(answer.status.is_success(), "{}", answer.excerpt());
    }

    pub async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        serde_json::from_slice(&answer.body).unwrap_or_else(|e| panic!("{path}: {e}: {}", answer.excerpt()))
    }

    pub async fn post(&self, path: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Answer {
        let request =
            Request::post(format!("{}{path}", self.http), body.into()).header("content-type", content_type);
        self.client.send(request).await.unwrap()
    }

    /// The value of an instant query that gives a scalar or one series, NaN where there is none.
    pub async fn value(&self, promql: &str) -> f64 {
        let path = format!("/api/v1/query?query={}", encode(promql));
        let v = self.json(&path).await;
        assert_eq!(v["status"], "success", "{promql}: {v}");
        let result = &v["data"]["result"];
        let point = if v["data"]["resultType"] == "scalar" { result } else { &result[0]["value"] };
        point[1].as_str().and_then(|s| s.parse().ok()).unwrap_or(f64::NAN)
    }

    /// Lines of a log query over the last hour, newest first.
    pub async fn lines(&self, logql: &str) -> Vec<String> {
        let path = format!("/loki/api/v1/query_range?query={}&limit=5000", encode(logql));
        let v = self.json(&path).await;
        assert_eq!(v["status"], "success", "{logql}: {v}");
        let streams = v["data"]["result"].as_array().cloned().unwrap_or_default();
        let entries = streams.iter().flat_map(|s| s["values"].as_array().cloned().unwrap_or_default());
        entries.filter_map(|e| e[1].as_str().map(str::to_owned)).collect()
    }

    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.pid().to_string()]).status().unwrap();
        assert!(status.success());
        // Its threads stop one after the other.
        while signal == "-STOP" && !self.is_stopped() {
            std::thread::yield_now();
        }
    }

    fn is_stopped(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        threads.filter_map(Result::ok).all(|t| {
            let stat = std::fs::read_to_string(t.path().join("stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
        })
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends SIGTERM and waits; returns the exit code and how long it took.
    pub fn terminate(mut self) -> (Option<i32>, Duration) {
        let began = Instant::now();
        self.signal("-TERM");
        let status = self.child.wait().unwrap();
        (status.code(), began.elapsed())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Percent-encodes a query parameter.
pub fn encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Asks until `check` gives a value; fails with what `describe` says after `within`.
pub async fn eventually<T, F: AsyncFnMut() -> Option<T>>(what: &str, within: Duration, mut check: F) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(began.elapsed() < within, "{what} did not happen within {within:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The checkout's root.
pub fn root() -> PathBuf {
    PathBuf::from(env!("ORRERY_CHECKOUT"))
}
