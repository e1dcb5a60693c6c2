//! Sections that other parts of Prometheus read: checked whole, and named where this version does nothing with
//! them.

use std::time::Duration;

use agent::scrape::Names;
use ingest::{NameStrategy, Naming, OtlpMetrics, Promote};

use super::{
    cloud::parses,
    discovery::{check_addresses, discoveries},
    http::{HttpClient, http, is_reserved, tls_key},
    relabel::rules,
    section::Section,
};
use crate::{check::Checker, otlp::Otlp};

/// Takes every section that is not about scraping out of the file; answers with the one that is served, `otlp`.
pub(super) fn check(s: &mut Section<'_>, names: Names, c: &mut Checker<'_>) -> Option<Otlp> {
    rule_files(s, c);
    alerting(s, names, c);
    remote_read(s, c);
    storage(s, c);
    tracing(s, c);
    let otlp = otlp(s, names, c);
    // Settings of the Go runtime have no meaning here.
    if let Some(mut r) = s.section("runtime", c) {
        r.integer("gogc", c);
        r.finish(c);
    }
    otlp
}

/// Names a section that is there.
fn name(s: &Section<'_>, key: &str, c: &mut Checker<'_>, message: &str) {
    let at = s.place(key);
    if s.keys().any(|k| k == key) {
        c.notice(&s.name(key), at, message);
    }
}

fn rule_files(s: &mut Section<'_>, c: &mut Checker<'_>) {
    let files = s.texts("rule_files", c).unwrap_or_default();
    for pattern in files.iter().filter(|p| !is_pattern(p)) {
        s.problem("rule_files", c, format!("{pattern:?} may have at most one *, in its last element"));
    }
    if !files.is_empty() {
        name(s, "rule_files", c, "is not supported by this version; rules are not evaluated");
    }
}

/// At most one wildcard, in the last element of the path.
pub(super) fn is_pattern(pattern: &str) -> bool {
    pattern.split_once('*').is_none_or(|(_, after)| !after.contains(['/', '*']))
}

fn alerting(s: &mut Section<'_>, names: Names, c: &mut Checker<'_>) {
    name(s, "alerting", c, "is not supported by this version; there are no rules, so no alerts are sent");
    let Some(mut a) = s.section("alerting", c) else { return };
    rules(&mut a, "alert_relabel_configs", names, c);
    for mut m in a.sections("alertmanagers", c) {
        let client = http(&mut m, c);
        one_auth(&mut m, &client, &["sigv4"], c);
        for key in ["scheme", "path_prefix"] {
            m.text(key, c);
        }
        m.duration("timeout", c);
        if m.text("api_version", c).is_some_and(|v| v != "v2") {
            m.problem("api_version", c, "must be v2");
        }
        let found = discoveries(&mut m, c);
        if rules(&mut m, "relabel_configs", names, c).is_empty() {
            check_addresses(&m, &found, c);
        }
        rules(&mut m, "alert_relabel_configs", names, c);
        m.finish(c);
    }
    a.finish(c);
}

/// Further ways of proving who asks exclude the usual ones.
pub(super) fn one_auth(s: &mut Section<'_>, client: &HttpClient, more: &[&str], c: &mut Checker<'_>) {
    let usual = client.basic || client.authorization || client.oauth2 || client.bearer;
    let given = more.iter().filter(|key| s.section(key, c).is_some()).count();
    if given + usize::from(usual) > 1 {
        let more = more.join(", ");
        s.wrong(c, format!("takes at most one of basic_auth, authorization, oauth2, {more}"));
    }
}

fn headers(s: &mut Section<'_>, instead: &str, c: &mut Checker<'_>) -> Vec<(String, String)> {
    let all = s.pairs("headers", c);
    for (header, _, at) in &all {
        let at = *at;
        if header.eq_ignore_ascii_case("authorization") {
            c.problem_at(&s.name("headers"), at, format!("authorization {instead}"));
        } else if is_reserved(header) {
            c.problem_at(
                &s.name("headers"),
                at,
                format!("{header} is a reserved header and may not be given"),
            );
        }
    }
    all.into_iter().map(|(name, value, _)| (name, value)).collect()
}

/// The keys that both directions of remote storage share.
pub(super) struct Remote {
    /// None where it was not valid.
    pub(super) url: Option<String>,
    pub(super) timeout: Option<Duration>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) client: HttpClient,
    pub(super) name: Option<String>,
}

pub(super) fn remote(s: &mut Section<'_>, c: &mut Checker<'_>) -> Remote {
    let url = s.written_text("url", c);
    match &url {
        None => s.wrong(c, "needs a url"),
        Some(url) if !parses(url) => s.problem("url", c, format!("{url:?} is not a URL")),
        Some(_) => {}
    }
    let timeout = s.duration("remote_timeout", c).filter(|t| !t.is_zero());
    let headers = headers(s, "is given by basic_auth, authorization or oauth2", c);
    Remote { url: url.filter(|u| parses(u)), timeout, headers, client: http(s, c), name: s.text("name", c) }
}

/// Names that are used twice.
pub(super) fn twice(names: &mut Vec<String>, name: Option<String>, s: &Section<'_>, c: &mut Checker<'_>) {
    let Some(name) = name else { return };
    if names.contains(&name) {
        s.problem("name", c, format!("{name:?} is used by another entry; give each a name of its own"));
    }
    names.push(name);
}

fn remote_read(s: &mut Section<'_>, c: &mut Checker<'_>) {
    name(s, "remote_read", c, "is not supported by this version; queries read this node only");
    let mut used = Vec::new();
    for mut r in s.sections("remote_read", c) {
        let own_name = remote(&mut r, c).name;
        twice(&mut used, own_name, &r, c);
        r.count("chunked_read_limit", c);
        r.flag("read_recent", c);
        r.flag("filter_external_labels", c);
        r.pairs("required_matchers", c);
        r.finish(c);
    }
}

fn storage(s: &mut Section<'_>, c: &mut Checker<'_>) {
    name(s, "storage", c, "does not apply here; use retention and ingest.out_of_order_window of this node");
    let Some(mut st) = s.section("storage", c) else { return };
    if let Some(mut t) = st.section("tsdb", c) {
        t.duration("out_of_order_time_window", c);
        t.number("stale_series_compaction_threshold", c);
        if let Some(mut e) = t.section("chunk_encoding", c) {
            if e.text("floats", c).is_some_and(|f| f != "xor" && f != "xor2") {
                e.problem("floats", c, "must be xor or xor2");
            }
            e.finish(c);
        }
        if let Some(mut r) = t.section("retention", c) {
            r.duration("time", c);
            r.size("size", c);
            if r.number("percentage", c).is_some_and(|p| !(0.0..=100.0).contains(&p)) {
                r.problem("percentage", c, "must lie between 0 and 100");
            }
            r.finish(c);
        }
        t.finish(c);
    }
    if let Some(mut e) = st.section("exemplars", c) {
        e.integer("max_exemplars", c);
        e.finish(c);
    }
    st.finish(c);
}

fn tracing(s: &mut Section<'_>, c: &mut Checker<'_>) {
    name(s, "tracing", c, "does not apply here; the node keeps its own traces");
    let Some(mut t) = s.section("tracing", c) else { return };
    if t.text("client_type", c).is_some_and(|k| k != "http" && k != "grpc") {
        t.problem("client_type", c, "must be http or grpc");
    }
    if t.text("endpoint", c).is_none() {
        t.wrong(c, "needs an endpoint");
    }
    t.number("sampling_fraction", c);
    t.flag("insecure", c);
    tls_key(&mut t, c);
    headers(&mut t, "is not supported by Prometheus here", c);
    if t.text("compression", c).is_some_and(|k| k != "gzip") {
        t.problem("compression", c, "must be gzip");
    }
    t.duration("timeout", c);
    t.finish(c);
}

fn otlp(s: &mut Section<'_>, names: Names, c: &mut Checker<'_>) -> Option<Otlp> {
    let mut o = s.section("otlp", c)?;
    let named = o.text("translation_strategy", c);
    let strategy = named.as_deref().map(|n| NameStrategy::parse(n).ok_or(n));
    match strategy {
        Some(Ok(NameStrategy::NoTranslation | NameStrategy::NoUtf8EscapingWithSuffixes))
            if names == Names::Legacy =>
        {
            o.problem("translation_strategy", c, "excludes the legacy metric_name_validation_scheme");
        }
        Some(Err(other)) => o.problem("translation_strategy", c, format!("{other:?} is not known")),
        Some(Ok(_)) | None => {}
    }
    let all = o.flag("promote_all_resource_attributes", c).unwrap_or(false);
    let mut attributes = |key: &str, c: &mut Checker<'_>| {
        let list = o.texts(key, c).unwrap_or_default();
        let mut seen: Vec<&str> = Vec::new();
        for a in list.iter().map(|a| a.trim()) {
            if a.is_empty() || seen.contains(&a) {
                o.problem(key, c, if a.is_empty() { "has an empty entry" } else { "has an entry twice" });
            }
            seen.push(a);
        }
        list
    };
    let promoted = attributes("promote_resource_attributes", c);
    let ignored = attributes("ignore_resource_attributes", c);
    if all && !promoted.is_empty() {
        o.problem("promote_resource_attributes", c, "excludes promote_all_resource_attributes");
    }
    if !all && !ignored.is_empty() {
        o.problem("ignore_resource_attributes", c, "needs promote_all_resource_attributes");
    }
    let mut flag = |key: &str, default: bool| o.flag(key, c).unwrap_or(default);
    let defaults = OtlpMetrics::default();
    let metrics = OtlpMetrics {
        keep_identifying: flag("keep_identifying_resource_attributes", false),
        histograms_to_custom: flag("convert_histograms_to_nhcb", false),
        promote_scope: flag("promote_scope_metadata", false),
        naming: Naming {
            strategy: strategy.and_then(Result::ok).unwrap_or_default(),
            label_underscore_prefix: flag("label_name_underscore_sanitization", true),
            label_multiple_underscores: flag("label_name_preserve_multiple_underscores", true),
        },
        promote: if all { Promote::AllBut(ignored) } else { Promote::Only(promoted) },
        ..defaults
    };
    o.finish(c);
    Some(Otlp { metrics, ..Otlp::default() })
}
