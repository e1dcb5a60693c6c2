//! The discoveries of a job: those that run here, and those that are only checked and named.

use std::time::Duration;

use agent::discovery::{Discovery, DnsDiscovery, FileDiscovery, Group, HttpDiscovery};
use model::Labels;
use net::dns::Kind;

use super::{cloud, http::http, section::Section};
use crate::check::Checker;

/// All discoveries under a job or an Alertmanager.
pub(super) fn discoveries(s: &mut Section<'_>, c: &mut Checker<'_>) -> Vec<Discovery> {
    let mut out = Vec::new();
    let groups: Vec<Group> = s.sections("static_configs", c).into_iter().map(|g| group(g, c)).collect();
    if !groups.is_empty() {
        out.push(Discovery::Static(groups));
    }
    for f in s.sections("file_sd_configs", c) {
        out.push(Discovery::File(file(f, c)));
    }
    for h in s.sections("http_sd_configs", c) {
        out.push(Discovery::Http(Box::new(http_sd(h, c))));
    }
    for d in s.sections("dns_sd_configs", c) {
        out.push(Discovery::Dns(dns(d, c)));
    }
    cloud::check(s, c);
    out
}

/// Addresses with a path are a usual mistake; with relabelling they may be meant.
pub(super) fn check_addresses(s: &Section<'_>, found: &[Discovery], c: &mut Checker<'_>) {
    for d in found {
        let Discovery::Static(groups) = d else { continue };
        for target in groups.iter().flat_map(|g| &g.targets) {
            let address = target.value(agent::discovery::ADDRESS);
            if address.contains('/') {
                s.problem(
                    "static_configs",
                    c,
                    format!("{address:?} is not a valid hostname, write host:port"),
                );
            }
        }
    }
}

fn group(mut g: Section<'_>, c: &mut Checker<'_>) -> Group {
    let targets = g.texts("targets", c).unwrap_or_default();
    let labels = g.pairs("labels", c);
    for (_, _, at) in labels.iter().filter(|(n, _, _)| n.is_empty()) {
        c.problem_at(&g.name("labels"), *at, "a label needs a name");
    }
    g.finish(c);
    Group::of(targets, Labels::from_pairs(labels.into_iter().map(|(n, v, _)| (n, v))))
}

fn file(mut f: Section<'_>, c: &mut Checker<'_>) -> FileDiscovery {
    let files = f.texts("files", c).unwrap_or_default();
    if files.is_empty() {
        f.wrong(c, "must name at least one file");
    }
    for name in files.iter().filter(|n| !is_file_pattern(n)) {
        let message = format!(
            "{name:?} must end in .json, .yml or .yaml, with at most one * and that in the last element"
        );
        f.problem("files", c, message);
    }
    let refresh = refresh(&mut f, Duration::from_secs(300), c);
    f.finish(c);
    FileDiscovery { files: files.iter().map(|p| c.resolve(p)).collect(), refresh }
}

fn is_file_pattern(name: &str) -> bool {
    let Some((stem, ending)) = name.rsplit_once('.') else { return false };
    let known = ["json", "yml", "yaml", "JSON", "YML", "YAML"].contains(&ending);
    known && stem.split_once('*').is_none_or(|(_, after)| !after.contains(['/', '*']))
}

fn http_sd(mut h: Section<'_>, c: &mut Checker<'_>) -> HttpDiscovery {
    let url = h.text("url", c);
    match &url {
        None => h.wrong(c, "needs a url"),
        Some(url) => check_http_url(&h, "url", url, c),
    }
    let refresh = refresh(&mut h, Duration::from_secs(60), c);
    let http = http(&mut h, c).settings;
    h.finish(c);
    HttpDiscovery { url: url.unwrap_or_default(), refresh, http }
}

/// Scheme and host must be there.
pub(super) fn check_http_url(s: &Section<'_>, key: &str, text: &str, c: &mut Checker<'_>) {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    if scheme != "http" && scheme != "https" {
        s.problem(key, c, format!("{text:?} must begin with http:// or https://"));
    } else if rest.is_empty() || rest.starts_with(['/', '?', '#', ':']) || url::Url::parse(text).is_err() {
        s.problem(key, c, format!("{text:?} has no host"));
    }
}

fn dns(mut d: Section<'_>, c: &mut Checker<'_>) -> DnsDiscovery {
    let names = d.texts("names", c).unwrap_or_default();
    if names.is_empty() {
        d.wrong(c, "must have at least one name");
    }
    let kind_text = d.text("type", c).unwrap_or_else(|| "SRV".to_owned());
    let kind = match kind_text.to_ascii_uppercase().as_str() {
        "SRV" => Kind::Srv,
        "A" => Kind::A,
        "AAAA" => Kind::Aaaa,
        "MX" => Kind::Mx,
        "NS" => Kind::Ns,
        _ => {
            d.problem("type", c, format!("{kind_text:?} is not known, use SRV, A, AAAA, MX or NS"));
            Kind::Srv
        }
    };
    let port = d.count("port", c).unwrap_or(0);
    if kind != Kind::Srv && port == 0 {
        d.wrong(c, "needs a port for every type but SRV");
    }
    let port = u16::try_from(port).unwrap_or_else(|_| {
        d.problem("port", c, format!("{port} is no port, the largest is 65535"));
        0
    });
    let refresh = refresh(&mut d, Duration::from_secs(30), c);
    d.finish(c);
    DnsDiscovery { names, kind, port, refresh }
}

/// `refresh_interval`; zero would ask without a pause.
fn refresh(s: &mut Section<'_>, default: Duration, c: &mut Checker<'_>) -> Duration {
    let d = s.duration("refresh_interval", c).unwrap_or(default);
    if d.is_zero() {
        s.problem("refresh_interval", c, "must be more than zero");
        return default;
    }
    d
}
