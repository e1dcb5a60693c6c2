use std::{path::Path, time::Duration};

use forward::destination::{http::TenantHeader, remote_write::WriteVersion};
use model::{Labels, Signal};
use net::{Auth, Secret};
use transform::relabel::relabel_labels;

use super::*;
use crate::{Error, parse};

fn destinations(text: &str) -> Vec<Destination> {
    parse(text, Path::new("o.yaml")).unwrap_or_else(|e| panic!("{e}")).forward
}

fn problems(text: &str) -> Vec<String> {
    match parse(text, Path::new("o.yaml")) {
        Err(Error::Invalid(problems)) => problems.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_destination_has_every_key_and_a_default_for_each_but_name_to_and_endpoint() {
    let found = destinations(
        "external_labels: {replica: a, price: $5}\nforward:\n  - {name: hub, to: otlp_http, endpoint: 'http://hub:4318'}\n  - name: logs\n    to: loki\n    endpoints: ['http://a:3100', 'http://b:3100']\n    signals: [logs]\n    tenants: [t1, t2]\n    tenant: all\n    timeout: 5s\n    external_labels: false\n    resource_relabel_configs: [{source_labels: [service.name], regex: web, action: keep}]\n    bearer_token: hidden\n    queue: {max_bytes: 1GiB, max_batch_items: 10, max_batch_bytes: 1MiB, min_backoff: 1s, max_backoff: 1m}\n  - {name: p, to: remote_write, endpoint: 'http://p:9090', critical: ['up', '{severity=\"page\"}'], protobuf_message: io.prometheus.write.v2.Request, send_exemplars: false}\n  - {name: e, to: elasticsearch, endpoint: 'http://e:9200', index: logs-x-y, keep_index: false, send_tenant: false}\n",
    );
    let [hub, logs, p, e] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((hub.protocol.as_str(), hub.http.tenant.clone()), ("otlp_http", TenantHeader::Own));
    assert!(hub.limits.max_backlog_bytes > 0 && hub.limits.max_backlog_bytes <= 8 << 30);
    let stamped = |l: &Labels| relabel_labels(l, &hub.selection.write_relabel).unwrap().to_string();
    assert_eq!(stamped(&Labels::from_pairs([("x", "1")])), r#"{price="$5", replica="a", x="1"}"#);
    assert_eq!(
        stamped(&Labels::from_pairs([("replica", "b"), ("price", "1")])),
        r#"{price="1", replica="b"}"#
    );

    assert_eq!(logs.http.urls.len(), 2);
    assert_eq!(logs.http.tenant, TenantHeader::Fixed("all".to_owned()));
    assert_eq!((logs.selection.tenants.len(), logs.selection.signals.clone()), (2, vec![Signal::LOGS]));
    assert!(logs.selection.write_relabel.is_empty() && logs.selection.resource_relabel.len() == 1);
    assert_eq!((logs.limits.max_backlog_bytes, logs.limits.max_batch_items), (1 << 30, 10));
    assert_eq!(logs.limits.max_backoff, Duration::from_secs(60));
    assert!(!format!("{logs:?}").contains("hidden"));

    assert_eq!(p.protocol, Protocol::RemoteWrite(WriteVersion::V2));
    assert_eq!((p.selection.critical.len(), p.selection.keep.exemplars), (2, false));
    assert!(matches!(&e.protocol, Protocol::Elasticsearch(o) if o.index == "logs-x-y" && !o.keep_index));
    assert_eq!(e.http.tenant, TenantHeader::Off);
}

#[test]
fn another_node_is_reached_with_the_certificate_of_this_one() {
    let text = "tls: {cert: c.crt, key: c.key, ca: ca.crt}\nforward:\n  - {name: hub, to: otlp, endpoint: 'https://hub:4317'}\n  - {name: other, to: otlp, endpoint: 'https://x:4317', tls_config: {ca_file: y.crt}}\n";
    let found = destinations(text);
    assert_eq!(found[0].http.settings.tls.cert, Some(Secret::File("c.crt".into())));
    assert_eq!(found[1].http.settings.tls.cert, None);
}

#[test]
fn what_is_wrong_is_said_with_line_and_field() {
    let text = "roles: [query]\npeers: [{name: q, kind: loki, url: 'http://x:1'}]\nforward:\n  - {to: loki, endpoint: 'http://x'}\n  - {name: b, endpoint: 'http://x'}\n  - {name: c, to: nats, endpoint: 'http://x'}\n  - {name: d, to: loki}\n  - {name: e, to: loki, endpoint: 'x:1'}\n  - {name: f, to: loki, endpoint: 'http://u:p@x'}\n  - {name: g, to: loki, endpoint: 'http://x', signals: [metrics, smells]}\n  - {name: h, to: loki, endpoint: 'http://x', queue: {max_bytes: 0, max_batch_items: 0, min_backoff: 2s, max_backoff: 1s, size: 1}}\n  - {name: h, to: loki, endpoint: 'http://x', typo: 1}\n  - {name: i, to: otlp, endpoint: 'https://x', basic_auth: {username: u, password: p}}\n  - {name: j, to: otlp, endpoint: 'https://x'}\n  - {name: k, to: loki, endpoint: 'http://x', index: y, protobuf_message: z, tenant: 'a|b', send_tenant: true}\n  - {name: l, to: remote_write, endpoint: 'http://x', critical: ['sum(up)'], write_relabel_configs: [{action: frobnicate}]}\n  - {name: m, to: loki, endpoints: ['http://x', 'http://x'], timeout: 0}\n";
    let found = problems(text);
    for wanted in [
        "o.yaml:4:3: forward: a node that keeps nothing takes nothing",
        "o.yaml:4:5: forward: needs a name",
        "o.yaml:5:5: forward: needs to: otlp",
        "forward.to: \"nats\" is not known",
        "forward: needs endpoint, for example",
        "forward.endpoint: \"x:1\" is not http://host:port",
        "forward.endpoint: holds a user or a password",
        "forward.signals: metrics cannot be sent by loki, it carries logs",
        "forward.signals: \"smells\" is not known",
        "forward.queue.max_bytes: must be more than zero",
        "forward.queue.max_batch_items: must be more than zero",
        "forward.queue.max_backoff: must not be less than min_backoff",
        "\"size\" is not a key of forward.queue",
        "forward.name: \"h\" is the name of another destination",
        "\"typo\" is not a key of forward",
        "forward.to: auth of destination i is \"basic or oauth2\"",
        "forward.tls_config: tls of destination j is \"no ca\"",
        "forward.index: is for to: elasticsearch",
        "forward.protobuf_message: is for to: remote_write",
        "forward.tenant: excludes send_tenant",
        "forward.critical: \"sum(up)\" is not a series selector",
        "relabel rule is not valid: action \"frobnicate\" is not known",
        "forward.endpoints: names \"http://x\" twice",
        "forward.timeout: must be more than zero",
    ] {
        assert!(found.iter().any(|p| p.contains(wanted)), "{wanted}: {found:#?}");
    }
}

const FILE: &str = "
global: {external_labels: {prom: a}}
remote_write:
- url: https://me:s3cret@long-term/api/prom/push?x=1
  remote_timeout: 7s
  write_relabel_configs: [{source_labels: [__name__], regex: 'up|node_.*', action: keep}]
  queue_config: {max_samples_per_send: 500, min_backoff: 50ms, max_backoff: 2s, max_shards: 9}
  headers: {X-Api-Key: hunter2}
  metadata_config: {send: false}
- url: https://long-term/api/prom/push?y=2
- name: two
  url: http://vm:8428/api/v1/write
  protobuf_message: io.prometheus.write.v2.Request
  authorization: {credentials: tok}
  tls_config: {insecure_skip_verify: true}
- url: https://aps.example/workspaces/w/api/v1/remote_write
  sigv4: {region: us-east-1}
";

#[test]
fn remote_write_of_a_prometheus_file_becomes_destinations() {
    let text = format!("prometheus:{}", FILE.replace('\n', "\n  "));
    let node = parse(&text, Path::new("o.yaml")).unwrap();
    let [one, other, two] = node.forward.as_slice() else { panic!("{:?}", node.forward) };
    assert_eq!(one.name, "https://long-term/api/prom/push");
    assert_eq!(one.http.urls, ["https://long-term/api/prom/push?x=1"]);
    assert!(
        matches!(&one.http.settings.auth, Auth::Basic { password, .. } if password.reveal().unwrap() == "s3cret")
    );
    assert_eq!((one.http.timeout, one.http.tenant.clone()), (Duration::from_secs(7), TenantHeader::Off));
    assert_eq!((one.limits.max_batch_items, one.limits.min_backoff), (500, Duration::from_millis(50)));
    assert_eq!(one.http.settings.headers[0].0, "X-Api-Key");
    assert_eq!(one.selection.signals, [Signal::METRICS]);
    let keep = one.selection.keep;
    assert!(!keep.exemplars && !keep.histograms && !keep.metadata, "as Prometheus has it");
    let up = relabel_labels(&Labels::from_pairs([("__name__", "up")]), &one.selection.write_relabel).unwrap();
    assert_eq!(up.value("prom"), "a");
    assert_eq!(other.name, "https://long-term/api/prom/push#2");
    assert_eq!(other.limits.max_batch_items, forward::Limits::default().max_batch_items);
    assert_eq!((two.name.as_str(), &two.protocol), ("two", &Protocol::RemoteWrite(WriteVersion::V2)));
    assert!(two.selection.keep.exemplars && two.selection.keep.histograms);
    let notices: Vec<String> = node.notices.iter().map(ToString::to_string).collect();
    for wanted in ["remote_write.sigv4: is not supported", "queue_config.max_shards: does not apply here"] {
        assert!(notices.iter().any(|n| n.contains(wanted)), "{wanted}: {notices:#?}");
    }
    let shown = crate::masked(&text);
    for secret in ["s3cret", "hunter2", "tok}"] {
        assert!(!shown.contains(secret) && !format!("{:?}", node.forward).contains(secret), "{shown}");
    }
    assert!(shown.contains("https://<secret>@long-term/api/prom/push?x=1"), "{shown}");
}

#[test]
fn tools_that_a_company_pays_for_a_bus_and_files_are_destinations() {
    let text = "forward:
  - {name: s, to: splunk_hec, endpoint: 'https://s:8088', token: hidden, index: main, metrics_index: m, acknowledge: {poll: 2s}}
  - {name: d, to: datadog, api_key: hidden, site: datadoghq.eu, tags: ['env:prod']}
  - {name: k, to: kafka, brokers: ['b1:9093', 'b2:9093'], sasl: {mechanism: SCRAM-SHA-512, username: u, password: hidden}, tls_config: {ca_file: ca.crt}, compression: snappy, encoding: otlp_json, logs_topic: l}
  - {name: f, to: file, dir: out, compression: zstd, max_file_bytes: 1MB, keep_files: 3}
";
    let found = destinations(text);
    assert!(!format!("{found:?}").contains("hidden"));
    let [s, d, k, f] = found.as_slice() else { panic!("{found:?}") };
    let Protocol::SplunkHec(s) = &s.protocol else { panic!("{s:?}") };
    assert_eq!((s.index.as_deref(), s.metrics_index.as_deref()), (Some("main"), Some("m")));
    assert_eq!(s.acknowledge.as_ref().map(|a| a.poll), Some(Duration::from_secs(2)));
    assert!(d.http.urls.is_empty());
    let Protocol::Datadog(d) = &d.protocol else { panic!("{d:?}") };
    assert_eq!((d.site.as_str(), d.tags.as_slice()), ("datadoghq.eu", &["env:prod".to_owned()][..]));
    let Protocol::Kafka(k) = &k.protocol else { panic!("{k:?}") };
    assert_eq!(k.connection.brokers.len(), 2);
    assert_eq!(k.connection.tls.as_ref().unwrap().ca, Some(Secret::File("ca.crt".into())));
    assert!(matches!(&k.connection.sasl, Some(bus::Sasl::ScramSha512 { username, .. }) if username == "u"));
    assert_eq!((k.logs_topic.as_str(), k.encoding), ("l", bus::Encoding::Json));
    let Protocol::File(f) = &f.protocol else { panic!("{f:?}") };
    assert_eq!((f.max_bytes, f.keep_files), (1 << 20, 3));
}

#[test]
fn a_link_has_a_budget_and_steps_below_it() {
    let found = destinations(
        "forward:\n  - {name: a, to: loki, endpoint: 'http://x', budget: {bytes_per_second: 32KB, link: wan, aggregate: 0s, guaranteed: {logs: 1}, max_steps: 2}}\n",
    );
    let budget = found[0].limits.budget.as_ref().unwrap();
    assert_eq!((budget.bytes_per_second, budget.link.as_str()), (32 << 10, "wan"));
    assert_eq!((budget.guaranteed.logs, budget.ladder.aggregate, budget.ladder.max_steps), (1, None, 2));
}

#[test]
fn what_is_wrong_with_one_of_them_is_said() {
    let found = problems(
        "forward:
  - {name: a, to: splunk_hec, endpoint: 'https://s:8088'}
  - {name: b, to: datadog, api_key: x, site: 'a b'}
  - {name: c, to: kafka, brokers: [nowhere]}
  - {name: d, to: kafka, brokers: ['b:9092'], sasl: {mechanism: PLAIN, username: u, password: p}}
  - {name: e, to: file}
  - {name: f, to: loki, endpoint: 'http://x', budget: {bytes_per_second: 0}}
  - {name: g, to: loki, endpoint: 'http://x', budget: {bytes_per_second: 1KB, guaranteed: {logs: 60}, max_steps: 40}}
  - {name: h, to: loki, endpoint: 'http://x', keep_index: true}
",
    );
    for wanted in [
        "needs token or token_file",
        "3:46: forward.site",
        "4:35: forward.brokers",
        "5:53: forward.sasl",
        "needs dir",
        "needs bytes_per_second",
        "75 % together",
        "must be at most 16",
        "is for to: elasticsearch",
    ] {
        assert!(found.iter().any(|p| p.contains(wanted)), "{wanted}: {found:#?}");
    }
}
