//! `remote_write`: each entry becomes a destination of forwarding, under Prometheus' keys, defaults and rules. Where the
//! two differ (queues are on the disk here, and nothing is thrown away because a receiver is busy) a notice says so.

use std::time::Duration;

use forward::{
    Limits, Selection,
    destination::{
        http::{HttpOptions, TenantHeader},
        remote_write::WriteVersion,
    },
    selection::Keep,
};
use model::Signal;
use net::{Auth, Secret};
use transform::relabel::Names;

use super::{
    elsewhere::{Remote, one_auth, remote, twice},
    relabel::rules,
    section::Section,
};
use crate::{
    check::Checker,
    forward::{self as own, Destination, Protocol},
};

/// Ways of proving who sends that Prometheus has and this version has not.
const CLOUD_AUTH: [&str; 3] = ["sigv4", "azuread", "google_iam"];
/// Keys of queues in memory.
const MEMORY: [&str; 4] = ["capacity", "max_shards", "min_shards", "batch_send_deadline"];

/// `backlog` is how far a destination may be behind, in bytes.
pub(super) fn check(
    s: &mut Section<'_>,
    names: Names,
    backlog: u64,
    c: &mut Checker<'_>,
) -> Vec<Destination> {
    let (mut out, mut used): (Vec<Destination>, Vec<String>) = Default::default();
    for mut w in s.sections("remote_write", c) {
        let remote = remote(&mut w, c);
        let named = remote.name.is_some();
        twice(&mut used, remote.name.clone(), &w, c);
        let found = entry(&mut w, remote, names, backlog, c);
        w.finish(c);
        let Some(mut d) = found else { continue };
        if !named {
            d.name = unused(&d.name, &out);
        }
        out.push(d);
    }
    out
}

/// None where it cannot be sent to, which was said.
fn entry(
    w: &mut Section<'_>,
    remote: Remote,
    names: Names,
    backlog: u64,
    c: &mut Checker<'_>,
) -> Option<Destination> {
    let cloud: Vec<&str> = CLOUD_AUTH.into_iter().filter(|key| w.keys().any(|k| k == *key)).collect();
    one_auth(w, &remote.client, &CLOUD_AUTH, c);
    let write_relabel = rules(w, "write_relabel_configs", names, c);
    let (exemplars, histograms) = (w.flag("send_exemplars", c), w.flag("send_native_histograms", c));
    for key in ["round_robin_dns", "failed_request_logging"] {
        w.flag(key, c);
    }
    let version = own::version(w, c).unwrap_or_default();
    let limits = w.section("queue_config", c).map(|q| queue(q, c)).unwrap_or_default();
    let metadata = w.section("metadata_config", c).map(|m| metadata(m, c));
    let (mut settings, mut url) = (remote.client.settings, remote.url?);
    settings.headers.extend(remote.headers.into_iter().map(|(n, v)| (n, vec![Secret::Inline(v)])));
    if let Some((bare, auth)) = without_user(&url) {
        url = bare;
        if settings.auth == Auth::None {
            settings.auth = auth;
        }
    }
    if let Some(key) = cloud.first() {
        let at = w.place(key);
        let message = "is not supported by this version; nothing is sent to this remote_write";
        c.notice(&w.name(key), at, message);
        return None;
    }
    // 2.0 always carries both.
    let v2 = version == WriteVersion::V2;
    let keep = Keep {
        exemplars: v2 || exemplars.unwrap_or(false),
        histograms: v2 || histograms.unwrap_or(false),
        metadata: v2 || metadata.unwrap_or(true),
    };
    let http = HttpOptions {
        settings,
        timeout: remote.timeout.unwrap_or(Duration::from_secs(30)),
        tenant: TenantHeader::Off,
        ..HttpOptions::new([url.clone()])
    };
    let d = Destination {
        name: remote.name.unwrap_or_else(|| short(&url)),
        protocol: Protocol::RemoteWrite(version),
        selection: Selection { signals: vec![Signal::METRICS], write_relabel, keep, ..Selection::default() },
        limits: Limits { max_backlog_bytes: backlog, ..limits },
        http,
        with_external_labels: true,
        external_rules: 0,
    };
    // Prometheus takes any URL and never reaches it.
    if let Err(e) = d.open(base::Clock::system()) {
        let at = w.place("url");
        c.notice(&w.name("url"), at, format!("{e}; nothing is sent to this remote_write"));
        return None;
    }
    Some(d)
}

/// Prometheus names entries by a hash of all their keys. This name stays when a key changes, and with it what waits in
/// the queue.
fn short(url: &str) -> String {
    let bare = url.split(['?', '#']).next().unwrap_or(url);
    bare.chars().take(80).collect()
}

fn unused(name: &str, before: &[Destination]) -> String {
    let is_free = |n: &String| before.iter().all(|d| d.name != *n);
    let numbered = (2..).map(|i| format!("{name}#{i}"));
    std::iter::once(name.to_owned()).chain(numbered).find(is_free).unwrap_or_default()
}

/// A URL without its user and password, and these.
fn without_user(url: &str) -> Option<(String, Auth)> {
    let mut parsed = url::Url::parse(url).ok()?;
    let (user, password) = (parsed.username().to_owned(), parsed.password().unwrap_or_default().to_owned());
    if user.is_empty() && password.is_empty() {
        return None;
    }
    parsed.set_username("").ok()?;
    parsed.set_password(None).ok()?;
    let secret = |text: &str| Secret::Inline(percent_decoded(text));
    Some((parsed.into(), Auth::Basic { username: secret(&user), password: secret(&password) }))
}

fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digit = |i: usize| after.get(i).and_then(|b| char::from(*b).to_digit(16));
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                out.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn queue(mut q: Section<'_>, c: &mut Checker<'_>) -> Limits {
    let mut positive = |key: &str, default: i64, c: &mut Checker<'_>| {
        let n = q.integer(key, c);
        if n.is_some_and(|n| n <= 0) {
            q.problem(key, c, "must be more than zero");
        }
        n.unwrap_or(default)
    };
    positive("capacity", 10_000, c);
    let (max, min) = (positive("max_shards", 50, c), positive("min_shards", 1, c));
    let items = positive("max_samples_per_send", 0, c);
    if min > max {
        q.problem("min_shards", c, "must not be more than max_shards");
    }
    let d = Limits {
        min_backoff: Duration::from_millis(30),
        max_backoff: Duration::from_secs(5),
        ..Limits::default()
    };
    let (least, most) = (q.duration("min_backoff", c), q.duration("max_backoff", c));
    let (min_backoff, max_backoff) = (least.unwrap_or(d.min_backoff), most.unwrap_or(d.max_backoff));
    if max_backoff < min_backoff {
        q.problem("max_backoff", c, "must not be less than min_backoff");
    }
    q.duration("batch_send_deadline", c);
    for key in q.keys().filter(|k| MEMORY.contains(k)).collect::<Vec<_>>() {
        let message =
            "does not apply here; the queue is on the disk, and what waits goes with the next request";
        c.notice(&q.name(key), q.place(key), message);
    }
    if q.duration("sample_age_limit", c).is_some_and(|d| !d.is_zero()) {
        let message = "is not supported by this version; samples are sent however old they are";
        c.notice(&q.name("sample_age_limit"), q.place("sample_age_limit"), message);
    }
    if q.flag("retry_on_http_429", c) == Some(false) {
        let message = "does not apply here; what a receiver has no time for is sent again, as it asks for";
        c.notice(&q.name("retry_on_http_429"), q.place("retry_on_http_429"), message);
    }
    q.finish(c);
    let max_batch_items = usize::try_from(items).ok().filter(|n| *n > 0).unwrap_or(d.max_batch_items);
    // No shorter than what a request that is turned down at once takes.
    Limits { max_batch_items, min_backoff: min_backoff.max(Duration::from_millis(1)), max_backoff, ..d }
}

/// Whether descriptions of metrics are sent; here they go along with the samples.
fn metadata(mut m: Section<'_>, c: &mut Checker<'_>) -> bool {
    let send = m.flag("send", c).unwrap_or(true);
    m.duration("send_interval", c);
    m.integer("max_samples_per_send", c);
    m.finish(c);
    send
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_gives_up_its_user_and_password() {
        let (url, auth) = without_user("https://me:p%40ss%zz@host:9/x?y=1").unwrap();
        assert_eq!(url, "https://host:9/x?y=1");
        let Auth::Basic { username, password } = auth else { panic!() };
        assert_eq!((username.reveal().unwrap(), password.reveal().unwrap()), ("me".into(), "p@ss%zz".into()));
        assert!(without_user("https://host:9/x").is_none());
    }
}
