//! The keys that one protocol has and others have not.

use bus::{Compression, Connection, Encoding, Sasl, SendOptions};
use forward::destination::{
    datadog::DatadogOptions,
    elastic::ElasticOptions,
    file::{FileCompression, FileOptions},
    hec::{HecAcknowledge, HecOptions},
    kafka::KafkaOptions,
};
use net::Tls;

use super::{Protocol, read::version};
use crate::{
    check::Checker,
    prometheus::{http::either, section::Section},
};

const KNOWN: &str = "otlp, otlp_http, remote_write, loki, elasticsearch, splunk_hec, datadog, kafka or file";
/// Keys of one protocol that others are asked for by mistake, with whose they are.
const OWN: [(&str, &[&str]); 3] = [
    ("protobuf_message", &["remote_write"]),
    ("index", &["elasticsearch", "splunk_hec"]),
    ("keep_index", &["elasticsearch"]),
];

/// `to`, and what goes with it. Of Kafka the connection has no TLS yet.
pub(super) fn protocol(s: &mut Section<'_>, c: &mut Checker<'_>) -> Option<Protocol> {
    let to = s.text("to", c);
    for (key, whose) in OWN {
        let given = s.keys().any(|k| k == key);
        if given && !to.as_deref().is_some_and(|to| whose.contains(&to)) {
            s.take(key);
            s.problem(key, c, format!("is for to: {}", whose.join(" or to: ")));
        }
    }
    match to.as_deref() {
        Some("otlp") => Some(Protocol::OtlpGrpc),
        Some("otlp_http") => Some(Protocol::OtlpHttp),
        Some("remote_write") => Some(Protocol::RemoteWrite(version(s, c).unwrap_or_default())),
        Some("loki") => Some(Protocol::Loki),
        Some("elasticsearch") => {
            let d = ElasticOptions::default();
            Some(Protocol::Elasticsearch(ElasticOptions {
                index: s.text("index", c).unwrap_or(d.index),
                keep_index: s.flag("keep_index", c).unwrap_or(d.keep_index),
            }))
        }
        Some("splunk_hec") => hec(s, c).map(Protocol::SplunkHec),
        Some("datadog") => datadog(s, c).map(Protocol::Datadog),
        Some("kafka") => kafka(s, c).map(Protocol::Kafka),
        Some("file") => file(s, c).map(Protocol::File),
        Some(other) => {
            s.problem("to", c, format!("{other:?} is not known, use {KNOWN}"));
            None
        }
        None => {
            s.wrong(c, format!("needs to: {KNOWN}"));
            None
        }
    }
}

fn hec(s: &mut Section<'_>, c: &mut Checker<'_>) -> Option<HecOptions> {
    let Some(token) = either(s, "token", c) else {
        s.wrong(c, "needs token or token_file, as Splunk shows it under HTTP Event Collector");
        return None;
    };
    Some(HecOptions {
        index: s.text("index", c),
        metrics_index: s.text("metrics_index", c),
        source: s.text("source", c),
        sourcetype: s.text("sourcetype", c),
        host: s.text("host", c),
        acknowledge: s.section("acknowledge", c).map(|q| acknowledge(q, c)),
        ..HecOptions::new(token)
    })
}

fn acknowledge(mut s: Section<'_>, c: &mut Checker<'_>) -> HecAcknowledge {
    let d = HecAcknowledge::default();
    let channel = s.text("channel", c);
    let poll = positive(&mut s, "poll", c).unwrap_or(d.poll);
    let timeout = positive(&mut s, "timeout", c).unwrap_or(d.timeout);
    s.finish(c);
    HecAcknowledge { channel, poll, timeout }
}

fn datadog(s: &mut Section<'_>, c: &mut Checker<'_>) -> Option<DatadogOptions> {
    let Some(key) = either(s, "api_key", c) else {
        s.wrong(c, "needs api_key or api_key_file");
        return None;
    };
    let d = DatadogOptions::new(key);
    Some(DatadogOptions {
        site: s.text("site", c).unwrap_or(d.site),
        tags: s.texts("tags", c).unwrap_or(d.tags),
        source: s.text("source", c).unwrap_or(d.source),
        host_labels: s.texts("host_labels", c).unwrap_or(d.host_labels),
        traces_url: s.text("traces_endpoint", c),
        otlp_source: s.text("otlp_source", c),
        ..d
    })
}

fn file(s: &mut Section<'_>, c: &mut Checker<'_>) -> Option<FileOptions> {
    let Some(dir) = s.text("dir", c) else {
        s.wrong(c, "needs dir, a directory that nothing else writes to");
        return None;
    };
    let d = FileOptions::new(c.resolve(&dir));
    let compression = match s.text("compression", c).as_deref() {
        None => d.compression,
        Some("none") => FileCompression::None,
        Some("gzip") => FileCompression::Gzip,
        Some("zstd") => FileCompression::Zstd,
        Some(other) => {
            s.problem("compression", c, format!("{other:?} is not known, use none, gzip or zstd"));
            d.compression
        }
    };
    let max_bytes = s.size("max_file_bytes", c).unwrap_or(d.max_bytes);
    if max_bytes == 0 {
        s.problem("max_file_bytes", c, "must be more than zero");
    }
    let max_age = positive(s, "max_file_age", c).unwrap_or(d.max_age);
    let keep_files =
        s.count("keep_files", c).map_or(d.keep_files, |n| usize::try_from(n).unwrap_or(usize::MAX));
    let keep_age = positive(s, "keep_age", c).or(d.keep_age);
    Some(FileOptions { compression, max_bytes, max_age, keep_files, keep_age, ..d })
}

/// Brokers and who one is there, without TLS.
pub(crate) fn connection(s: &mut Section<'_>, c: &mut Checker<'_>) -> Option<Connection> {
    let (client_id, create_topics) = (s.text("client_id", c), s.flag("create_topics", c));
    let sasl = s.section("sasl", c).and_then(|q| sasl(q, c));
    let Some(brokers) = s.texts("brokers", c).filter(|b| !b.is_empty()) else {
        s.wrong(c, "needs brokers, some of the cluster's as host:port");
        return None;
    };
    let d = Connection::new(brokers);
    Some(Connection {
        client_id: client_id.unwrap_or(d.client_id),
        create_topics: create_topics.unwrap_or(d.create_topics),
        sasl,
        ..d
    })
}

fn kafka(s: &mut Section<'_>, c: &mut Checker<'_>) -> Option<KafkaOptions> {
    let mut connection = connection(s, c)?;
    if s.keys().any(|k| k == "tls_config") {
        connection.tls = Some(Tls::default());
    }
    let d = KafkaOptions::new(connection);
    let send = SendOptions {
        compression: compression(s, c).unwrap_or(d.send.compression),
        max_record_bytes: s
            .size("max_record_bytes", c)
            .map_or(d.send.max_record_bytes, |n| usize::try_from(n).unwrap_or(usize::MAX)),
        ..d.send
    };
    if send.max_record_bytes == 0 {
        s.problem("max_record_bytes", c, "must be more than zero");
    }
    Some(KafkaOptions {
        metrics_topic: s.text("metrics_topic", c).unwrap_or(d.metrics_topic),
        logs_topic: s.text("logs_topic", c).unwrap_or(d.logs_topic),
        traces_topic: s.text("traces_topic", c).unwrap_or(d.traces_topic),
        encoding: encoding(s, c).unwrap_or(d.encoding),
        send,
        connection: d.connection,
    })
}

fn compression(s: &mut Section<'_>, c: &mut Checker<'_>) -> Option<Compression> {
    Some(match s.text("compression", c)?.as_str() {
        "none" => Compression::None,
        "gzip" => Compression::Gzip,
        "snappy" => Compression::Snappy,
        "lz4" => Compression::Lz4,
        other => {
            s.problem("compression", c, format!("{other:?} is not known, use none, gzip, snappy or lz4"));
            return None;
        }
    })
}

/// As the Collector's exporter and receiver of Kafka name it.
pub(crate) fn encoding(s: &mut Section<'_>, c: &mut Checker<'_>) -> Option<Encoding> {
    Some(match s.text("encoding", c)?.as_str() {
        "otlp_proto" => Encoding::Protobuf,
        "otlp_json" => Encoding::Json,
        other => {
            s.problem("encoding", c, format!("{other:?} is not known, use otlp_proto or otlp_json"));
            return None;
        }
    })
}

fn sasl(mut s: Section<'_>, c: &mut Checker<'_>) -> Option<Sasl> {
    let mechanism = s.text("mechanism", c);
    let (username, password) = (s.text("username", c), either(&mut s, "password", c));
    let insecure = s.flag("insecure", c).unwrap_or(false);
    let found = match (username, password) {
        (Some(username), Some(password)) => match mechanism.as_deref() {
            Some("PLAIN") => Some(Sasl::Plain { username, password, insecure }),
            Some("SCRAM-SHA-256") => Some(Sasl::ScramSha256 { username, password }),
            Some("SCRAM-SHA-512") => Some(Sasl::ScramSha512 { username, password }),
            _ => {
                s.wrong(c, "needs mechanism: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512");
                None
            }
        },
        _ => {
            s.wrong(c, "needs username, and password or password_file");
            None
        }
    };
    s.finish(c);
    found
}

pub(crate) fn positive(s: &mut Section<'_>, key: &str, c: &mut Checker<'_>) -> Option<std::time::Duration> {
    let found = s.duration(key, c);
    if found.is_some_and(|d| d.is_zero()) {
        s.problem(key, c, "must be more than zero");
    }
    found
}
