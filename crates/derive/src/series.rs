//! Which series there are and how they are labelled. Names are those of Tempo's metrics-generator.

use model::{Labels, MetricKind, MetricMetadata};

use crate::{
    graph::{EdgeKey, LooseKey},
    histogram::Bounds,
    intern::parts,
    labels::bound,
    observe::{Names, Side},
    plan::Plan,
};

const CALLS: &str = "traces_spanmetrics_calls_total";
const SIZE: &str = "traces_spanmetrics_size_total";
const LATENCY: &str = "traces_spanmetrics_latency";
const TARGET_INFO: &str = "traces_target_info";
const REQUESTS: &str = "traces_service_graph_request_total";
const FAILED: &str = "traces_service_graph_request_failed_total";
const SERVER_SECONDS: &str = "traces_service_graph_request_server_seconds";
const CLIENT_SECONDS: &str = "traces_service_graph_request_client_seconds";
const UNPAIRED: &str = "traces_service_graph_unpaired_spans_total";
const DROPPED: &str = "traces_service_graph_dropped_spans_total";

/// What found no room has this label and no other.
const OVERFLOW: &str = "metric_overflow";
const INSTANCE: &str = "__metrics_gen_instance";

const KINDS: [&str; 6] = [
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];
const STATUSES: [&str; 3] = ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];

type Pairs<'a> = Vec<(&'a str, &'a str)>;

/// Calls, size, then the histogram. Without a key those of what found no room.
pub(crate) fn red(plan: &Plan, key: Option<&[u8]>) -> Vec<Labels> {
    let mut base = own(plan);
    match key {
        None => base.push((OVERFLOW, "true")),
        Some(key) => {
            let mut parts = parts(key);
            for label in ["service", "cluster", "job", "instance", "span_name"] {
                base.push((label, parts.next().unwrap_or_default()));
            }
            let digits = parts.next().unwrap_or_default().as_bytes();
            let word = |words: &[&'static str], at: usize| {
                let digit = digits.get(at).map(|b| usize::from(b.saturating_sub(b'0')));
                digit.and_then(|d| words.get(d).copied()).unwrap_or_default()
            };
            base.push(("span_kind", word(&KINDS, 0)));
            base.push(("status_code", word(&STATUSES, 1)));
            base.push(("status_message", parts.next().unwrap_or_default()));
            base.extend(plan.red_labels.iter().map(String::as_str).zip(parts));
        }
    }
    let mut out = vec![named(&base, CALLS), named(&base, SIZE)];
    histogram(&mut out, &base, LATENCY, &plan.red_bounds);
    out
}

/// Requests, failures, then the histograms of server and client. Without a key those of what found no room.
pub(crate) fn edge(plan: &Plan, names: &Names, key: Option<EdgeKey>) -> Vec<Labels> {
    let mut base = own(plan);
    match key {
        None => base.push((OVERFLOW, "true")),
        Some(key) => {
            let (client, server) = (Node::of(names, key.client), Node::of(names, key.server));
            base.extend([("client", client.name), ("server", server.name)]);
            base.push(("connection_type", key.connection.as_str()));
            let cluster = if client.cluster.is_empty() { server.cluster } else { client.cluster };
            base.push(("cluster", cluster));
            if !server.cluster.is_empty() && server.cluster != cluster {
                base.push(("server_cluster", server.cluster));
            }
            let [of_client, of_server] = &plan.graph_labels;
            base.extend(of_client.iter().map(String::as_str).zip(client.dimensions));
            base.extend(of_server.iter().map(String::as_str).zip(server.dimensions));
        }
    }
    let mut out = vec![named(&base, REQUESTS), named(&base, FAILED)];
    histogram(&mut out, &base, SERVER_SECONDS, &plan.graph_bounds);
    histogram(&mut out, &base, CLIENT_SECONDS, &plan.graph_bounds);
    out
}

/// Unpaired, dropped.
pub(crate) fn loose(plan: &Plan, names: &Names, key: LooseKey) -> Vec<Labels> {
    let mut base = own(plan);
    let node = Node::of(names, key.node);
    let (side, labels) = match key.side {
        Side::Client => ("client", plan.graph_labels.first()),
        Side::Server => ("server", plan.graph_labels.last()),
    };
    match node.name {
        "" => base.push((OVERFLOW, "true")),
        name => base.push((side, name)),
    }
    if key.messaging {
        base.push(("connection_type", crate::graph::Connection::Messaging.as_str()));
    }
    // One that found no room is told apart by its side alone.
    if node.name.is_empty() {
        base.push((side, "unknown"));
    }
    base.push(("cluster", node.cluster));
    base.extend(labels.into_iter().flatten().map(String::as_str).zip(node.dimensions));
    vec![named(&base, UNPAIRED), named(&base, DROPPED)]
}

/// What describes a resource.
pub(crate) fn target(plan: &Plan, key: &[u8]) -> Labels {
    let mut base = own(plan);
    let mut parts = parts(key);
    base.push(("job", parts.next().unwrap_or_default()));
    base.push(("instance", parts.next().unwrap_or_default()));
    while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
        base.push((name, value));
    }
    named(&base, TARGET_INFO)
}

/// Families and what they are.
pub(crate) fn metadata(plan: &Plan) -> Vec<MetricMetadata> {
    use MetricKind::{Counter, Gauge, Histogram};
    let red = [
        (CALLS, Counter, "", "Spans by service, operation, kind and status."),
        (SIZE, Counter, "", "Bytes of spans as OTLP."),
        (LATENCY, Histogram, "", "Duration of spans in seconds."),
    ];
    let graph = [
        (REQUESTS, Counter, "", "Requests between two services."),
        (FAILED, Counter, "", "Requests between two services that failed."),
        (SERVER_SECONDS, Histogram, "seconds", "Time of requests as the server saw it."),
        (CLIENT_SECONDS, Histogram, "seconds", "Time of requests as the client saw it."),
        (UNPAIRED, Counter, "", "Spans of requests whose other side did not come in time."),
        (DROPPED, Counter, "", "Spans of requests for which there was no room to wait."),
    ];
    let targets = [(TARGET_INFO, Gauge, "", "Resources that sent spans.")];
    let options = &plan.options;
    let described = options.red.as_ref().is_some_and(|r| r.target_info);
    let wanted =
        [(options.red.is_some(), &red[..]), (options.graph.is_some(), &graph), (described, &targets)];
    let families = wanted.into_iter().filter(|(is, _)| *is).flat_map(|(_, families)| families);
    families
        .map(|(family, kind, unit, help)| MetricMetadata {
            family: (*family).to_owned(),
            kind: *kind,
            unit: (*unit).to_owned(),
            help: (*help).to_owned(),
        })
        .collect()
}

/// A node's key, read.
struct Node<'a> {
    name: &'a str,
    cluster: &'a str,
    dimensions: Box<dyn Iterator<Item = &'a str> + 'a>,
}

impl<'a> Node<'a> {
    /// Without a name where the number is nobody's.
    fn of(names: &'a Names, number: u32) -> Self {
        let mut parts = names.nodes.key(number).map(parts).into_iter().flatten();
        let _kind = parts.next();
        let name = parts.next().unwrap_or_default();
        let cluster = parts.next().unwrap_or_default();
        Node { name, cluster, dimensions: Box::new(parts) }
    }
}

/// What all series of the node have.
fn own(plan: &Plan) -> Pairs<'_> {
    plan.options.instance.iter().map(|i| (INSTANCE, i.as_str())).collect()
}

/// Empty values are no labels.
fn named(base: &[(&str, &str)], name: &str) -> Labels {
    Labels::from_pairs(base.iter().copied().chain([(model::labels::METRIC_NAME, name)]))
}

/// Sum, count, buckets; or the native histogram; or all of them.
fn histogram(out: &mut Vec<Labels>, base: &Pairs<'_>, name: &str, bounds: &Bounds) {
    if bounds.classic {
        out.extend(["_sum", "_count"].map(|suffix| named(base, &format!("{name}{suffix}"))));
        for le in bounds.seconds.iter().copied().chain([f64::INFINITY]) {
            let le = bound(le);
            let mut base = base.clone();
            base.push(("le", &le));
            out.push(named(&base, &format!("{name}_bucket")));
        }
    }
    if bounds.native {
        out.push(named(base, name));
    }
}
