use std::path::Path;

use net::tls::MinVersion;

use crate::{Error, Node, Problem, parse};

fn good(text: &str) -> Node {
    parse(text, Path::new("/etc/orrery/o.yaml")).unwrap()
}

fn problems(text: &str) -> Vec<String> {
    match parse(text, Path::new("o.yaml")) {
        Err(Error::Invalid(p)) => p.iter().map(Problem::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

const TLS: &str = "tls: {cert: dev-01.crt, key: /keys/dev-01.key, ca: ca.crt, deny: denied.txt}\n";

#[test]
fn without_tls_there_is_no_listener_for_peers_and_with_it_there_is() {
    assert_eq!(good("cluster: a\n").listen.peers, None);
    let n = good(TLS);
    let peers = n.listen.peers.unwrap();
    assert_eq!(peers.address.to_string(), "0.0.0.0:9495");
    let tls = peers.tls.unwrap();
    assert_eq!(tls.cert, Path::new("/etc/orrery/dev-01.crt"));
    assert_eq!(tls.key, Path::new("/keys/dev-01.key"));
    assert_eq!(tls.client_ca.as_deref(), Some(Path::new("/etc/orrery/ca.crt")));
    assert_eq!(tls.deny.as_deref(), Some(Path::new("/etc/orrery/denied.txt")));
    assert!(tls.require_cluster && tls.min_version == MinVersion::Tls13);
    assert_eq!(n.tls.unwrap().ca, Path::new("/etc/orrery/ca.crt"));
    assert_eq!(good(&format!("{TLS}listen: {{peers: off}}\n")).listen.peers, None);
    let n = good(&format!("{TLS}listen: {{peers: '127.0.0.1:1'}}\n"));
    assert_eq!(n.listen.peers.unwrap().address.to_string(), "127.0.0.1:1");
}

#[test]
fn a_listener_for_peers_may_have_certificates_and_authorities_of_its_own() {
    let text = format!(
        "{TLS}listen:\n  peers: {{tls: {{cert: p.crt, key: p.key}}, client_ca: others.crt, min_version: 1.2}}\n"
    );
    let peers = good(&text).listen.peers.unwrap();
    let tls = peers.tls.unwrap();
    assert_eq!((peers.address.port(), tls.cert.as_path()), (9495, Path::new("/etc/orrery/p.crt")));
    assert_eq!(tls.client_ca.as_deref(), Some(Path::new("/etc/orrery/others.crt")));
    assert!(tls.require_cluster && tls.min_version == MinVersion::Tls12 && tls.deny.is_some());
    let only_ca = good(&format!("{TLS}listen: {{peers: {{client_ca: others.crt}}}}\n"));
    let tls = only_ca.listen.peers.unwrap().tls.unwrap();
    assert_eq!(tls.client_ca.as_deref(), Some(Path::new("/etc/orrery/others.crt")));
    let alone = good("listen: {peers: {tls: {cert: p.crt, key: p.key}, client_ca: ca.crt}}\n");
    assert!(alone.listen.peers.is_some());
}

#[test]
fn a_listener_for_peers_without_mutual_tls_is_refused() {
    let p = problems("listen:\n  peers: ':9495'\n");
    assert_eq!(p.len(), 1, "{p:#?}");
    assert!(p[0].starts_with("o.yaml:2:10: listen.peers: speaks mutual TLS only: add tls"), "{p:#?}");
    let p = problems("listen:\n  peers: {tls: {cert: c, key: k}}\n");
    assert!(p[0].contains("listen.peers: speaks mutual TLS only: add client_ca"), "{p:#?}");
    let p = problems(&format!("{TLS}listen: {{peers: {{bearer_token_file: t}}}}\n"));
    assert!(p[0].contains("listen.peers: takes no bearer_token_file"), "{p:#?}");
}

#[test]
fn a_listener_with_tls_or_a_token_may_stand_on_any_address() {
    let n = good(
        "listen:\n  http: {address: '0.0.0.0:9494', tls: {cert: a.crt, key: a.key}, client_ca: ca.crt, deny: d}\n  \
         otlp_grpc: {address: ':4317', bearer_token_file: token}\n  otlp_http: {tls: {cert: a.crt, key: a.key}}\n",
    );
    let http = n.listen.http.unwrap();
    assert_eq!(http.address.to_string(), "0.0.0.0:9494");
    let tls = http.tls.unwrap();
    assert!(!tls.require_cluster && tls.client_ca.is_some() && tls.deny.is_some());
    let grpc = n.listen.otlp_grpc.unwrap();
    assert!(grpc.tls.is_none());
    assert_eq!(grpc.bearer_token_file.as_deref(), Some(Path::new("/etc/orrery/token")));
    assert_eq!(n.listen.otlp_http.unwrap().address.to_string(), "127.0.0.1:4318", "the default address");
}

#[test]
fn what_is_missing_or_makes_no_sense_is_named_with_its_line() {
    let p = problems(
        "tls: {cert: c}\nlisten:\n  http:\n    address: 0.0.0.0:1\n    client_ca: ca.crt\n  otlp_http:\n    \
         tls: {cert: c}\n    min_version: 1.1\n  otlp_grpc: {tls: {cert: c, key: k}, deny: d}\n",
    );
    for part in [
        "o.yaml:1:6: tls: needs key",
        "o.yaml:1:6: tls: needs ca",
        "o.yaml:4:14: listen.http: 0.0.0.0:1 is reachable from other machines without TLS",
        "listen.http: client_ca means nothing without tls",
        "o.yaml:7:10: listen.otlp_http.tls: needs cert and key",
        "o.yaml:8:18: listen.otlp_http.min_version: \"1.1\" is not known",
        "o.yaml:9:45: listen.otlp_grpc.deny: means nothing without client_ca",
    ] {
        assert!(p.iter().any(|m| m.contains(part)), "{part} is missing in {p:#?}");
    }
    assert_eq!(p.len(), 7, "{p:#?}");
    let p = problems("listen:\n  http: {adress: x}\n");
    assert!(p[0].contains("adress"), "{p:#?}");
}

#[test]
fn doors_for_spans_are_off_until_they_are_asked_for_and_stand_where_their_senders_look() {
    let none = good("cluster: a\n").listen;
    assert_eq!((none.zipkin, none.jaeger_http, none.jaeger_grpc), (None, None, None));
    let token = "{bearer_token_file: t}";
    let l =
        good(&format!("listen: {{zipkin: {token}, jaeger_http: {token}, jaeger_grpc: {token}}}\n")).listen;
    let ports = [l.zipkin, l.jaeger_http, l.jaeger_grpc].map(|l| l.unwrap().address.port());
    assert_eq!(ports, [9411, 14268, 14250]);
    assert_eq!(good("listen: {zipkin: off}\n").listen.zipkin, None);
    let p = problems("listen: {jaeger_grpc: ':14250'}\n");
    assert!(p[0].contains("listen.jaeger_grpc: 0.0.0.0:14250 is reachable"), "{p:#?}");
}
