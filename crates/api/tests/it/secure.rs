//! Listeners with TLS, certificates of callers, and tokens.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use api::{Bound, Doors, Listener, Listeners, Token};
use base::{Clock, Metrics, Shutdown};
use futures::StreamExt;
use net::{
    certs::{self, Leaf},
    tls::{ClientSettings, ClientTls, MinVersion, ServerSettings, ServerTls, Target, TlsMetrics},
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::node;

/// An authority and two clusters.
struct Yard {
    dir: TempDir,
    tls: TlsMetrics,
}

fn now_s() -> i64 {
    Clock::system().now_ns() / 1_000_000_000
}

impl Yard {
    fn new() -> Self {
        let yard = Yard { dir: tempfile::tempdir().unwrap(), tls: TlsMetrics::new(&Metrics::default()) };
        certs::init(yard.dir.path(), "CA", 30, now_s()).unwrap();
        for cluster in ["dev-01", "prod-01"] {
            let (dns, ips) = (vec![], vec![[127, 0, 0, 1].into()]);
            let leaf = Leaf { cluster: cluster.to_owned(), dns, ips, days: 10 };
            certs::issue(yard.dir.path(), &leaf, now_s()).unwrap();
        }
        yard
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn server(&self, require_cluster: bool) -> Arc<ServerTls> {
        let settings = ServerSettings {
            cert: self.path("prod-01.crt"),
            key: self.path("prod-01.key"),
            client_ca: Some(self.path("ca.crt")),
            deny: None,
            min_version: MinVersion::Tls13,
            require_cluster,
        };
        ServerTls::open("listen.http", &settings, Clock::system(), self.tls.clone()).unwrap()
    }

    fn client(&self) -> Arc<ClientTls> {
        let settings = ClientSettings {
            cert: self.path("dev-01.crt"),
            key: self.path("dev-01.key"),
            ca: self.path("ca.crt"),
            deny: None,
            min_version: MinVersion::Tls13,
        };
        ClientTls::open(&settings, Clock::system(), self.tls.clone()).unwrap()
    }
}

fn any() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

async fn exchange(client: &ClientTls, addr: SocketAddr, text: &str) -> String {
    let target = Target { address: addr.to_string(), server_name: None, cluster: Some("prod-01".to_owned()) };
    let mut stream = client.connect(&target).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let mut answer = Vec::new();
    // The end of a connection without TLS's goodbye is an error, and no concern here.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn logs_of(cluster: &str) -> String {
    let record = r#"{"timeUnixNano":"1700000000000000000","body":{"stringValue":"x"}}"#;
    let attributes = format!(r#"[{{"key":"k8s.cluster.name","value":{{"stringValue":"{cluster}"}}}}]"#);
    let body = format!(
        r#"{{"resourceLogs":[{{"resource":{{"attributes":{attributes}}},"scopeLogs":[{{"logRecords":[{record}]}}]}}]}}"#
    );
    let head = "POST /v1/logs HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json";
    format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn a_caller_writes_only_for_the_cluster_its_certificate_names() {
    let (yard, shutdown) = (Yard::new(), Shutdown::new());
    let http = Listener { tls: Some(yard.server(false)), ..Listener::from(any()) };
    let listeners = Listeners { http: Some(http), ..Listeners::default() };
    let Bound { http, .. } = api::serve(listeners, node::state(), &shutdown).await.unwrap();
    let (addr, client) = (http.unwrap(), yard.client());
    let own = exchange(&client, addr, &logs_of("dev-01")).await;
    assert!(own.starts_with("HTTP/1.1 200") && !own.contains("rejected"), "{own}");
    let other = exchange(&client, addr, &logs_of("prod-01")).await;
    assert!(other.starts_with("HTTP/1.1 200") && other.contains("\"rejectedLogRecords\""), "{other}");
    assert!(other.contains("certificate is for dev-01"), "{other}");
    shutdown.start();
    assert_eq!(shutdown.finished(Duration::from_secs(10)).await, Ok(()));
}

#[tokio::test]
async fn connections_of_other_nodes_are_handed_out_with_what_they_proved() {
    let (yard, shutdown) = (Yard::new(), Shutdown::new());
    let listeners = Listeners { peers: Some((any(), yard.server(true))), ..Listeners::default() };
    let mut doors: Doors = api::open(listeners, &node::state().options, &shutdown).await.unwrap();
    let (addr, mut peers) = (doors.bound.peers.unwrap(), doors.peers.take().unwrap());
    let client = yard.client();
    let (answer, ()) = tokio::join!(exchange(&client, addr, "hello"), async {
        let mut peer = peers.next().await.unwrap();
        assert_eq!(peer.identity().cluster.as_deref(), Some("dev-01"));
        let mut heard = [0; 5];
        peer.read_exact(&mut heard).await.unwrap();
        peer.write_all(&heard).await.unwrap();
        peer.shutdown().await.unwrap();
    });
    assert_eq!(answer, "hello");
    shutdown.start();
    assert!(peers.next().await.is_none());
    assert_eq!(shutdown.finished(Duration::from_secs(10)).await, Ok(()));
}

#[tokio::test]
async fn a_listener_with_a_token_serves_only_those_who_know_it() {
    let (dir, shutdown) = (tempfile::tempdir().unwrap(), Shutdown::new());
    std::fs::write(dir.path().join("token"), "s3cret").unwrap();
    let token = Some(Token::of_file(dir.path().join("token")));
    let listeners =
        Listeners { http: Some(Listener { token, ..Listener::from(any()) }), ..Listeners::default() };
    let addr = api::serve(listeners, node::state(), &shutdown).await.unwrap().http.unwrap();
    let ask = async |path: &str, header: &str| {
        let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
        let text = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{header}\r\n");
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let refused = ask("/api/v1/labels", "").await;
    assert!(refused.starts_with("HTTP/1.1 401") && refused.contains("www-authenticate: Bearer"), "{refused}");
    assert!(ask("/api/v1/labels", "authorization: Bearer wrong\r\n").await.starts_with("HTTP/1.1 401"));
    assert!(ask("/api/v1/labels", "authorization: Bearer s3cret\r\n").await.starts_with("HTTP/1.1 200"));
    assert!(ask("/-/healthy", "").await.starts_with("HTTP/1.1 200"));
    shutdown.start();
}
