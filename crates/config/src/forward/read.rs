//! The keys of `forward`.

use std::path::Path;

use forward::{
    Limits, Selection,
    destination::{
        http::{HttpOptions, TenantHeader},
        remote_write::WriteVersion,
    },
    selection::Keep,
};
use model::{Matcher, Signal, TenantId};
use net::{Secret, Settings, Tls, tls::ClientSettings};
use transform::relabel::Names;

use super::{Destination, Protocol, budget::budget, kinds};
use crate::{
    Error,
    check::{Checker, disk_bytes},
    prometheus::{http, relabel::rules, section::Section},
    scalar::Amount,
    yaml::{self, At, Value},
};

/// Destinations of one node.
const MAX_DESTINATIONS: usize = forward::forwarder::MAX_DESTINATIONS;
/// Addresses of one destination; each is tried in turn.
const MAX_ADDRESSES: usize = 16;
/// How far a destination may be behind where nothing is said: this share of the disk, and at most so many bytes.
const BACKLOG: (Amount, u64) = (Amount::Share(0.1), 8 << 30);

/// What the entries share.
struct Ground<'a> {
    /// The node's own certificate and authorities.
    tls: Option<&'a ClientSettings>,
    disk_bytes: u64,
    backlog_bytes: u64,
}

/// The key of the node's own file. `text` is the whole of it.
pub(crate) fn check(
    text: &str,
    tls: Option<&ClientSettings>,
    data_dir: &Path,
    c: &mut Checker<'_>,
) -> Vec<Destination> {
    let root = match yaml::parse(text) {
        Ok(root) => root,
        Err(e) => {
            c.problem_at("forward", e.at, e.message);
            return Vec::new();
        }
    };
    let Some(node) = root.get("forward") else { return Vec::new() };
    let items = match &node.value {
        Value::Null => return Vec::new(),
        Value::List(items) => items,
        _ => {
            c.problem_at("forward", node.at, "must be a list of destinations");
            return Vec::new();
        }
    };
    let ground = Ground { tls, disk_bytes: disk_bytes(data_dir), backlog_bytes: backlog_bytes(data_dir) };
    let sections = items.iter().filter_map(|n| Section::open(n, "forward", c)).collect::<Vec<_>>();
    let mut out: Vec<Destination> = Vec::new();
    for section in sections {
        let (field, at) = (section.name("name"), section.place("name"));
        let Some(destination) = destination(section, &ground, c) else { continue };
        twice(&destination, &out, (&field, at), c);
        out.push(destination);
    }
    if out.len() > MAX_DESTINATIONS {
        let message = format!("has {} destinations, at most {MAX_DESTINATIONS} are taken", out.len());
        c.problem_at("forward", node.at, message);
    }
    out
}

/// The destinations of a configuration of a node, or of a `prometheus.yml` by itself, with its external labels.
///
/// # Errors
/// What a start of the node would say.
pub fn destinations_of(path: &Path) -> Result<Vec<Destination>, Error> {
    const PROMETHEUS: [&str; 4] = ["global", "scrape_configs", "remote_write", "rule_files"];
    let text = crate::read(path)?;
    let root = yaml::parse(&text).ok();
    let root = root.filter(|r| PROMETHEUS.iter().any(|key| r.get(key).is_some()));
    let Some(root) = root else { return Ok(crate::parse(&text, path)?.forward) };
    let mut c = Checker::of_file(path);
    let found = crate::prometheus::check(&root, 0, &mut c);
    let problems = c.into_problems();
    if !problems.is_empty() {
        return Err(Error::Invalid(problems));
    }
    let mut all = found.remote_write;
    all.iter_mut().for_each(|d| d.stamp(&found.external_labels));
    Ok(all)
}

/// How far a destination may be behind where nothing is said, in bytes.
pub(crate) fn backlog_bytes(data_dir: &Path) -> u64 {
    BACKLOG.0.of(disk_bytes(data_dir)).min(BACKLOG.1)
}

/// A name is what the ledger counts under and finds its place by after a restart.
pub(crate) fn twice(d: &Destination, before: &[Destination], at: (&str, At), c: &mut Checker<'_>) {
    if before.iter().any(|b| b.name == d.name) {
        let message = format!("{:?} is the name of another destination; give each a name of its own", d.name);
        c.problem_at(at.0, at.1, message);
    }
}

fn destination(mut s: Section<'_>, ground: &Ground<'_>, c: &mut Checker<'_>) -> Option<Destination> {
    let name = name(&mut s, c);
    let mut protocol = kinds::protocol(&mut s, c);
    let urls = addresses(&protocol, &mut s, c);
    let (selection, chosen) = selection(&mut s, c);
    let limits = Limits { budget: budget(&mut s, c), ..limits(&mut s, ground, c) };
    let timeout = s.duration("timeout", c).unwrap_or_else(|| HttpOptions::new([""]).timeout);
    if timeout.is_zero() {
        s.problem("timeout", c, "must be more than zero");
    }
    let tenant = tenant(&mut s, c);
    let with_external_labels = s.flag("external_labels", c).unwrap_or(true);
    let mut settings = http::http(&mut s, c).settings;
    if let Some(Protocol::Kafka(k)) = &mut protocol {
        k.connection.tls = k.connection.tls.take().map(|_| settings.tls.clone());
    }
    let keys = (s.name("signals"), s.place("signals"));
    let place = |key: &str| (s.name(key), s.place(key));
    let keys_of = ["tls_config", "proxy_url", "endpoint", "brokers", "sasl", "site", "to"];
    let places = keys_of.map(|key| (key, place(key)));
    s.finish(c);
    let (name, protocol, urls) = (name?, protocol?, urls?);
    own_tls(&mut settings, &protocol, &urls, ground);
    let http = HttpOptions { urls, settings, timeout, tenant };
    let d = Destination { name, protocol, selection, limits, http, with_external_labels, external_rules: 0 };
    if let Some((key, why)) = d.objection() {
        let (field, at) = places.iter().find(|(k, _)| *k == key).map(|(_, p)| p.clone()).unwrap_or_default();
        c.problem_at(&field, at, why);
    }
    carried(&d, &chosen, (&keys.0, keys.1), c);
    Some(d)
}

fn name(s: &mut Section<'_>, c: &mut Checker<'_>) -> Option<String> {
    let Some(name) = s.text("name", c) else {
        s.wrong(
            c,
            "needs a name: what it is counted under, and finds its place in the queue by after a restart",
        );
        return None;
    };
    if name.len() > 100 {
        s.problem("name", c, format!("has {} bytes, at most 100 are taken", name.len()));
    }
    Some(name)
}

/// The version of remote write that a `protobuf_message` stands for.
pub(crate) fn version(s: &mut Section<'_>, c: &mut Checker<'_>) -> Option<WriteVersion> {
    match s.text("protobuf_message", c)?.as_str() {
        "prometheus.WriteRequest" => Some(WriteVersion::V1),
        "io.prometheus.write.v2.Request" => Some(WriteVersion::V2),
        other => {
            let known = "prometheus.WriteRequest or io.prometheus.write.v2.Request";
            s.problem("protobuf_message", c, format!("{other:?} is not known, use {known}"));
            None
        }
    }
}

/// Where it is, in words at least.
fn addresses(protocol: &Option<Protocol>, s: &mut Section<'_>, c: &mut Checker<'_>) -> Option<Vec<String>> {
    match protocol {
        Some(Protocol::Kafka(k)) => Some(k.connection.brokers.clone()),
        Some(Protocol::File(f)) => Some(vec![f.dir.display().to_string()]),
        // The site says where.
        Some(Protocol::Datadog(_)) if !s.keys().any(|k| k.starts_with("endpoint")) => Some(Vec::new()),
        // What it needs is not known, and that is said.
        None if !s.keys().any(|k| k.starts_with("endpoint")) => None,
        _ => endpoints(s, c),
    }
}

/// `endpoint`, or `endpoints` in order of preference.
fn endpoints(s: &mut Section<'_>, c: &mut Checker<'_>) -> Option<Vec<String>> {
    let (one, several) = (s.text("endpoint", c), s.texts("endpoints", c));
    let urls = match (one, several) {
        (Some(_), Some(_)) => {
            s.problem("endpoints", c, "excludes endpoint; name all in endpoints, the preferred one first");
            return None;
        }
        (Some(one), None) => vec![one],
        (None, Some(all)) if !all.is_empty() => all,
        _ => {
            s.wrong(c, "needs endpoint, for example https://hub:4317, or endpoints");
            return None;
        }
    };
    let key = if urls.len() > 1 { "endpoints" } else { "endpoint" };
    if urls.len() > MAX_ADDRESSES {
        s.problem("endpoints", c, format!("has {} addresses, at most {MAX_ADDRESSES} are taken", urls.len()));
    }
    let before = |i: usize, url: &String| urls.iter().take(i).any(|u| u == url);
    if let Some((_, url)) = urls.iter().enumerate().find(|(i, url)| before(*i, url)) {
        s.problem("endpoints", c, format!("names {url:?} twice"));
    }
    let mut good = true;
    for url in &urls {
        let parsed =
            url::Url::parse(url).ok().filter(|u| u.has_host() && matches!(u.scheme(), "http" | "https"));
        match parsed {
            None => s.problem(key, c, format!("{url:?} is not http://host:port or https://host:port")),
            Some(u) if !u.username().is_empty() || u.password().is_some() => {
                s.problem(key, c, "holds a user or a password; give them as basic_auth");
            }
            Some(_) => continue,
        }
        good = false;
    }
    good.then_some(urls)
}

/// What is selected, and the signals that were named.
fn selection(s: &mut Section<'_>, c: &mut Checker<'_>) -> (Selection, Vec<Signal>) {
    let mut signals = Vec::new();
    for name in s.texts("signals", c).unwrap_or_default() {
        match Signal::KNOWN.into_iter().find(|k| k.as_str() == name) {
            Some(signal) => signals.push(signal),
            None => s.problem("signals", c, format!("{name:?} is not known, use metrics, logs or traces")),
        }
    }
    let mut tenants = Vec::new();
    for name in s.texts("tenants", c).unwrap_or_default() {
        match TenantId::new(&name) {
            Ok(tenant) => tenants.push(tenant),
            Err(e) => s.problem("tenants", c, e.to_string()),
        }
    }
    let selection = Selection {
        tenants,
        signals: signals.clone(),
        write_relabel: rules(s, "write_relabel_configs", Names::Utf8, c),
        resource_relabel: rules(s, "resource_relabel_configs", Names::Utf8, c),
        critical: critical(s, c),
        keep: Keep {
            exemplars: s.flag("send_exemplars", c).unwrap_or(true),
            histograms: s.flag("send_native_histograms", c).unwrap_or(true),
            metadata: s.flag("send_metadata", c).unwrap_or(true),
        },
    };
    (selection, signals)
}

/// Selectors of the series that go before everything else.
fn critical(s: &mut Section<'_>, c: &mut Checker<'_>) -> Vec<Vec<Matcher>> {
    let mut out = Vec::new();
    for text in s.texts("critical", c).unwrap_or_default() {
        match promql::parse_selector(&text) {
            Ok(selector) => out.push(selector.matchers),
            Err(e) => s.problem("critical", c, format!("{text:?} is not a series selector: {e}")),
        }
    }
    out
}

fn limits(s: &mut Section<'_>, ground: &Ground<'_>, c: &mut Checker<'_>) -> Limits {
    let d = Limits { max_backlog_bytes: ground.backlog_bytes, ..Limits::default() };
    let Some(mut q) = s.section("queue", c) else { return d };
    let mut bytes = |key: &str, c: &mut Checker<'_>| {
        let found = q.amount(key, c).map(|a| a.of(ground.disk_bytes));
        if found == Some(0) {
            q.problem(key, c, "must be more than zero");
        }
        found
    };
    let max_backlog_bytes = bytes("max_bytes", c).unwrap_or(d.max_backlog_bytes);
    let batch_bytes = bytes("max_batch_bytes", c).map(|b| usize::try_from(b).unwrap_or(usize::MAX));
    let items = q.count("max_batch_items", c);
    if items == Some(0) {
        q.problem("max_batch_items", c, "must be more than zero");
    }
    let (min, max) = (q.duration("min_backoff", c), q.duration("max_backoff", c));
    let mut limits = d;
    limits.max_backlog_bytes = max_backlog_bytes;
    limits.max_batch_items =
        items.map_or(limits.max_batch_items, |n| usize::try_from(n).unwrap_or(usize::MAX));
    limits.max_batch_bytes = batch_bytes.unwrap_or(limits.max_batch_bytes);
    limits.min_backoff = min.unwrap_or(limits.min_backoff);
    limits.max_backoff = max.unwrap_or(limits.max_backoff);
    if limits.min_backoff.is_zero() {
        q.problem("min_backoff", c, "must be more than zero");
    }
    if limits.max_backoff < limits.min_backoff {
        q.problem("max_backoff", c, "must not be less than min_backoff");
    }
    q.finish(c);
    limits
}

/// Which tenant the other side is told: that of the items, another, none.
fn tenant(s: &mut Section<'_>, c: &mut Checker<'_>) -> TenantHeader {
    let (fixed, own) = (s.text("tenant", c), s.flag("send_tenant", c));
    if fixed.is_some() && own.is_some() {
        s.problem("tenant", c, "excludes send_tenant; it is sent whatever the tenant of the items is");
    }
    if let Some(e) = fixed.as_ref().and_then(|t| TenantId::new(t).err()) {
        s.problem("tenant", c, e.to_string());
    }
    match (fixed, own) {
        (Some(name), _) => TenantHeader::Fixed(name),
        (None, Some(false)) => TenantHeader::Off,
        (None, _) => TenantHeader::Own,
    }
}

/// Another node is reached with this node's own certificate, where nothing else is said.
fn own_tls(settings: &mut Settings, protocol: &Protocol, urls: &[String], ground: &Ground<'_>) {
    let secure = urls.iter().any(|u| u.starts_with("https://"));
    if *protocol != Protocol::OtlpGrpc || settings.tls != Tls::default() || !secure {
        return;
    }
    if let Some(own) = ground.tls {
        let file = |path: &std::path::PathBuf| Some(Secret::File(path.clone()));
        settings.tls =
            Tls { ca: file(&own.ca), cert: file(&own.cert), key: file(&own.key), ..Tls::default() };
    }
}

/// Every signal that was named can be sent, and rules are for signals that are.
fn carried(d: &Destination, chosen: &[Signal], at: (&str, At), c: &mut Checker<'_>) {
    // Files take all there is, and opening them claims their directory.
    if matches!(d.protocol, Protocol::File(_)) {
        return;
    }
    let Ok(opened) = d.open(base::Clock::system()) else { return };
    for signal in chosen.iter().filter(|s| !opened.takes(s)) {
        let carries: Vec<&str> =
            Signal::KNOWN.iter().filter(|s| opened.takes(s)).map(Signal::as_str).collect();
        let message = format!(
            "{} cannot be sent by {}, it carries {}",
            signal.as_str(),
            d.protocol.as_str(),
            carries.join(", ")
        );
        c.problem_at(at.0, at.1, message);
    }
}
