//! `scrape_configs`: one job.

use std::collections::BTreeMap;

use agent::scrape::{Escaping, Histograms, Limits, Names, Protocol, ScrapeConfig};

use super::{
    discovery::{check_addresses, discoveries},
    global::{self, Global, set_duration},
    http::http,
    relabel::rules,
    section::Section,
};
use crate::check::Checker;

pub(super) fn check(mut s: Section<'_>, g: &Global, c: &mut Checker<'_>) -> ScrapeConfig {
    let job_name = s.text("job_name", c).unwrap_or_default();
    if job_name.is_empty() {
        s.problem("job_name", c, "is missing or empty; every job needs a name");
    }
    let interval = set_duration(&mut s, "scrape_interval", c).unwrap_or(g.interval);
    let timeout = set_duration(&mut s, "scrape_timeout", c);
    if timeout.is_some_and(|t| t > interval) {
        s.problem("scrape_timeout", c, "must not be longer than scrape_interval");
    }
    let scheme = s.text("scheme", c).unwrap_or_else(|| "http".to_owned());
    if scheme != "http" && scheme != "https" {
        s.problem("scheme", c, format!("{scheme:?} is not known, use http or https"));
    }
    let (names, escaping) = names_of(&mut s, g, c);
    let histograms = histograms(&mut s, g, c);
    let protocols = global::protocols(&mut s, c).or_else(|| g.protocols.clone());
    let usual = || match histograms.native {
        true => Protocol::PROTO_FIRST.to_vec(),
        false => Protocol::TEXT_FIRST.to_vec(),
    };
    let fallback_protocol = fallback(&mut s, c);
    let discovery = discoveries(&mut s, c);
    let relabel = rules(&mut s, "relabel_configs", names, c);
    if relabel.is_empty() {
        check_addresses(&s, &discovery, c);
    }
    let failure_log = s.text("scrape_failure_log_file", c).map(|f| c.resolve(&f));
    let params: BTreeMap<String, Vec<String>> = s.lists("params", c).into_iter().collect();
    let job = ScrapeConfig {
        job_name,
        interval,
        timeout: timeout.unwrap_or(g.timeout.min(interval)),
        metrics_path: s.text("metrics_path", c).unwrap_or_else(|| "/metrics".to_owned()),
        scheme,
        params,
        honor_labels: s.flag("honor_labels", c).unwrap_or(false),
        honor_timestamps: s.flag("honor_timestamps", c).unwrap_or(true),
        track_timestamps_staleness: s.flag("track_timestamps_staleness", c).unwrap_or(false),
        protocols: protocols.unwrap_or_else(usual),
        fallback_protocol,
        compression: s.flag("enable_compression", c).unwrap_or(true),
        histograms,
        limits: limits(&mut s, g, c),
        names,
        escaping,
        extra_metrics: s.flag("extra_scrape_metrics", c).or(g.extra_metrics).unwrap_or(false),
        failure_log: failure_log.or_else(|| g.failure_log.clone()),
        discovery,
        relabel,
        metric_relabel: rules(&mut s, "metric_relabel_configs", names, c),
        http: http(&mut s, c).settings,
    };
    s.finish(c);
    job
}

fn limits(s: &mut Section<'_>, g: &Global, c: &mut Checker<'_>) -> Limits {
    let own = global::limits(s, c);
    let or = |own: u64, global: u64| if own == 0 { global } else { own };
    Limits {
        body_size_bytes: or(own.body_size, g.limits.body_size),
        samples: or(own.samples, g.limits.samples),
        targets: or(own.targets, g.limits.targets),
        labels: or(own.labels, g.limits.labels),
        label_name_bytes: or(own.label_name, g.limits.label_name),
        label_value_bytes: or(own.label_value, g.limits.label_value),
        keep_dropped: or(own.keep_dropped, g.limits.keep_dropped),
    }
}

fn histograms(s: &mut Section<'_>, g: &Global, c: &mut Checker<'_>) -> Histograms {
    let mut flag = |key: &str, global: Option<bool>| s.flag(key, c).or(global).unwrap_or(false);
    Histograms {
        native: flag("scrape_native_histograms", g.native),
        always_classic: flag("always_scrape_classic_histograms", g.always_classic),
        classic_to_custom: flag("convert_classic_histograms_to_nhcb", g.classic_to_custom),
        bucket_limit: s.count("native_histogram_bucket_limit", c).unwrap_or(0),
        min_bucket_factor: s.number("native_histogram_min_bucket_factor", c).unwrap_or(0.0),
    }
}

/// Which names are taken and how others are asked for. A job that chooses classic names only does not inherit
/// that names are left as they are.
fn names_of(s: &mut Section<'_>, g: &Global, c: &mut Checker<'_>) -> (Names, Escaping) {
    let fitting = |names| match names {
        Names::Utf8 => Escaping::AllowUtf8,
        Names::Legacy => Escaping::Underscores,
    };
    let (own, own_escaping) = (global::names(s, c), global::escaping(s, c));
    let names = own.unwrap_or(g.names);
    let escaping = own_escaping.unwrap_or_else(|| match own {
        None => g.escaping.unwrap_or(fitting(g.names)),
        Some(names) => fitting(names),
    });
    if escaping == Escaping::AllowUtf8 && names == Names::Legacy {
        let key = if own_escaping.is_some() {
            "metric_name_escaping_scheme"
        } else {
            "metric_name_validation_scheme"
        };
        s.problem(key, c, "allow-utf-8 excludes the legacy metric_name_validation_scheme");
    }
    (names, escaping)
}

fn fallback(s: &mut Section<'_>, c: &mut Checker<'_>) -> Option<Protocol> {
    let name = s.text("fallback_scrape_protocol", c)?;
    match global::protocol(&name) {
        Ok(p) => Some(p),
        Err(message) => {
            s.problem("fallback_scrape_protocol", c, message);
            None
        }
    }
}
