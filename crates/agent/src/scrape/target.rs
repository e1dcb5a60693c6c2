//! From a discovered target to one that can be scraped: labels that describe it, relabelling, the URL.

use std::time::Duration;

use model::{Labels, LabelsBuilder};
use transform::relabel::relabel;

use super::{
    ScrapeConfig,
    duration::{duration_text, parse_duration},
};
use crate::discovery::{ADDRESS, Group};

const SCHEME: &str = "__scheme__";
const METRICS_PATH: &str = "__metrics_path__";
const INTERVAL: &str = "__scrape_interval__";
const TIMEOUT: &str = "__scrape_timeout__";
const PARAM: &str = "__param_";
const META: &str = "__meta_";
const UNIX_SOCKET: &str = "__unix_socket__";
const NATIVE: &str = "__scrape_native_histograms__";
const ALWAYS_CLASSIC: &str = "__always_scrape_classic_histograms__";
const CLASSIC_TO_CUSTOM: &str = "__convert_classic_histograms_to_nhcb__";

/// A target ready to be scraped.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Target {
    /// Before relabelling, as the API shows them.
    pub(super) discovered: Labels,
    /// What every sample of the target gets.
    pub(super) labels: Labels,
    pub(super) url: String,
    pub(super) unix_socket: Option<String>,
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
    pub(super) native_histograms: bool,
    pub(super) always_classic: bool,
    pub(super) classic_to_custom: bool,
    /// Tells targets of a job apart: all labels left after relabelling, and the URL.
    pub(super) key: u64,
}

pub(super) enum Resolved {
    Active(Box<Target>),
    /// Relabelling dropped it; these are its labels before.
    Dropped(Labels),
}

/// Resolves one target of a group. The error says why it cannot be scraped.
pub(super) fn resolve(config: &ScrapeConfig, group: &Group, target: &Labels) -> Result<Resolved, String> {
    let b = describe(config, group, target);
    let discovered = b.clone().build();
    let Some(b) = relabel(b, &config.relabel) else { return Ok(Resolved::Dropped(discovered)) };
    let unix_socket = b.get(UNIX_SOCKET).map(str::to_owned);
    // With a socket the host in the URL is only what the target reads.
    let local = unix_socket.as_ref().map(|_| "localhost");
    let address = b.get(ADDRESS).or(local).ok_or("no address")?.to_owned();
    if address.contains('/') {
        return Err(format!("{address:?} is not a valid hostname"));
    }
    let duration = |name: &str, what: &str| match parse_duration(b.get(name).unwrap_or_default()) {
        Err(e) => Err(format!("error parsing {what}: {e}")),
        Ok(Duration::ZERO) => Err(format!("{what} cannot be 0")),
        Ok(d) => Ok(d),
    };
    let (interval, timeout) = (duration(INTERVAL, "scrape interval")?, duration(TIMEOUT, "scrape timeout")?);
    if timeout > interval {
        let (t, i) = (duration_text(timeout), duration_text(interval));
        return Err(format!("scrape timeout cannot be greater than scrape interval ({t:?} > {i:?})"));
    }
    let switch = |name: &str| match b.get(name) {
        None => Ok(None),
        Some("1" | "t" | "T" | "TRUE" | "true" | "True") => Ok(Some(true)),
        Some("0" | "f" | "F" | "FALSE" | "false" | "False") => Ok(Some(false)),
        Some(other) => Err(format!("error parsing {name}: {other:?} is neither true nor false")),
    };
    let histograms = &config.histograms;
    let native_histograms = switch(NATIVE)?.unwrap_or(histograms.native);
    let always_classic = switch(ALWAYS_CLASSIC)?.unwrap_or(histograms.always_classic);
    let classic_to_custom = switch(CLASSIC_TO_CUSTOM)?.unwrap_or(histograms.classic_to_custom);
    let url = url(config, &b, &address);
    let mut b = b;
    if b.get("instance").is_none() {
        b.set("instance", &address);
    }
    let all = b.build().filter(|n| !n.starts_with(META));
    let key = all.stable_hash() ^ xxhash_rust::xxh3::xxh3_64(url.as_bytes()).rotate_left(17);
    // What begins with two underscores described the target and is no part of its samples.
    let labels = all.filter(|n| !n.starts_with("__"));
    Ok(Resolved::Active(Box::new(Target {
        discovered,
        labels,
        url,
        unix_socket,
        interval,
        timeout,
        native_histograms,
        always_classic,
        classic_to_custom,
        key,
    })))
}

/// The labels of a target before relabelling: its own, its group's, and what the job says where they do not.
fn describe(config: &ScrapeConfig, group: &Group, target: &Labels) -> LabelsBuilder {
    let mut b = target.to_builder();
    let mut fill = |name: &str, value: &str| {
        if b.get(name).is_none() {
            b.set(name, value);
        }
    };
    group.labels.iter().for_each(|(n, v)| fill(n, v));
    fill("job", &config.job_name);
    fill(INTERVAL, &duration_text(config.interval));
    fill(TIMEOUT, &duration_text(config.timeout));
    fill(METRICS_PATH, &config.metrics_path);
    fill(SCHEME, &config.scheme);
    let text = |b: bool| if b { "true" } else { "false" };
    fill(CLASSIC_TO_CUSTOM, text(config.histograms.classic_to_custom));
    fill(ALWAYS_CLASSIC, text(config.histograms.always_classic));
    fill(NATIVE, text(config.histograms.native));
    for (name, values) in &config.params {
        if let Some(first) = values.first() {
            fill(&format!("{PARAM}{name}"), first);
        }
    }
    b
}

fn url(config: &ScrapeConfig, b: &LabelsBuilder, address: &str) -> String {
    let mut params = config.params.clone();
    // Relabelling may have changed or added the first value of each parameter.
    for (name, value) in b.iter().filter_map(|(n, v)| Some((n.strip_prefix(PARAM)?, v))) {
        let values = params.entry(name.to_owned()).or_default();
        match values.first_mut() {
            Some(first) => value.clone_into(first),
            None if !value.is_empty() => values.push(value.to_owned()),
            None => {}
        }
    }
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, values) in &params {
        for value in values {
            query.append_pair(name, value);
        }
    }
    let query = query.finish();
    let scheme = b.get(SCHEME).unwrap_or("http");
    let path = escaped_path(b.get(METRICS_PATH).unwrap_or_default());
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{scheme}://{address}{path}{mark}{query}")
}

/// A path as it stands in a URL: a question mark in it is part of the path.
fn escaped_path(path: &str) -> String {
    let mut out = String::with_capacity(path.len() + 1);
    if !path.is_empty() && !path.starts_with('/') {
        out.push('/');
    }
    for byte in path.bytes() {
        match byte {
            b if b.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@".contains(&b) => out.push(char::from(b)),
            b => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}
