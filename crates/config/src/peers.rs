//! `peers`, `peers_file`, `answer_to`: others that this node asks beside its own store, and others that it dials so that
//! they can ask it.
//!
//! Entries are read as a tree, since those that speak HTTP have Prometheus' client keys inlined. A peers file holds a
//! list of the same entries by itself, so that it can be written by a program and read again while the node runs.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use model::{ClusterName, ReplicaName};
use net::Settings;

use crate::{
    Error,
    check::Checker,
    prometheus::{http, section::Section},
    yaml::{self, At, Node, Value},
};

/// How long a query waits for a peer (`timeout`).
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// Peers of one node; a file with more is a mistake.
const MAX_PEERS: usize = 10_000;

/// Whom to ask, as configured.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Peers {
    pub list: Vec<Peer>,
    /// Watched, and joined with the list.
    pub file: Option<PathBuf>,
    /// Whom this node dials, to be asked over that connection.
    pub answer_to: Vec<AnswerTo>,
}

impl Peers {
    /// Whether some are to dial this node.
    pub fn are_dialling(&self) -> bool {
        self.list.iter().any(|p| p.address.is_none())
    }
}

/// A node that cannot reach this one.
#[derive(Debug, Clone, PartialEq)]
pub struct AnswerTo {
    pub name: ClusterName,
    /// `host:port` of its `listen.peers`.
    pub address: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Peer {
    /// The cluster it answers for.
    pub name: ClusterName,
    pub replica: Option<ReplicaName>,
    pub kind: PeerKind,
    /// `host:port`, or a URL for those that speak HTTP; `None` where it dials this node.
    pub address: Option<String>,
    /// Labels that everything it holds carries: of an Orrery node it announces them itself, of a foreign system they
    /// are added to all it returns. `cluster` is always one of them.
    pub labels: BTreeMap<String, String>,
    pub timeout: Duration,
    pub replication: Replication,
    /// For foreign systems with tenants: sent as `X-Scope-OrgID`.
    pub tenant: Option<String>,
    /// Of StoreAPI: labels that tell replicas of one origin apart. Series that differ in nothing else are one.
    pub replica_labels: Vec<String>,
    /// How requests to a foreign system are made.
    pub http: Settings,
}

/// What speaks at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerKind {
    Orrery,
    /// Prometheus and what has its HTTP API: VictoriaMetrics, Mimir, Thanos Query.
    Prometheus,
    /// Thanos' StoreAPI over gRPC.
    Thanos,
    Loki,
    Tempo,
    Jaeger,
}

impl PeerKind {
    const ALL: [PeerKind; 6] = [
        PeerKind::Orrery,
        PeerKind::Prometheus,
        PeerKind::Thanos,
        PeerKind::Loki,
        PeerKind::Tempo,
        PeerKind::Jaeger,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            PeerKind::Orrery => "orrery",
            PeerKind::Prometheus => "prometheus",
            PeerKind::Thanos => "thanos",
            PeerKind::Loki => "loki",
            PeerKind::Tempo => "tempo",
            PeerKind::Jaeger => "jaeger",
        }
    }

    /// Whether it is named by a URL rather than by `host:port`.
    fn has_url(self) -> bool {
        !matches!(self, PeerKind::Orrery | PeerKind::Thanos)
    }
}

/// How the replicas of a cluster share each signal; `None` is the usual: metrics mirrored, everything else sharded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Replication {
    pub metrics: Option<Shared>,
    pub logs: Option<Shared>,
    pub traces: Option<Shared>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shared {
    /// Each replica holds everything.
    Mirrored,
    /// Each replica holds a part.
    Sharded,
}

/// Reads a peers file: a list of peers.
pub fn read_peers(path: &Path) -> Result<Vec<Peer>, Error> {
    let text = crate::read(path)?;
    let mut c = Checker::of_file(path);
    let list = match yaml::parse(&text) {
        Ok(root) => list(&root, "peers", &mut c),
        Err(e) => {
            c.problem_at("", e.at, e.message);
            Vec::new()
        }
    };
    agree(&list, At { line: 1, column: 1 }, &mut c);
    let problems = c.into_problems();
    if problems.is_empty() { Ok(list) } else { Err(Error::Invalid(problems)) }
}

/// The keys of the node's own file. `text` is the whole of it.
pub(crate) fn check(text: &str, file: Option<PathBuf>, c: &mut Checker<'_>) -> Peers {
    let root = match yaml::parse(text) {
        Ok(root) => root,
        Err(e) => {
            c.problem_at("peers", e.at, e.message);
            return Peers { file, ..Peers::default() };
        }
    };
    let peers = root.get("peers").map_or_else(Vec::new, |n| {
        let list = list(n, "peers", c);
        agree(&list, n.at, c);
        list
    });
    let answer_to = root.get("answer_to").map_or_else(Vec::new, |n| {
        let found = sections(n, "answer_to", c);
        found.into_iter().filter_map(|s| answer_to(s, c)).collect()
    });
    Peers { list: peers, file, answer_to }
}

fn answer_to(mut s: Section<'_>, c: &mut Checker<'_>) -> Option<AnswerTo> {
    let name = name(&mut s, "needs a name: that of the cluster that is to ask this one", c);
    let address = address(&mut s, PeerKind::Orrery, c);
    s.finish(c);
    Some(AnswerTo { name: name?, address: address? })
}

fn name(s: &mut Section<'_>, needed: &str, c: &mut Checker<'_>) -> Option<ClusterName> {
    let Some(name) = s.text("name", c) else {
        s.wrong(c, needed);
        return None;
    };
    ClusterName::new(&name).map_err(|e| s.problem("name", c, e.to_string())).ok()
}

/// Which keys of the file are read here, is told apart from those that other readers know.
fn list(node: &Node, field: &str, c: &mut Checker<'_>) -> Vec<Peer> {
    sections(node, field, c).into_iter().filter_map(|s| peer(s, c)).collect()
}

fn sections<'a>(node: &'a Node, field: &str, c: &mut Checker<'_>) -> Vec<Section<'a>> {
    let items = match &node.value {
        Value::Null => return Vec::new(),
        Value::List(items) => items,
        _ => {
            c.problem_at(field, node.at, "must be a list of peers");
            return Vec::new();
        }
    };
    if items.len() > MAX_PEERS {
        c.problem_at(field, node.at, format!("has {} entries, at most {MAX_PEERS} are taken", items.len()));
    }
    items.iter().take(MAX_PEERS).filter_map(|n| Section::open(n, field, c)).collect()
}

fn peer(mut s: Section<'_>, c: &mut Checker<'_>) -> Option<Peer> {
    let name = name(&mut s, "needs a name: that of the cluster it answers for", c);
    let replica = s
        .text("replica", c)
        .and_then(|r| ReplicaName::new(&r).map_err(|e| s.problem("replica", c, e.to_string())).ok());
    let kind = kind(&mut s, c);
    let address = match s.flag("dials", c) {
        Some(true) => dials(&mut s, kind, c),
        _ => address(&mut s, kind, c).map(Some),
    };
    let mut labels = BTreeMap::new();
    for (label, value, _) in s.pairs("labels", c) {
        labels.insert(label, value);
    }
    if let Some(name) = &name {
        let cluster = labels.entry("cluster".to_owned()).or_insert_with(|| name.as_str().to_owned());
        if cluster != name.as_str() {
            let message = format!(
                "cluster is {cluster:?} and the name {name}; leave the label out, or make it the name"
            );
            s.problem("labels", c, message);
        }
    }
    let timeout = s.duration("timeout", c).unwrap_or(DEFAULT_TIMEOUT);
    if timeout.is_zero() {
        s.problem("timeout", c, "must be more than zero");
    }
    let replication = s.section("replication", c).map(|r| replication(r, c)).unwrap_or_default();
    let tenant = s.text("tenant", c);
    let http = http::http(&mut s, c).settings;
    if kind == PeerKind::Orrery && http != Settings::default() {
        s.wrong(c, "a peer of kind orrery takes no HTTP client keys; it is reached with the node's tls");
    }
    let replica_labels = s.texts("replica_labels", c).unwrap_or_default();
    if kind != PeerKind::Thanos && !replica_labels.is_empty() {
        s.problem("replica_labels", c, "is for peers of kind thanos");
    }
    if replica_labels.iter().any(|l| labels.contains_key(l)) {
        s.problem("replica_labels", c, "names one of the peer's labels, which all it holds has");
    }
    s.finish(c);
    let (name, address) = (name?, address?);
    Some(Peer { name, replica, kind, address, labels, timeout, replication, tenant, replica_labels, http })
}

fn kind(s: &mut Section<'_>, c: &mut Checker<'_>) -> PeerKind {
    let Some(text) = s.text("kind", c) else { return PeerKind::Orrery };
    PeerKind::ALL.into_iter().find(|k| k.as_str() == text).unwrap_or_else(|| {
        let known = PeerKind::ALL.map(PeerKind::as_str).join(", ");
        s.problem("kind", c, format!("{text:?} is not known, use one of {known}"));
        PeerKind::Orrery
    })
}

/// One that dials this node needs no address.
fn dials(s: &mut Section<'_>, kind: PeerKind, c: &mut Checker<'_>) -> Option<Option<String>> {
    if kind != PeerKind::Orrery {
        let message =
            format!("only nodes dial this one to be asked; a peer of kind {} does not", kind.as_str());
        s.problem("dials", c, message);
        return None;
    }
    for key in ["address", "url"] {
        if s.text(key, c).is_some() {
            s.problem(
                key,
                c,
                "a peer that dials this node is not reached: leave it out, or dials".to_owned(),
            );
        }
    }
    Some(None)
}

/// The one of `address` and `url` that the kind needs.
fn address(s: &mut Section<'_>, kind: PeerKind, c: &mut Checker<'_>) -> Option<String> {
    let (address, url) = (s.text("address", c), s.text("url", c));
    let (wanted, key, other, other_key) = match kind.has_url() {
        true => (url, "url", address, "address"),
        false => (address, "address", url, "url"),
    };
    if other.is_some() {
        s.problem(other_key, c, format!("a peer of kind {} has {key} instead", kind.as_str()));
    }
    let Some(text) = wanted else {
        if other.is_none() {
            let example = if kind.has_url() { "http://prometheus:9090" } else { "prod-01.example.com:9495" };
            s.wrong(c, format!("needs {key}, for example {example}"));
        }
        return None;
    };
    let good = match kind.has_url() {
        true => text.starts_with("http://") || text.starts_with("https://"),
        false => {
            text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        }
    };
    if !good {
        let form = if kind.has_url() { "http://host:port or https://host:port" } else { "host:port" };
        s.problem(key, c, format!("{text:?} is not {form}"));
    }
    good.then(|| text.trim_end_matches('/').to_owned())
}

/// `{metrics: mirrored, logs: sharded}`.
pub(crate) fn replication(mut s: Section<'_>, c: &mut Checker<'_>) -> Replication {
    let mut one = |signal: &str, c: &mut Checker<'_>| {
        let text = s.text(signal, c)?;
        match text.as_str() {
            "mirrored" => Some(Shared::Mirrored),
            "sharded" => Some(Shared::Sharded),
            other => {
                s.problem(signal, c, format!("{other:?} is not known, use mirrored or sharded"));
                None
            }
        }
    };
    let found = Replication { metrics: one("metrics", c), logs: one("logs", c), traces: one("traces", c) };
    s.finish(c);
    found
}

/// Peers of one name are replicas of one cluster: each needs a name of its own, and they must agree.
fn agree(list: &[Peer], at: At, c: &mut Checker<'_>) {
    for (i, p) in list.iter().enumerate() {
        let of_same_kind = |q: &&Peer| q.name == p.name && same_signals(q.kind, p.kind);
        for q in list.iter().take(i).filter(of_same_kind) {
            if q.replica == p.replica {
                let which = p.replica.as_ref().map_or("no replica".to_owned(), |r| format!("replica {r}"));
                let message =
                    format!("{} is there twice with {which}; give each replica a name of its own", p.name);
                c.problem_at("peers", at, message);
            } else if q.replication != p.replication {
                let message =
                    format!("the replicas of {} differ in replication; write the same for each", p.name);
                c.problem_at("peers", at, message);
            }
        }
    }
}

/// A cluster may have a Prometheus, a Loki and a Tempo; those are no replicas of each other.
fn same_signals(a: PeerKind, b: PeerKind) -> bool {
    let signal = |k: PeerKind| match k {
        PeerKind::Orrery => 0,
        PeerKind::Prometheus | PeerKind::Thanos => 1,
        PeerKind::Loki => 2,
        PeerKind::Tempo | PeerKind::Jaeger => 3,
    };
    signal(a) == signal(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    fn problems(text: &str) -> Vec<String> {
        match parse(text, Path::new("o.yaml")) {
            Ok(_) => Vec::new(),
            Err(Error::Invalid(p)) => p.iter().map(ToString::to_string).collect(),
            Err(e) => vec![e.to_string()],
        }
    }

    #[test]
    fn a_peer_is_a_name_and_an_address_and_the_rest_is_filled_in() {
        let text = "tls: {cert: c, key: k, ca: a}\npeers:\n  - {name: prod-01, address: 'prod-01.example.com:9495', replica: a}\n  - {name: prod-01, address: 'other:9495', replica: b}\n  - name: legacy\n    kind: prometheus\n    url: http://prometheus:9090/\n    labels: {region: eu}\n    timeout: 3s\n    bearer_token: hidden\n  - {name: legacy, kind: loki, url: 'http://loki:3100', tenant: t1}\n  - {name: t, kind: thanos, address: 'https://store:10901', replica_labels: [prom], tls_config: {ca_file: ca.crt}}\n";
        let peers = parse(text, Path::new("o.yaml")).unwrap().peers.list;
        assert_eq!(peers.len(), 5);
        let (first, legacy) = (&peers[0], &peers[2]);
        assert_eq!((first.kind, first.timeout), (PeerKind::Orrery, DEFAULT_TIMEOUT));
        assert_eq!(first.labels.get("cluster").map(String::as_str), Some("prod-01"));
        assert_eq!(legacy.address.as_deref(), Some("http://prometheus:9090"));
        assert_eq!((legacy.timeout, legacy.labels.len()), (Duration::from_secs(3), 2));
        assert_ne!(legacy.http, Settings::default());
        assert_eq!(peers[3].tenant.as_deref(), Some("t1"));
        assert_eq!(peers[4].replica_labels, ["prom"]);
        assert!(peers[4].http.tls.ca.is_some());
    }

    #[test]
    fn what_is_wrong_with_a_peer_is_said_with_its_line_and_what_to_do() {
        let text = "peers:\n  - {address: 'x:1'}\n  - {name: a, url: 'http://x'}\n  - {name: b, kind: loki, url: 'x:3100'}\n  - {name: c, kind: mimir, address: 'x:1'}\n  - {name: d, address: 'x:1', labels: {cluster: e}}\n  - {name: f, address: 'x:1', typo: 1}\n  - {name: g, address: 'x:1', replication: {logs: both}}\n  - {name: h, address: 'x:1'}\n  - {name: h, address: 'y:1'}\n  - {name: i, address: 'x:1', bearer_token: t}\n  - {name: j, kind: loki, url: 'http://x', replica_labels: [a]}\n  - {name: k, kind: thanos, address: 'x:1', replica_labels: [cluster]}\n";
        let found = problems(text);
        for wanted in [
            "o.yaml:2:5: peers: needs a name",
            "o.yaml:3:20: peers.url: a peer of kind orrery has address instead",
            "\"x:3100\" is not http://host:port",
            "\"mimir\" is not known, use one of orrery, prometheus",
            "cluster is \"e\" and the name d",
            "\"typo\" is not a key",
            "\"both\" is not known, use mirrored or sharded",
            "h is there twice with no replica",
            "takes no HTTP client keys",
            "peers.replica_labels: is for peers of kind thanos",
            "names one of the peer's labels",
            "nodes ask each other over mutual TLS only",
        ] {
            assert!(found.iter().any(|p| p.contains(wanted)), "{wanted}: {found:#?}");
        }
    }

    #[test]
    fn one_side_says_that_it_is_dialled_and_the_other_whom_to_dial() {
        let tls = "tls: {cert: c, key: k, ca: a}\n";
        let hub =
            parse(&format!("{tls}peers:\n  - {{name: dev-01, dials: true}}\n"), Path::new("o.yaml")).unwrap();
        assert!(hub.peers.are_dialling() && hub.peers.list[0].address.is_none());
        let text = format!("{tls}answer_to:\n  - {{name: ops-01, address: 'ops:9495'}}\n");
        let behind = parse(&text, Path::new("o.yaml")).unwrap();
        assert_eq!(behind.peers.answer_to[0].address, "ops:9495");
        let text = "listen: {peers: off}\npeers:\n  - {name: a, dials: true, address: 'x:1'}\n  - {name: b, kind: loki, dials: true}\n  - {name: d, dials: true}\nanswer_to:\n  - {address: 'x:1'}\n  - {name: e, address: x}\n";
        let found = problems(text);
        for wanted in [
            "a peer that dials this node is not reached",
            "a peer of kind loki does not",
            "answer_to: needs a name: that of the cluster that is to ask this one",
            "answer_to.address: \"x\" is not host:port",
            "answer_to: nodes ask each other over mutual TLS only",
        ] {
            assert!(found.iter().any(|p| p.contains(wanted)), "{wanted}: {found:#?}");
        }
        let found = problems(&format!("{tls}listen: {{peers: off}}\npeers:\n  - {{name: d, dials: true}}\n"));
        assert!(found.iter().any(|p| p.contains("listen.peers is off")), "{found:#?}");
    }

    #[test]
    fn a_peers_file_holds_the_list_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("peers.yaml");
        std::fs::write(&path, "- {name: dev-01, address: 'dev:9495'}\n").unwrap();
        assert_eq!(read_peers(&path).unwrap()[0].name.as_str(), "dev-01");
        std::fs::write(&path, "peers: {}\n").unwrap();
        assert!(read_peers(&path).unwrap_err().to_string().contains("must be a list of peers"));
        assert!(read_peers(&dir.path().join("none")).is_err());
    }
}
