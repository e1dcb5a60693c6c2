//! From as written to checked. All problems are collected, so that one run names them all.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use model::{ClusterName, ReplicaName};
use serde_saphyr::{Location, Spanned};

use crate::{
    error::{Error, Problem},
    node::{Collect, Disk, Files, Host, Http, Ingest, Memory, Node, OwnTraces, Pods, Query, Retention},
    peers::{self, PeerKind, Peers},
    prometheus,
    scalar::{self, Amount, Scalar},
    written::{self, Field, NotYet},
    yaml::{self, At},
};

/// Collects problems and turns fields into values.
pub(crate) struct Checker<'a> {
    path: &'a Path,
    text: &'a str,
    problems: Vec<Problem>,
    /// What is no problem but should be known.
    notices: Vec<Problem>,
}

pub(crate) fn check(w: written::Node, text: &str, path: &Path) -> Result<Node, Error> {
    let mut c = Checker { path, text, problems: Vec::new(), notices: Vec::new() };
    for (name, key) in [("bucket", &w.bucket), ("collector", &w.collector), ("alertmanager", &w.alertmanager)]
    {
        c.not_yet(name, key);
    }
    let keeps = c.roles(&w.roles);
    let peers_file = w.peers_file.as_ref().map(|f| c.resolve(&f.value));
    let peers = match w.peers.is_some() || w.answer_to.is_some() {
        true => peers::check(text, peers_file, &mut c),
        false => Peers { file: peers_file, ..Peers::default() },
    };
    if let (false, true, Some(r)) = (keeps, peers.list.is_empty() && peers.file.is_none(), &w.roles) {
        c.problem(
            "roles",
            r.referenced,
            "a node that keeps nothing needs peers or peers_file: it would answer nothing",
        );
    }
    let data_dir = c.resolve(w.data_dir.as_ref().map_or("data", |d| &d.value));
    let backlog = crate::forward::backlog_bytes(&data_dir);
    let mut prometheus = w.prometheus.map(|p| c.prometheus(p, backlog)).unwrap_or_default();
    // What this node says of itself wins over what a file written for Prometheus says.
    let mut external_labels = prometheus.external_labels;
    external_labels.extend(w.external_labels.iter().flatten().map(|(k, v)| (k.clone(), v.value.clone())));
    let replica = w.external_labels.as_ref().and_then(|l| l.get("replica"));
    let inherited = external_labels.get("replica").filter(|_| replica.is_none()).cloned();
    let cluster = c.cluster(&w.cluster);
    let tls = c.tls(&w.tls);
    if let (true, Some(p)) =
        (w.tls.is_none() && peers.list.iter().any(|p| p.kind == PeerKind::Orrery), &w.peers)
    {
        let message =
            "nodes ask each other over mutual TLS only: add tls: {cert, key, ca} (orrery certs makes them)";
        c.problem("peers", p.referenced, message);
    }
    if let (true, Some(a)) = (w.tls.is_none(), &w.answer_to) {
        let message =
            "nodes ask each other over mutual TLS only: add tls: {cert, key, ca} (orrery certs makes them)";
        c.problem("answer_to", a.referenced, message);
    }
    let listen = c.listen(&w.listen, tls.as_ref(), w.tls.is_some(), w.insecure.unwrap_or(false));
    if let (true, true, Some(p)) = (tls.is_some() && listen.peers.is_none(), peers.are_dialling(), &w.peers) {
        c.problem("peers", p.referenced, "a peer dials this node, and listen.peers is off: nobody can");
    }
    let replica = replica
        .and_then(|r| match ReplicaName::new(&r.value) {
            Ok(name) => Some(name),
            Err(e) => {
                c.problem("external_labels.replica", r.referenced, e.to_string());
                None
            }
        })
        .or_else(|| inherited.and_then(|r| ReplicaName::new(&r).ok()));
    let mut forward = match &w.forward {
        Some(_) => crate::forward::check(text, tls.as_ref(), &data_dir, &mut c),
        None => Vec::new(),
    };
    if let (false, Some(f)) = (keeps, &w.forward) {
        c.problem(
            "forward",
            f.referenced,
            "a node that keeps nothing takes nothing that it could send onward",
        );
    }
    let receive = match &w.receive {
        Some(_) => crate::receive::check(text, &mut c),
        None => Vec::new(),
    };
    if let (false, Some(r)) = (keeps, &w.receive) {
        c.problem("receive", r.referenced, "a node that keeps nothing cannot make durable what it takes");
    }
    for d in prometheus.remote_write.drain(..) {
        let at = w
            .forward
            .as_ref()
            .map_or(At::default(), |f| At { line: f.referenced.line(), column: f.referenced.column() });
        crate::forward::twice(&d, &forward, ("forward", at), &mut c);
        forward.push(d);
    }
    forward.iter_mut().for_each(|d| d.stamp(&external_labels));
    let node = Node {
        cluster,
        forward,
        receive,
        derive: crate::traces::check(&w.traces, replica.as_ref(), &mut c),
        replica,
        external_labels,
        keeps,
        peers,
        listen,
        tls,
        http: http(w.http),
        retention: c.retention(&w.retention, &data_dir),
        memory: Memory {
            limit_bytes: c.amount(
                "memory.limit",
                &w.memory.limit,
                Amount::Share(0.8),
                base::memory::machine_bytes,
            ),
        },
        disk: Disk {
            reserve_bytes: c
                .amount("disk.reserve", &w.disk.reserve, Amount::Share(0.05), || disk_bytes(&data_dir)),
        },
        ingest: c.ingest(&w.ingest),
        query: c.query(&w.query),
        promql_experimental: c.experimental(w.promql.experimental),
        collect: c.collect(&w.collect),
        scrape: prometheus.jobs,
        otlp: crate::otlp::check(w.otlp, prometheus.otlp, &mut c),
        data_dir,
        text: text.to_owned(),
        notices: c.notices,
    };
    if c.problems.is_empty() { Ok(node) } else { Err(Error::Invalid(c.problems)) }
}

fn http(w: written::Http) -> Http {
    let defaults = Http::default();
    Http {
        enable_lifecycle: w.enable_lifecycle.unwrap_or(defaults.enable_lifecycle),
        enable_admin: w.enable_admin.unwrap_or(defaults.enable_admin),
        cors_origin: w.cors_origin.filter(|o| !o.is_empty()),
    }
}

/// The size of the file system that holds `dir` or its nearest existing parent.
pub(crate) fn disk_bytes(dir: &Path) -> u64 {
    let existing = dir.ancestors().find(|p| p.exists()).unwrap_or(Path::new("."));
    let existing = if existing.as_os_str().is_empty() { Path::new(".") } else { existing };
    rustix::fs::statvfs(existing).map_or(u64::MAX / 2, |s| s.f_blocks * s.f_frsize)
}

#[cfg(test)]
impl<'a> Checker<'a> {
    pub(crate) fn new(path: &'a Path, text: &'a str) -> Self {
        Checker { path, text, problems: Vec::new(), notices: Vec::new() }
    }

    pub(crate) fn finish(self) -> (Vec<Problem>, Vec<Problem>) {
        (self.problems, self.notices)
    }
}

impl<'a> Checker<'a> {
    /// For a file that stands by itself.
    pub(crate) fn of_file(path: &'a Path) -> Self {
        Checker { path, text: "", problems: Vec::new(), notices: Vec::new() }
    }

    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }
}

impl Checker<'_> {
    pub(crate) fn problem(&mut self, field: &str, at: Location, message: impl Into<String>) {
        self.problem_at(field, At { line: at.line(), column: at.column() }, message);
    }

    pub(crate) fn problem_at(&mut self, field: &str, at: At, message: impl Into<String>) {
        let problem = self.say(field, at, message);
        self.problems.push(problem);
    }

    /// Something that stops nothing and should be known: what is asked for and not done.
    pub(crate) fn notice(&mut self, field: &str, at: At, message: impl Into<String>) {
        let notice = self.say(field, at, message);
        self.notices.push(notice);
    }

    fn say(&self, field: &str, at: At, message: impl Into<String>) -> Problem {
        Problem {
            path: self.path.to_owned(),
            line: at.line,
            column: at.column,
            field: field.to_owned(),
            message: message.into(),
        }
    }

    /// Checks what another file holds; its problems carry its name, its relative paths are relative to it.
    pub(crate) fn within<T>(&mut self, path: &Path, check: impl FnOnce(&mut Checker<'_>) -> T) -> T {
        let mut inner = Checker { path, text: "", problems: Vec::new(), notices: Vec::new() };
        let result = check(&mut inner);
        self.problems.append(&mut inner.problems);
        self.notices.append(&mut inner.notices);
        result
    }

    pub(crate) fn not_yet(&mut self, field: &str, key: &NotYet) {
        if let Some(k) = key {
            self.problem(field, k.referenced, "is not supported by this version; remove the key");
        }
    }

    /// Relative paths are relative to the configuration file.
    pub(crate) fn resolve(&self, path: &str) -> PathBuf {
        match self.path.parent() {
            Some(dir) if Path::new(path).is_relative() => dir.join(path),
            _ => PathBuf::from(path),
        }
    }

    fn value<T>(
        &mut self,
        field: &str,
        f: &Field<Scalar>,
        default: T,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        let Some(s) = f else { return default };
        match parse(&s.value.0) {
            Ok(v) => v,
            Err(message) => {
                self.problem(field, s.referenced, message);
                default
            }
        }
    }

    pub(crate) fn duration(&mut self, field: &str, f: &Field<Scalar>, default: Duration) -> Duration {
        self.value(field, f, default, scalar::duration)
    }

    /// A plain size; a share has nothing to be a share of here.
    pub(crate) fn bytes(&mut self, field: &str, f: &Field<Scalar>, default: u64) -> u64 {
        self.value(field, f, default, |t| match scalar::amount(t)? {
            Amount::Bytes(b) => Ok(b),
            Amount::Share(_) => Err(format!("{t:?} must be a size, not a share")),
        })
    }

    fn amount(
        &mut self,
        field: &str,
        f: &Field<Scalar>,
        default: Amount,
        whole: impl FnOnce() -> u64,
    ) -> u64 {
        match self.value(field, f, default, scalar::amount) {
            Amount::Bytes(b) => b,
            share => share.of(whole()),
        }
    }

    pub(crate) fn count(&mut self, field: &str, f: &Field<Scalar>, default: u64) -> u64 {
        self.value(field, f, default, |t| {
            t.replace('_', "").parse().map_err(|_| format!("{t:?} is not a whole number"))
        })
    }

    /// Whether the node has a store.
    fn roles(&mut self, roles: &Field<Vec<String>>) -> bool {
        let Some(r) = roles else { return true };
        let names: Vec<&str> = r.value.iter().map(String::as_str).collect();
        match names.as_slice() {
            ["all"] => true,
            ["query"] => false,
            _ => {
                let message = "use [all], or [query] for a node that keeps nothing and asks its peers";
                self.problem("roles", r.referenced, message);
                true
            }
        }
    }

    fn cluster(&mut self, f: &Field<String>) -> Option<ClusterName> {
        let s = f.as_ref()?;
        match ClusterName::new(&s.value) {
            Ok(name) => Some(name),
            Err(e) => {
                self.problem("cluster", s.referenced, e.to_string());
                None
            }
        }
    }

    fn retention(&mut self, w: &written::Retention, data_dir: &Path) -> Retention {
        const DAY: u64 = 86_400;
        let mut keep = |field: &str, f: &Field<Scalar>, days: u64| {
            let d = self.duration(field, f, Duration::from_secs(days * DAY));
            (!d.is_zero()).then_some(d)
        };
        let (metrics, logs, traces) = (
            keep("retention.metrics", &w.metrics, 30),
            keep("retention.logs", &w.logs, 14),
            keep("retention.traces", &w.traces, 7),
        );
        let max =
            self.amount("retention.max_bytes", &w.max_bytes, Amount::Share(0.8), || disk_bytes(data_dir));
        Retention { metrics, logs, traces, max_bytes: (max > 0).then_some(max) }
    }

    fn ingest(&mut self, w: &written::Ingest) -> Ingest {
        Ingest {
            max_body_bytes: self.bytes("ingest.max_body", &w.max_body, 16 << 20) as usize,
            max_unpacked_bytes: self.bytes("ingest.max_unpacked", &w.max_unpacked, 64 << 20) as usize,
            max_series: self.count("ingest.max_series", &w.max_series, 5_000_000) as usize,
            max_series_per_metric: self.count(
                "ingest.max_series_per_metric",
                &w.max_series_per_metric,
                1_000_000,
            ) as usize,
            max_tenants: self.count("ingest.max_tenants", &w.max_tenants, 1000) as usize,
            max_labels: self.count("ingest.max_labels", &w.max_labels, 128) as usize,
            max_label_name_bytes: self.bytes("ingest.max_label_name", &w.max_label_name, 1024) as usize,
            max_label_value_bytes: self.bytes("ingest.max_label_value", &w.max_label_value, 8192) as usize,
            max_line_bytes: self.bytes("ingest.max_line", &w.max_line, 1 << 20) as usize,
            out_of_order_window: self.duration(
                "ingest.out_of_order_window",
                &w.out_of_order_window,
                // What retention keeps is taken, in whatever order it comes.
                Duration::MAX,
            ),
            discover_service_name: w.discover_service_name.unwrap_or(true),
            discover_log_levels: w.discover_log_levels.unwrap_or(true),
            patterns: w.patterns.unwrap_or(true),
        }
    }

    fn query(&mut self, w: &written::Query) -> Query {
        Query {
            timeout: self.duration("query.timeout", &w.timeout, Duration::from_secs(120)),
            max_concurrent: self.count("query.max_concurrent", &w.max_concurrent, 16).max(1) as usize,
            max_queued: self.count("query.max_queued", &w.max_queued, 100) as usize,
            max_tails: self.count("query.max_tails", &w.max_tails, 100) as usize,
            max_tails_per_tenant: self.count("query.max_tails_per_tenant", &w.max_tails_per_tenant, 10)
                as usize,
            max_samples: self.count("query.max_samples", &w.max_samples, 50_000_000),
            max_series: self.count("query.max_series", &w.max_series, 1_000_000),
            max_bytes: self.bytes("query.max_bytes", &w.max_bytes, 8 << 30),
            max_rows: self.count("query.max_rows", &w.max_rows, 10_000_000),
            lookback: self.duration("query.lookback", &w.lookback, Duration::from_secs(300)),
        }
    }

    fn experimental(&mut self, w: Option<Spanned<written::Switches>>) -> Vec<String> {
        const KNOWN: [&str; 7] = [
            "functions",
            "durations",
            "extended_selectors",
            "fill",
            "start_timestamps",
            "type_and_unit_labels",
            "delayed_name_removal",
        ];
        let Some(s) = w else { return Vec::new() };
        match s.value {
            written::Switches::All(true) => vec!["all".to_owned()],
            written::Switches::All(false) => Vec::new(),
            written::Switches::Names(names) => {
                for n in names.iter().filter(|n| !KNOWN.contains(&n.as_str())) {
                    let message = format!("{n:?} is not known, use {}", KNOWN.join(", "));
                    self.problem("promql.experimental", s.referenced, message);
                }
                names
            }
        }
    }

    fn collect(&mut self, w: &written::Collect) -> Collect {
        let path =
            |c: &Self, f: &Field<String>, default: &str| c.resolve(f.as_ref().map_or(default, |v| &v.value));
        let patterns = |c: &Self, v: &Option<Vec<Spanned<String>>>, default: &[&str]| -> Vec<String> {
            let given = v.as_ref().map(|list| list.iter().map(|s| s.value.as_str()).collect());
            let patterns: Vec<&str> = given.unwrap_or_else(|| default.to_vec());
            patterns.iter().map(|p| c.resolve(p).to_string_lossy().into_owned()).collect()
        };
        let usual = ["/var/log/*.log", "/var/log/*/*.log", "/var/log/syslog", "/var/log/messages"];
        let files = patterns(self, &w.files.paths, &usual);
        let no_pods = w.pods.path.as_ref().is_some_and(|p| p.value.is_empty());
        let interval = self.duration("collect.host.interval", &w.host.interval, Duration::from_secs(15));
        if let Some(f) = &w.host.interval
            && interval.is_zero()
        {
            self.problem("collect.host.interval", f.referenced, "must be more than zero");
        }
        Collect {
            host: w.host.enabled.unwrap_or(true).then(|| Host {
                interval,
                proc: path(self, &w.host.proc, "/proc"),
                sys: path(self, &w.host.sys, "/sys"),
            }),
            files: (!files.is_empty()).then(|| Files {
                paths: files,
                exclude: patterns(self, &w.files.exclude, &[]),
                from_beginning: self.start_at("collect.files.start_at", &w.files.start_at),
            }),
            pods: (!no_pods).then(|| Pods {
                path: path(self, &w.pods.path, "/var/log/pods"),
                from_beginning: self.start_at("collect.pods.start_at", &w.pods.start_at),
            }),
            traces: w.traces.enabled.unwrap_or(true).then_some(OwnTraces),
            scrape_defaults: w.defaults.unwrap_or(true),
        }
    }

    fn start_at(&mut self, field: &str, f: &Field<String>) -> bool {
        match f.as_ref().map(|s| (s.value.as_str(), s.referenced)) {
            None | Some(("beginning", _)) => true,
            Some(("end", _)) => false,
            Some((other, at)) => {
                self.problem(field, at, format!("{other:?} is not known, use beginning or end"));
                true
            }
        }
    }

    /// The key holds a file name or the content itself. Either is read as a tree of its own, in which every
    /// value knows its line.
    fn prometheus(&mut self, p: Spanned<written::Prometheus>, backlog: u64) -> prometheus::Prometheus {
        let at = At { line: p.referenced.line(), column: p.referenced.column() };
        match p.value {
            written::Prometheus::Inline => match yaml::parse(self.text) {
                Ok(root) => {
                    root.get("prometheus").map(|n| prometheus::check(n, backlog, self)).unwrap_or_default()
                }
                Err(e) => {
                    self.problem_at("prometheus", e.at, e.message);
                    prometheus::Prometheus::default()
                }
            },
            written::Prometheus::File(name) => {
                let path = self.resolve(&name);
                match crate::read(&path) {
                    Ok(text) => self.within(&path, |c| match yaml::parse(&text) {
                        Ok(root) => prometheus::check(&root, backlog, c),
                        Err(e) => {
                            c.problem_at("", e.at, e.message);
                            prometheus::Prometheus::default()
                        }
                    }),
                    Err(e) => {
                        self.problem_at("prometheus", at, e.to_string());
                        prometheus::Prometheus::default()
                    }
                }
            }
        }
    }
}
