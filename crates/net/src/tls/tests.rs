use std::path::Path;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;
use crate::{Error, certs};

/// 2027-01-15.
const NOW: i64 = 1_800_000_000;
const DAY: i64 = 86_400;

/// An authority with certificates for three clusters, and a clock.
struct Yard {
    dir: TempDir,
    clock: Clock,
    metrics: Metrics,
    tls: TlsMetrics,
}

impl Yard {
    fn new() -> Self {
        let metrics = Metrics::default();
        let yard = Yard {
            dir: tempfile::tempdir().unwrap(),
            clock: Clock::manual(NOW * 1_000_000_000),
            tls: TlsMetrics::new(&metrics),
            metrics,
        };
        certs::init(yard.dir.path(), "Orrery CA", 3650, NOW).unwrap();
        for cluster in ["dev-01", "prod-01"] {
            yard.issue(cluster, 365, NOW);
        }
        yard
    }

    fn issue(&self, cluster: &str, days: u32, now_s: i64) -> String {
        issue(self.dir.path(), cluster, days, now_s)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn server_settings(&self, cluster: &str) -> ServerSettings {
        ServerSettings {
            cert: self.path(&format!("{cluster}.crt")),
            key: self.path(&format!("{cluster}.key")),
            client_ca: Some(self.path("ca.crt")),
            deny: Some(self.path("denied.txt")),
            min_version: MinVersion::Tls13,
            require_cluster: true,
        }
    }

    fn client_settings(&self, cluster: &str) -> ClientSettings {
        ClientSettings {
            cert: self.path(&format!("{cluster}.crt")),
            key: self.path(&format!("{cluster}.key")),
            ca: self.path("ca.crt"),
            deny: Some(self.path("denied.txt")),
            min_version: MinVersion::Tls13,
        }
    }

    fn server(&self, settings: &ServerSettings) -> Arc<ServerTls> {
        ServerTls::open("listen.peers", settings, self.clock.clone(), self.tls.clone()).unwrap()
    }

    fn client(&self, settings: &ClientSettings) -> Arc<ClientTls> {
        ClientTls::open(settings, self.clock.clone(), self.tls.clone()).unwrap()
    }

    fn usual(&self) -> (Arc<ServerTls>, Arc<ClientTls>) {
        (self.server(&self.server_settings("prod-01")), self.client(&self.client_settings("dev-01")))
    }

    fn advance_days(&self, days: u64) {
        self.clock.advance(Duration::from_secs(days * DAY as u64));
    }
}

/// Answers the serial number.
fn issue(dir: &Path, cluster: &str, days: u32, now_s: i64) -> String {
    let dns = vec!["node.example.com".to_owned()];
    let leaf = certs::Leaf { cluster: cluster.to_owned(), dns, ips: Vec::new(), days };
    certs::issue(dir, &leaf, now_s).unwrap().made.facts.serial
}

fn target() -> Target {
    Target {
        address: "node.example.com:9495".to_owned(),
        server_name: None,
        cluster: Some("prod-01".to_owned()),
    }
}

type Met = (Result<Accepted<DuplexStream>, Error>, Result<PeerStream<DuplexStream>, Error>);

async fn meet(server: &ServerTls, client: &ClientTls, target: &Target) -> Met {
    let (theirs, ours) = tokio::io::duplex(64 << 10);
    tokio::join!(server.accept(theirs), client.over(ours, target))
}

/// What both sides say when the client's own checks pass and the server's do not.
async fn refused(server: &ServerTls, client: &ClientTls) -> (Error, String) {
    let (theirs, ours) = tokio::io::duplex(64 << 10);
    let call = async {
        let mut called = client.over(ours, &target()).await.unwrap();
        // Whoever was refused learns it by reading, and leaves.
        called.read_u8().await.unwrap_err().to_string()
    };
    let (accepted, told) = tokio::join!(server.accept(theirs), call);
    (accepted.err().unwrap(), told)
}

fn reason(e: &Error) -> Reason {
    match e {
        Error::Tls { reason, .. } => *reason,
        other => panic!("{other}"),
    }
}

async fn talk(accepted: &mut Accepted<DuplexStream>, called: &mut PeerStream<DuplexStream>) {
    called.write_all(b"ping").await.unwrap();
    called.flush().await.unwrap();
    let mut heard = [0; 4];
    accepted.stream.read_exact(&mut heard).await.unwrap();
    accepted.stream.write_all(&heard).await.unwrap();
    accepted.stream.flush().await.unwrap();
    called.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"ping");
}

#[tokio::test]
async fn both_sides_learn_who_the_other_is() {
    let yard = Yard::new();
    let (server, client) = yard.usual();
    let (accepted, called) = meet(&server, &client, &target()).await;
    let (mut accepted, mut called) = (accepted.unwrap(), called.unwrap());
    talk(&mut accepted, &mut called).await;
    let caller = accepted.peer.clone().unwrap();
    assert_eq!(caller.cluster.as_deref(), Some("dev-01"));
    assert_eq!(caller.subject, "CN=dev-01");
    assert_eq!(caller.not_after, NOW + 365 * DAY);
    assert_eq!(called.identity().cluster.as_deref(), Some("prod-01"));
    assert_eq!(accepted.stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    assert_eq!(client.cluster().as_deref(), Some("dev-01"));
    let text = yard.metrics.encode();
    assert!(text.contains("orrery_tls_handshakes_total{for=\"listen.peers\",outcome=\"ok\"} 1"), "{text}");
    let expires = format!("{{for=\"listen.peers\"}} {}", NOW + 365 * DAY);
    assert!(text.contains(&format!("orrery_tls_certificate_expires_timestamp_seconds{expires}")), "{text}");
    assert!(text.contains("orrery_tls_reload_failures_total{for=\"tls\"} 0"), "{text}");
}

#[tokio::test]
async fn an_authority_of_the_same_name_with_another_key_is_unknown() {
    let (yard, other) = (Yard::new(), Yard::new());
    let server = yard.server(&yard.server_settings("prod-01"));
    let stranger = other.client(&other.client_settings("dev-01"));
    let (accepted, called) = meet(&server, &stranger, &target()).await;
    let e = called.err().unwrap();
    let said = "the certificate of node.example.com:9495 is signed by an unknown authority";
    assert_eq!(e.to_string(), said);
    assert_eq!(e.kind(), base::Kind::Denied);
    assert_eq!(reason(&accepted.err().unwrap()), Reason::Refused);

    // One that trusts us, and that we do not trust.
    let settings = ClientSettings { ca: yard.path("ca.crt"), ..other.client_settings("dev-01") };
    let (e, told) = refused(&server, &other.client(&settings)).await;
    assert_eq!(e.to_string(), "the certificate of the caller is signed by an unknown authority");
    let cert = settings.cert.display().to_string();
    let begin = format!("node.example.com:9495 does not accept our certificate {cert}: ");
    assert!(told.starts_with(&begin), "{told}");
}

#[tokio::test]
async fn expired_and_not_yet_valid_certificates_are_named_with_their_dates() {
    let yard = Yard::new();
    yard.issue("prod-01", 10, NOW);
    let (server, client) = yard.usual();
    yard.advance_days(11);
    let (_, called) = meet(&server, &client, &target()).await;
    let e = called.err().unwrap().to_string();
    assert_eq!(e, "the certificate of node.example.com:9495 expired on 2027-01-25 08:00 UTC");

    yard.issue("prod-01", 10, NOW + 20 * DAY);
    assert!(server.reload().unwrap());
    let (_, called) = meet(&server, &client, &target()).await;
    let e = called.err().unwrap().to_string();
    assert!(e.contains("is not valid before 2027-02-04 07:00 UTC"), "{e}");
    assert!(e.contains("compare the clocks"), "{e}");

    // The caller's, seen from the server, whose clock is right.
    yard.issue("prod-01", 365, NOW);
    server.reload().unwrap();
    yard.issue("late", 100, NOW + 30 * DAY);
    let late = yard.client(&yard.client_settings("late"));
    let (e, told) = refused(&server, &late).await;
    assert_eq!(reason(&e), Reason::NotYetValid);
    assert!(told.contains("does not accept our certificate"), "{told}");

    // Our own, which needs no server to be found out.
    yard.issue("old", 5, NOW);
    let old = yard.client(&yard.client_settings("old"));
    let e = old.over(tokio::io::duplex(8).0, &target()).await.err().unwrap().to_string();
    assert!(e.contains("old.crt: our certificate expired on 2027-01-20"), "{e}");
}

#[tokio::test]
async fn a_certificate_for_another_cluster_or_host_is_refused() {
    let yard = Yard::new();
    let (server, client) = yard.usual();
    let elsewhere = Target { cluster: Some("dev-02".to_owned()), ..target() };
    let e = meet(&server, &client, &elsewhere).await.1.err().unwrap();
    assert_eq!(
        e.to_string(),
        "the certificate of node.example.com:9495 is for cluster prod-01, expected dev-02"
    );
    assert_eq!(reason(&e), Reason::WrongCluster);
    let address = "other.example.com:9495".to_owned();
    let e = meet(&server, &client, &Target { address: address.clone(), ..target() }).await.1.err().unwrap();
    assert_eq!(
        e.to_string(),
        "the certificate of other.example.com:9495 is not valid for other.example.com: it is for node.example.com"
    );
    let named = Target { address, server_name: Some("node.example.com".to_owned()), ..target() };
    assert!(meet(&server, &client, &named).await.1.is_ok());
}

#[tokio::test]
async fn a_caller_without_certificate_or_cluster_is_refused_where_one_is_required() {
    let yard = Yard::new();
    let server = yard.server(&yard.server_settings("prod-01"));
    let e = by_hand(&yard, &server, &[&rustls::version::TLS13]).await.err().unwrap();
    assert_eq!(reason(&e), Reason::NoCertificate);
    assert_eq!(e.to_string(), "the caller shows no certificate, and one is required here");

    let (cert, key) = nobody(&yard);
    let settings = ClientSettings { cert, key, ..yard.client_settings("dev-01") };
    let (e, _) = refused(&server, &yard.client(&settings)).await;
    assert_eq!(reason(&e), Reason::NoCluster);
    let relaxed = ServerSettings { require_cluster: false, ..yard.server_settings("prod-01") };
    let accepted = meet(&yard.server(&relaxed), &yard.client(&settings), &target()).await.0.unwrap();
    assert_eq!(accepted.peer.unwrap().cluster, None);

    let open = ServerSettings { client_ca: None, ..yard.server_settings("prod-01") };
    let accepted = by_hand(&yard, &yard.server(&open), &[&rustls::version::TLS13]).await.unwrap();
    assert!(accepted.peer.is_none());
}

/// A certificate of the authority that names no cluster.
fn nobody(yard: &Yard) -> (PathBuf, PathBuf) {
    let ca = std::fs::read_to_string(yard.path("ca.crt")).unwrap();
    let ca_key = rcgen::KeyPair::from_pem(&std::fs::read_to_string(yard.path("ca.key")).unwrap()).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_pem(&ca, ca_key).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["person.example.com".to_owned()]).unwrap();
    let (cert_path, key_path) = (yard.path("nobody.crt"), yard.path("nobody.key"));
    std::fs::write(&cert_path, params.signed_by(&key, &issuer).unwrap().pem()).unwrap();
    std::fs::write(&key_path, key.serialize_pem()).unwrap();
    (cert_path, key_path)
}

/// A client that shows no certificate and speaks these versions only.
async fn by_hand(
    yard: &Yard,
    server: &ServerTls,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<Accepted<DuplexStream>, Error> {
    let path = yard.path("ca.crt");
    let roots = authorities(&path, &std::fs::read(&path).unwrap()).unwrap();
    let config = rustls::ClientConfig::builder_with_details(provider(), Arc::new(Time(yard.clock.clone())))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let (theirs, ours) = tokio::io::duplex(64 << 10);
    let name = rustls::pki_types::ServerName::try_from("node.example.com").unwrap();
    let call = async {
        if let Ok(mut called) = connector.connect(name, ours).await {
            // Leaves once it is refused.
            let _ = called.read_u8().await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        accepted = server.accept(theirs) => accepted,
        () = call => panic!("the call never ends"),
    }
}

#[tokio::test]
async fn tls_1_2_is_spoken_only_when_asked_for() {
    let yard = Yard::new();
    let settings = ServerSettings { client_ca: None, ..yard.server_settings("prod-01") };
    let old = [&rustls::version::TLS12];
    let e = by_hand(&yard, &yard.server(&settings), &old).await.err().unwrap();
    assert_eq!(reason(&e), Reason::Version);
    assert!(e.to_string().contains("the caller speaks no TLS 1.3"), "{e}");
    let settings = ServerSettings { min_version: MinVersion::Tls12, ..settings };
    let accepted = by_hand(&yard, &yard.server(&settings), &old).await.unwrap();
    assert_eq!(accepted.stream.get_ref().1.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_2));
}

#[tokio::test]
async fn changed_files_are_used_from_the_next_handshake_on_and_connections_live_on() {
    let yard = Yard::new();
    let (server, client) = yard.usual();
    let (accepted, called) = meet(&server, &client, &target()).await;
    let (mut accepted, mut called) = (accepted.unwrap(), called.unwrap());
    talk(&mut accepted, &mut called).await;
    assert!(!server.reload().unwrap(), "nothing changed");

    let serial = yard.issue("prod-01", 30, NOW);
    assert!(server.reload().unwrap());
    assert_ne!(called.identity().serial, serial);
    talk(&mut accepted, &mut called).await;
    assert_eq!(meet(&server, &client, &target()).await.1.unwrap().identity().serial, serial);

    std::fs::write(yard.path("prod-01.crt"), "-----BEGIN CERTIFICATE-----\nhalf a file").unwrap();
    let e = server.reload().unwrap_err().to_string();
    assert!(e.contains("prod-01.crt: it is not PEM"), "{e}");
    assert!(!server.reload().unwrap(), "said once");
    assert_eq!(meet(&server, &client, &target()).await.1.unwrap().identity().serial, serial);
    talk(&mut accepted, &mut called).await;
    std::fs::copy(yard.path("dev-01.crt"), yard.path("prod-01.crt")).unwrap();
    let e = server.reload().unwrap_err().to_string();
    assert!(e.contains("prod-01.key: the key does not belong to the certificate in"), "{e}");
    std::fs::remove_file(yard.path("prod-01.crt")).unwrap();
    let e = server.reload().unwrap_err().to_string();
    assert!(e.contains("prod-01.crt: it cannot be read"), "{e}");
    let text = yard.metrics.encode();
    assert!(text.contains("orrery_tls_reload_failures_total{for=\"listen.peers\"} 3"), "{text}");
    assert!(text.contains("orrery_tls_reloads_total{for=\"listen.peers\"} 1"), "{text}");
    yard.issue("prod-01", 30, NOW);
    assert!(server.reload().unwrap(), "whole again");
}

#[tokio::test]
async fn a_denied_serial_number_is_refused_on_either_side() {
    let yard = Yard::new();
    let (server, client) = yard.usual();
    let (accepted, called) = meet(&server, &client, &target()).await;
    let (mut accepted, mut called) = (accepted.unwrap(), called.unwrap());
    let file = yard.path("dev-01.crt");
    certs::deny(yard.dir.path(), file.to_str().unwrap(), NOW).unwrap();
    assert!(server.reload().unwrap());
    talk(&mut accepted, &mut called).await;
    let (e, told) = refused(&server, &client).await;
    let list = yard.path("denied.txt").display().to_string();
    assert_eq!(e.to_string(), format!("the certificate of the caller is on the deny list {list}"));
    assert!(told.ends_with("it is on the deny list there"), "{told}");

    certs::deny(yard.dir.path(), &called.identity().serial, NOW).unwrap();
    assert!(client.reload().unwrap());
    let e = meet(&server, &client, &target()).await.1.err().unwrap();
    assert_eq!(reason(&e), Reason::Denied);
    std::fs::write(yard.path("denied.txt"), "not a number\n").unwrap();
    let e = server.reload().unwrap_err().to_string();
    assert!(e.contains("denied.txt: line 1: \"not a number\" is no serial number"), "{e}");
}

#[tokio::test]
async fn garbage_and_plain_http_end_at_once_and_http_is_told_why() {
    let yard = Yard::new();
    let server = yard.server(&yard.server_settings("prod-01"));
    let (theirs, mut ours) = tokio::io::duplex(64 << 10);
    let ask = async move {
        ours.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        ours.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let (accepted, answer) = tokio::join!(server.accept(theirs), ask);
    assert_eq!(reason(&accepted.err().unwrap()), Reason::NotTls);
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.ends_with("ask by https://\n"), "{answer}");
    for garbage in [&[0u8; 100][..], &[0x16, 3, 1, 0, 4, 1, 2, 3, 4][..], &[0x16; 50][..]] {
        let (theirs, mut ours) = tokio::io::duplex(64 << 10);
        ours.write_all(garbage).await.unwrap();
        ours.shutdown().await.unwrap();
        let e = server.accept(theirs).await.err().unwrap();
        assert!(matches!(reason(&e), Reason::NotTls | Reason::Bad | Reason::Closed), "{e}");
    }
    let (theirs, ours) = tokio::io::duplex(64);
    drop(ours);
    assert_eq!(reason(&server.accept(theirs).await.err().unwrap()), Reason::Closed);
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_named() {
    let yard = Yard::new();
    let client = yard.client(&yard.client_settings("dev-01"));
    let (mut theirs, ours) = tokio::io::duplex(64 << 10);
    theirs.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    let e = client.over(ours, &target()).await.err().unwrap();
    assert_eq!(e.to_string(), "node.example.com:9495 does not speak TLS");
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_given_up_on_both_sides() {
    let yard = Yard::new();
    let (server, client) = yard.usual();
    let (mut server, mut client) = (Arc::into_inner(server).unwrap(), Arc::into_inner(client).unwrap());
    server.handshake_timeout = Duration::from_millis(20);
    client.handshake_timeout = Duration::from_millis(20);
    let (theirs, mut ours) = tokio::io::duplex(64);
    ours.write_all(&[0x16, 3, 1]).await.unwrap();
    let e = server.accept(theirs).await.err().unwrap();
    assert_eq!((reason(&e), e.kind()), (Reason::Timeout, base::Kind::Timeout));
    let (_theirs, ours) = tokio::io::duplex(64 << 10);
    let e = client.over(ours, &target()).await.err().unwrap();
    assert!(e.to_string().contains("node.example.com:9495 did not finish the TLS handshake within"), "{e}");
    let text = yard.metrics.encode();
    assert!(text.contains("orrery_tls_handshakes_total{for=\"tls\",outcome=\"timeout\"} 1"), "{text}");
}

#[tokio::test]
async fn files_are_followed_while_somebody_watches() {
    let yard = Yard::new();
    let (server, client) = yard.usual();
    let stop = base::Shutdown::new();
    let (watching, ended) = (server.clone(), stop.clone());
    stop.spawn(async move { watching.watch(async move { ended.started().await }).await });
    let serial = yard.issue("prod-01", 30, NOW);
    server.look_soon();
    let changed = async {
        while meet(&server, &client, &target()).await.1.unwrap().identity().serial != serial {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), changed).await.unwrap();
    stop.start();
    stop.finished(Duration::from_secs(60)).await.unwrap();
}

#[tokio::test]
async fn a_closed_port_and_a_name_without_address_are_named() {
    let yard = Yard::new();
    let client = yard.client(&yard.client_settings("dev-01"));
    for address in ["127.0.0.1:1", "nowhere.invalid:9495", "no port"] {
        let e = client.connect(&Target { address: address.to_owned(), ..target() }).await.err().unwrap();
        assert!(e.to_string().contains(address), "{e}");
    }
}
