//! `receive`: what a node takes from a bus. Keys are those of the Collector's Kafka receiver where it has one.

use bus::{Connection, Encoding, ReceiveOptions, Subscription};
use model::{Signal, TenantId};

use crate::{
    check::Checker,
    forward::kinds::{connection, encoding, positive},
    prometheus::{http::tls_key, section::Section},
    yaml::{self, At},
};

/// Clusters of brokers that one node takes from.
const MAX_ENTRIES: usize = 16;

/// The key of the node's own file. `text` is the whole of it.
pub(crate) fn check(text: &str, c: &mut Checker<'_>) -> Vec<ReceiveOptions> {
    let root = match yaml::parse(text) {
        Ok(root) => root,
        Err(e) => {
            c.problem_at("receive", e.at, e.message);
            return Vec::new();
        }
    };
    let Some(node) = root.get("receive") else { return Vec::new() };
    let Some(mut receive) = Section::open(node, "receive", c) else { return Vec::new() };
    let sections = receive.sections("kafka", c);
    let (name, at) = (receive.name("kafka"), receive.place("kafka"));
    receive.finish(c);
    let mut out: Vec<ReceiveOptions> = Vec::new();
    for section in sections {
        let (field, at) = (section.name("brokers"), section.place("brokers"));
        let Some(entry) = kafka(section, c) else { continue };
        twice(&entry, &out, (&field, at), c);
        out.push(entry);
    }
    if out.len() > MAX_ENTRIES {
        let message = format!("has {} entries, at most {MAX_ENTRIES} are taken", out.len());
        c.problem_at(&name, at, message);
    }
    out
}

/// Two consumers of one node in one group would share what each of them should have.
fn twice(e: &ReceiveOptions, before: &[ReceiveOptions], at: (&str, At), c: &mut Checker<'_>) {
    let same = |b: &&ReceiveOptions| b.connection.brokers == e.connection.brokers && b.group == e.group;
    if before.iter().any(|b| same(&b)) {
        let message =
            format!("and group_id {:?} are those of another entry; name all topics in one", e.group);
        c.problem_at(at.0, at.1, message);
    }
}

fn kafka(mut s: Section<'_>, c: &mut Checker<'_>) -> Option<ReceiveOptions> {
    let mut connection: Option<Connection> = connection(&mut s, c);
    if s.keys().any(|k| k == "tls_config") {
        let tls = tls_key(&mut s, c);
        connection.iter_mut().for_each(|k| k.tls = Some(tls.clone()));
    }
    let d = ReceiveOptions::new(connection.clone().unwrap_or_else(|| Connection::new(["unknown:1"])));
    let encoding = encoding(&mut s, c).unwrap_or_default();
    let topics = topics(&mut s, encoding, c);
    let tenant = s.text("tenant", c).map(|t| TenantId::new(&t).map_err(|e| e.to_string()));
    let tenant = match tenant {
        Some(Err(e)) => {
            s.problem("tenant", c, e);
            d.tenant.clone()
        }
        Some(Ok(tenant)) => tenant,
        None => d.tenant.clone(),
    };
    let from_beginning = match s.text("initial_offset", c).as_deref() {
        None => d.from_beginning,
        Some("earliest") => true,
        Some("latest") => false,
        Some(other) => {
            s.problem("initial_offset", c, format!("{other:?} is not known, use earliest or latest"));
            d.from_beginning
        }
    };
    let mut number = |key: &str, or: usize, c: &mut Checker<'_>| {
        s.count(key, c).map_or(or, |n| usize::try_from(n).unwrap_or(usize::MAX))
    };
    let in_flight = number("in_flight", d.in_flight, c);
    let max_poll_records = number("max_poll_records", d.max_poll_records, c);
    let options = ReceiveOptions {
        group: s.text("group_id", c).unwrap_or(d.group),
        tenant_header: s.flag("tenant_header", c).unwrap_or(d.tenant_header),
        session_timeout: positive(&mut s, "session_timeout", c).unwrap_or(d.session_timeout),
        commit_interval: positive(&mut s, "commit_interval", c).unwrap_or(d.commit_interval),
        connection: d.connection,
        topics,
        tenant,
        from_beginning,
        in_flight,
        max_poll_records,
    };
    if connection.is_some()
        && let Err(e) = options.check()
    {
        s.wrong(c, e.to_string());
    }
    s.finish(c);
    connection.map(|_| options)
}

/// Those of the Collector where none are named.
fn topics(s: &mut Section<'_>, or: Encoding, c: &mut Checker<'_>) -> Vec<Subscription> {
    let named = s.sections("topics", c);
    let usual =
        |signal: Signal| Subscription { topic: bus::default_topic(&signal).to_owned(), signal, encoding: or };
    if named.is_empty() {
        return Signal::KNOWN.into_iter().map(usual).collect();
    }
    named.into_iter().filter_map(|t| subscription(t, or, c)).collect()
}

fn subscription(mut s: Section<'_>, or: Encoding, c: &mut Checker<'_>) -> Option<Subscription> {
    let (topic, signal) = (s.text("topic", c), s.text("signal", c));
    let encoding = encoding(&mut s, c).unwrap_or(or);
    if topic.is_none() {
        s.wrong(c, "needs topic");
    }
    let known = signal.as_ref().and_then(|name| Signal::KNOWN.into_iter().find(|k| k.as_str() == name));
    if known.is_none() {
        s.wrong(c, "needs signal: metrics, logs or traces");
    }
    s.finish(c);
    Some(Subscription { topic: topic?, signal: known?, encoding })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(text: &str) -> Result<Vec<ReceiveOptions>, String> {
        crate::parse(text, Path::new("/etc/orrery.yaml")).map(|n| n.receive).map_err(|e| e.to_string())
    }

    #[test]
    fn topics_are_the_collectors_where_none_are_named() {
        let all = read("receive:\n  kafka:\n    - brokers: [kafka-0:9092]\n").unwrap();
        assert_eq!(all, [ReceiveOptions::new(Connection::new(["kafka-0:9092"]))]);
    }

    #[test]
    fn every_key_is_taken() {
        let all = read(
            "receive:\n  kafka:\n    - brokers: [a:9093, b:9093]\n      group_id: orrery-eu\n      client_id: node-1\n      tls_config: {ca_file: ca.pem}\n      sasl: {mechanism: SCRAM-SHA-512, username: u, password_file: p}\n      encoding: otlp_json\n      topics:\n        - {topic: app-logs, signal: logs}\n        - {topic: spans, signal: traces, encoding: otlp_proto}\n      tenant: shop\n      tenant_header: true\n      initial_offset: latest\n      in_flight: 4\n      max_poll_records: 32\n      session_timeout: 30s\n      commit_interval: 2s\n",
        )
        .unwrap();
        let o = &all[0];
        assert_eq!((o.group.as_str(), o.connection.client_id.as_str()), ("orrery-eu", "node-1"));
        assert!(o.connection.tls.is_some() && o.connection.sasl.is_some() && !o.from_beginning);
        let topics: Vec<_> = o.topics.iter().map(|t| (t.topic.as_str(), t.encoding)).collect();
        assert_eq!(topics, [("app-logs", Encoding::Json), ("spans", Encoding::Protobuf)]);
        assert_eq!((o.tenant.as_str(), o.tenant_header), ("shop", true));
        assert_eq!((o.in_flight, o.max_poll_records), (4, 32));
        assert_eq!((o.session_timeout.as_secs(), o.commit_interval.as_secs()), (30, 2));
    }

    #[test]
    fn what_cannot_work_is_named_with_its_place() {
        for (text, wanted) in [
            ("receive: {kafka: [{group_id: a}]}\n", "brokers"),
            ("receive: {kafka: [{brokers: [a]}]}\n", "host:port"),
            ("receive: {kafka: [{brokers: ['a:1'], topics: [{topic: t, signal: events}]}]}\n", "signal"),
            (
                "receive: {kafka: [{brokers: ['a:1'], topics: [{topic: t, signal: logs}, {topic: t, signal: traces}]}]}\n",
                "each once",
            ),
            ("receive: {kafka: [{brokers: ['a:1'], initial_offset: middle}]}\n", "earliest or latest"),
            ("receive: {kafka: [{brokers: ['a:1'], acks: all}]}\n", "acks"),
            ("receive: {kafka: [{brokers: ['a:1']}, {brokers: ['a:1']}]}\n", "another entry"),
            (
                "receive: {kafka: [{brokers: ['a:1'], sasl: {mechanism: PLAIN, username: u, password: s3cret}}]}\n",
                "insecure",
            ),
            ("receive: {nats: []}\n", "nats"),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.contains(wanted) && said.contains("receive"), "{text}: {said}");
            assert!(!said.contains("s3cret"), "{said}");
        }
        let nothing = read("roles: [query]\nreceive: {kafka: [{brokers: ['a:1']}]}\n").unwrap_err();
        assert!(nothing.contains("keeps nothing"), "{nothing}");
    }
}
