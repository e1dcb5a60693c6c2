//! What kind of server answers, found out by asking it things that cost it nothing.

use std::{sync::Arc, time::Duration};

use base::Kind;
use contract::{Error, QueryLimits, Result};
use model::{Labels, TimestampMs, TimestampNs};
use net::Request;
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::time::Instant;
use wire::remote_read::{ReadRequest, answer};

use super::{Prometheus, Site, read::request};
use crate::foreign::{error::refused, site::Form};

/// How a server gives out samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Read,
    Export,
    Query,
}

/// What was found out.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) way: Way,
    /// Labels the server puts on what leaves it. Remote read adds them where a series lacks them
    /// (prometheus/storage/remote/read_handler.go), the other paths do not; for one identity of a series on all
    /// paths they are put on here as well.
    pub(super) external: Labels,
}

impl Prometheus {
    /// The way of this server; the first caller finds it out while others wait.
    pub(super) async fn known(&self, limits: &QueryLimits) -> Result<Arc<Known>> {
        let mut known = self.known.lock().await;
        if let Some(k) = &*known {
            return Ok(k.clone());
        }
        let found = Arc::new(probe(&self.site, limits).await?);
        tracing::info!(peer = self.site.name, way = ?found.way, external = %found.external, "a foreign peer answers");
        *known = Some(found.clone());
        Ok(found)
    }

    /// Forgets what was found out, unless somebody found out anew meanwhile.
    pub(super) async fn forget(&self, stale: &Arc<Known>) {
        let mut known = self.known.lock().await;
        if known.as_ref().is_some_and(|k| Arc::ptr_eq(k, stale)) {
            *known = None;
        }
    }
}

async fn probe(site: &Site, limits: &QueryLimits) -> Result<Known> {
    // A request without queries: Prometheus (since 2.13 also in chunks) and Mimir answer it with nothing. Thanos Query
    // has no such path, VictoriaMetrics answers 400 to paths it does not know.
    let empty = ReadRequest { queries: Vec::new(), accepted: vec![1, 0] };
    let asked = site.ask(request(site, &answer::encode(&empty))?, limits).await?;
    if asked.status.is_success() && asked.header("content-type").contains("protobuf") {
        return Ok(Known { way: Way::Read, external: external(site, limits).await? });
    }
    if !matches!(asked.status.as_u16(), 200..=299 | 400 | 404 | 405 | 415 | 422 | 501) {
        return Err(refused(&site.name, &asked));
    }
    let form: Form = vec![("match[]", "{__name__=\"orrery_probe\",orrery_probe=\"1\"}".to_owned())];
    let asked = site.ask(site.posted("/api/v1/export", &form), limits).await?;
    if asked.status.is_success() && !asked.body.starts_with(b"<") {
        return Ok(Known { way: Way::Export, external: Labels::default() });
    }
    let asked =
        site.ask(site.posted("/api/v1/query", &vec![("query", "vector(1)".to_owned())]), limits).await?;
    if asked.status.is_success() && asked.header("content-type").contains("json") {
        return Ok(Known { way: Way::Query, external: Labels::default() });
    }
    match asked.status.is_success() {
        true => {
            let what = format!("{} answers, but not as a Prometheus HTTP API", site.name);
            Err(Error::new(Kind::Unavailable, what))
        }
        false => Err(refused(&site.name, &asked)),
    }
}

/// `global.external_labels` of the configuration a Prometheus shows. Servers that show none have none.
async fn external(site: &Site, limits: &QueryLimits) -> Result<Labels> {
    #[derive(Deserialize, Default)]
    struct Body {
        #[serde(default)]
        data: Data,
    }
    #[derive(Deserialize, Default)]
    struct Data {
        #[serde(default)]
        yaml: String,
    }
    let asked = site.ask(site.request("/api/v1/status/config", &Form::new()), limits).await?;
    let body: Body = serde_json::from_slice(&asked.body).unwrap_or_default();
    Ok(external_labels(&body.data.yaml))
}

/// Reads the block as Prometheus prints it: two blanks for each level, one `name: value` a line.
fn external_labels(yaml: &str) -> Labels {
    let mut lines = yaml.lines().skip_while(|l| *l != "global:").skip(1);
    let inside = lines.by_ref().take_while(|l| l.starts_with(' '));
    let block =
        inside.skip_while(|l| *l != "  external_labels:").skip(1).take_while(|l| l.starts_with("    "));
    Labels::from_pairs(block.filter_map(|line| {
        let (name, value) = line.trim().split_once(':')?;
        Some((scalar(name)?, scalar(value)?))
    }))
}

/// A plain or quoted scalar on one line.
fn scalar(text: &str) -> Option<String> {
    let text = text.trim();
    if let Some(inner) = text.strip_prefix('\'') {
        return Some(inner.strip_suffix('\'')?.replace("''", "'"));
    }
    match text.starts_with('"') {
        // YAML's double quotes are JSON's but for rare escapes.
        true => serde_json::from_str(text).ok(),
        false => Some(text.to_owned()),
    }
}

/// How far the server's data reach: the end of its head block, from `status/tsdb` of Prometheus. Where its data begin
/// no server says: the head's own beginning is two or three hours ago.
#[derive(Default)]
pub(super) struct Held(Arc<Mutex<Reach>>);

#[derive(Default)]
struct Reach {
    asked: Option<Instant>,
    newest: Option<TimestampNs>,
}

/// How old the answer may be. Smaller: Prometheus counts its whole index for each.
const KEEP: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(5);

impl Held {
    pub(super) fn newest(&self) -> Option<TimestampNs> {
        self.0.lock().newest
    }

    /// Asks again beside the query where the answer is old; no query waits for it.
    pub(super) fn refresh(&self, site: &Arc<Site>) {
        let mut reach = self.0.lock();
        if reach.asked.is_some_and(|at| at.elapsed() < KEEP) {
            return;
        }
        reach.asked = Some(Instant::now());
        let (held, site) = (self.0.clone(), site.clone());
        tokio::spawn(async move {
            let newest = tokio::time::timeout(PATIENCE, newest(&site)).await.ok().flatten();
            held.lock().newest = newest;
        });
    }
}

async fn newest(site: &Site) -> Option<TimestampNs> {
    #[derive(Deserialize)]
    struct Body {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        #[serde(rename = "headStats")]
        head: Head,
    }
    #[derive(Deserialize)]
    struct Head {
        #[serde(rename = "numSeries")]
        series: u64,
        #[serde(rename = "maxTime")]
        max_ms: i64,
    }
    let asked: Request = site.request("/api/v1/status/tsdb", &vec![("limit", "1".to_owned())]);
    let body: Body = site.json(asked, &QueryLimits::default()).await.ok()?;
    // An empty head gives its times as the ends of what a number can hold.
    let head = body.data.head;
    (head.series > 0).then(|| TimestampMs(head.max_ms).to_ns())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn external_labels_are_read_from_a_printed_configuration() {
        let yaml = "global:\n  scrape_interval: 15s\n  external_labels:\n    cluster: prod-01\n    n: \"1\"\n    \
                    q: 'it''s'\n  evaluation_interval: 1m\nscrape_configs:\n- job_name: a\n  external_labels:\n    no: 1\n";
        let want = Labels::from_pairs([("cluster", "prod-01"), ("n", "1"), ("q", "it's")]);
        assert_eq!(external_labels(yaml), want);
        assert_eq!(
            external_labels("global:\n  scrape_interval: 15s\nrule_files:\n- external_labels:\n"),
            Labels::default()
        );
        assert_eq!(external_labels(""), Labels::default());
    }
}
