//! From configured addresses to targets: labels that describe a target, relabelling, the URL.

use std::time::Duration;

use model::{Labels, LabelsBuilder};
use transform::relabel::relabel;

use super::{Health, ScrapeConfig, TargetStatus};

/// A target ready to be scraped.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Target {
    /// Before relabelling, as the API shows them.
    pub(super) discovered: Labels,
    /// What every sample of the target gets.
    pub(super) labels: Labels,
    pub(super) url: String,
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
}

pub(super) enum Resolved {
    Active(Target),
    Dropped(Labels),
}

impl Target {
    pub(super) fn status(&self, config: &ScrapeConfig) -> TargetStatus {
        TargetStatus {
            scrape_pool: config.job_name.clone(),
            discovered_labels: self.discovered.clone(),
            labels: self.labels.clone(),
            scrape_url: self.url.clone(),
            health: Health::Unknown,
            last_error: String::new(),
            last_scrape_ms: 0,
            last_scrape_seconds: 0.0,
            interval: self.interval,
            timeout: self.timeout,
        }
    }
}

/// All targets of a job. Of several that come out with the same labels and URL only the first counts.
pub(super) fn resolve_all(config: &ScrapeConfig) -> Vec<Resolved> {
    let mut out: Vec<Resolved> = Vec::new();
    for (address, group) in &config.targets {
        let mut b = LabelsBuilder::default();
        b.set("job", &config.job_name)
            .set("__scheme__", &config.scheme)
            .set("__metrics_path__", &config.metrics_path)
            .set("__scrape_interval__", duration_text(config.interval))
            .set("__scrape_timeout__", duration_text(config.timeout));
        for (name, values) in &config.params {
            if let Some(first) = values.first() {
                b.set(format!("__param_{name}"), first);
            }
        }
        for (name, value) in group {
            b.set(name, value);
        }
        b.set("__address__", address);
        let discovered = b.clone().build();
        let Some(target) = resolve(config, b, &discovered) else {
            out.push(Resolved::Dropped(discovered));
            continue;
        };
        let known = out.iter().any(|r| match r {
            Resolved::Active(t) => t.labels == target.labels && t.url == target.url,
            Resolved::Dropped(_) => false,
        });
        if !known {
            out.push(Resolved::Active(target));
        }
    }
    out
}

/// `None` where relabelling drops the target or leaves it without an address.
fn resolve(config: &ScrapeConfig, b: LabelsBuilder, discovered: &Labels) -> Option<Target> {
    let mut b = relabel(b, &config.relabel)?;
    let address = b.get("__address__")?.to_owned();
    let url = url(config, &b, &address);
    let interval = b.get("__scrape_interval__").and_then(parse_duration).unwrap_or(config.interval);
    let timeout = b.get("__scrape_timeout__").and_then(parse_duration).unwrap_or(config.timeout);
    if b.get("instance").is_none() {
        b.set("instance", &address);
    }
    // What begins with two underscores described the target and is no part of its samples.
    let labels = b.build().filter(|n| !n.starts_with("__"));
    Some(Target { discovered: discovered.clone(), labels, url, interval, timeout: timeout.min(interval) })
}

fn url(config: &ScrapeConfig, b: &LabelsBuilder, address: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let mut any = false;
    let mut add = |name: &str, value: &str| {
        any = true;
        query.append_pair(name, value);
    };
    // Relabelling may have changed, added or removed the first value of each parameter.
    for (n, v) in b.iter().filter(|(_, v)| !v.is_empty()) {
        if let Some(name) = n.strip_prefix("__param_") {
            add(name, v);
            let others = config.params.get(name).into_iter().flat_map(|all| all.iter().skip(1));
            others.for_each(|v| add(name, v));
        }
    }
    let scheme = b.get("__scheme__").unwrap_or("http");
    let path = b.get("__metrics_path__").unwrap_or("/metrics");
    let slash = if path.starts_with('/') { "" } else { "/" };
    let base = format!("{scheme}://{address}{slash}{path}");
    match any {
        true => format!("{base}{}{}", if path.contains('?') { '&' } else { '?' }, query.finish()),
        false => base,
    }
}

/// As Prometheus writes durations in `__scrape_interval__`.
pub(super) fn duration_text(d: Duration) -> String {
    let ms = d.as_millis();
    match ms {
        0 => "0s".to_owned(),
        _ if ms.is_multiple_of(3_600_000) => format!("{}h", ms / 3_600_000),
        _ if ms.is_multiple_of(60_000) => format!("{}m", ms / 60_000),
        _ if ms.is_multiple_of(1000) => format!("{}s", ms / 1000),
        _ => format!("{ms}ms"),
    }
}

/// `1h30m`, `15s`, `500ms`; `None` for anything else and for zero.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut ms: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let n: u64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let units: [(&str, u64); 7] = [
            ("ms", 1),
            ("s", 1000),
            ("m", 60_000),
            ("h", 3_600_000),
            ("d", 86_400_000),
            ("w", 604_800_000),
            ("y", 31_536_000_000),
        ];
        let (unit, factor) = units.iter().find(|(u, _)| rest.starts_with(u))?;
        rest = rest.get(unit.len()..)?;
        ms = ms.checked_add(n.checked_mul(*factor)?)?;
    }
    (ms > 0).then(|| Duration::from_millis(ms))
}
