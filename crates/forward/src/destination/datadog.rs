//! Datadog: metrics as series v2, logs v2 (docs.datadoghq.com, API reference, "Submit metrics", "Send logs"), spans by OTLP.
//!
//! A request that is larger than the intake takes is not sent: it is cut before. Counters go as what was added since the
//! point before ([`deltas`]); what was before is remembered once the intake has taken the request, so that one sent again
//! is the same.

mod deltas;
mod logs;
mod series;

use std::time::Duration;

use async_trait::async_trait;
use base::Clock;
use bytes::Bytes;
use model::{Batch, LogBatch, MetricBatch, Signal, SpanBatch};
use net::{Answer, Secret, Settings};
use parking_lot::Mutex;

use self::deltas::Deltas;
use super::{
    Delivery, Destination, Outcome,
    http::{Http, HttpOptions, gzip},
};
use crate::{Error, Result, ledger::Reasons};

/// Bytes of a request of series, packed and not ("Submit metrics").
const MAX_SERIES_PACKED: usize = 512_000;
const MAX_SERIES: usize = 5_242_880;
/// Bytes and entries of a request of logs, not packed ("Send logs").
const MAX_LOGS: usize = 5_000_000;
const MAX_LOG_ENTRIES: usize = 1000;

/// Where and as what telemetry arrives.
#[derive(Debug, Clone, PartialEq)]
pub struct DatadogOptions {
    pub api_key: Secret,
    /// `datadoghq.com`, `datadoghq.eu`, `us5.datadoghq.com` and so on.
    pub site: String,
    /// Added to everything, as `name:value`.
    pub tags: Vec<String>,
    /// `ddsource` of logs.
    pub source: String,
    /// Labels of which the first that is there names the host of a series.
    pub host_labels: Vec<String>,
    /// Where spans go: an intake of OTLP over HTTP, with or without its path. None for that of the site.
    pub traces_url: Option<String>,
    /// `dd-otlp-source`, which the site's intake of spans asks for.
    pub otlp_source: Option<String>,
    /// Counters whose point before is remembered, some 200 bytes each; past that the oldest are forgotten.
    pub max_counters: usize,
}

impl DatadogOptions {
    pub fn new(api_key: Secret) -> Self {
        DatadogOptions {
            api_key,
            site: "datadoghq.com".to_owned(),
            tags: Vec::new(),
            source: "orrery".to_owned(),
            host_labels: ["host_name", "host", "hostname", "node"].map(str::to_owned).to_vec(),
            traces_url: None,
            otlp_source: None,
            max_counters: 1_000_000,
        }
    }
}

pub struct Datadog {
    metrics: Http,
    logs: Http,
    traces: Http,
    options: DatadogOptions,
    deltas: Mutex<Deltas>,
}

impl Datadog {
    /// URLs are those of relays that have all paths of the intake; none for the site itself.
    ///
    /// # Errors
    /// A URL or a site that cannot be one.
    pub fn new(name: &str, http: HttpOptions, options: DatadogOptions, clock: Clock) -> Result<Self> {
        let site = &options.site;
        let of_hosts = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
        if site.is_empty() || !site.chars().all(of_hosts) {
            return Err(Error::Setting {
                destination: name.to_owned(),
                name: "site",
                value: site.clone(),
                wanted: "a host name such as datadoghq.com",
            });
        }
        let at = |host: &str, path: &str| -> Result<Http> {
            let mut o = HttpOptions { settings: keyed(http.settings.clone(), &options), ..http.clone() };
            if o.urls.is_empty() {
                o.urls = vec![format!("https://{host}.{site}")];
            }
            Http::new(name, o, (path, None), clock.clone())
        };
        let traces = match &options.traces_url {
            None => at("otlp", "/v1/traces")?,
            Some(url) => {
                let settings = keyed(http.settings.clone(), &options);
                // As many as there are addresses, so that each has its own.
                let urls = vec![url.clone(); http.urls.len().max(1)];
                Http::new(
                    name,
                    HttpOptions { urls, settings, ..http.clone() },
                    ("/v1/traces", None),
                    clock.clone(),
                )?
            }
        };
        if options.max_counters == 0 {
            return Err(Error::Setting {
                destination: name.to_owned(),
                name: "max_counters",
                value: "0".to_owned(),
                wanted: "at least 1",
            });
        }
        let deltas = Mutex::new(Deltas::new(options.max_counters));
        Ok(Datadog {
            metrics: at("api", "/api/v2/series")?,
            logs: at("http-intake.logs", "/api/v2/logs")?,
            traces,
            options,
            deltas,
        })
    }

    async fn post(
        &self,
        http: &Http,
        address: usize,
        delivery: &Delivery,
        body: Bytes,
        content_type: &str,
    ) -> Result<Answer, Outcome> {
        let headers = [("content-type", content_type), ("content-encoding", "gzip")];
        let answer = http.exchange(http.url(address), delivery, body, &headers).await?;
        match http.judge(&answer) {
            None => Ok(answer),
            Some(Outcome::Later { after: None, down: false, detail }) => {
                let reset = answer.header("x-ratelimit-reset").trim().parse().ok();
                Err(Outcome::Later { after: reset.map(Duration::from_secs), down: false, detail })
            }
            Some(outcome) => Err(outcome),
        }
    }

    async fn metrics(&self, address: usize, delivery: &Delivery, batch: &MetricBatch) -> Outcome {
        let made = series::body(batch, &self.options, &self.deltas.lock());
        if made.is_empty() {
            return taken(made.left);
        }
        let packed = gzip(&made.body);
        if made.body.len() > MAX_SERIES || packed.len() > MAX_SERIES_PACKED {
            let detail = format!("{} bytes of series, {} packed", made.body.len(), packed.len());
            return Outcome::TooLarge { detail };
        }
        let answer = match self.post(&self.metrics, address, delivery, packed, "application/json").await {
            Ok(answer) => answer,
            Err(outcome) => return outcome,
        };
        match errors(&answer) {
            None => {
                self.deltas.lock().remember(made.seen);
                taken(made.left)
            }
            Some(errors) => Outcome::refused("series_errors", errors),
        }
    }

    async fn logs(&self, address: usize, delivery: &Delivery, batch: &LogBatch) -> Outcome {
        let entries = batch.records.len();
        if entries > MAX_LOG_ENTRIES {
            return Outcome::TooLarge { detail: format!("{entries} logs, {MAX_LOG_ENTRIES} are taken") };
        }
        let body = logs::body(batch, &self.options);
        if body.len() > MAX_LOGS {
            return Outcome::TooLarge { detail: format!("{} bytes of logs", body.len()) };
        }
        match self.post(&self.logs, address, delivery, gzip(&body), "application/json").await {
            Ok(_) => Outcome::acknowledged(),
            Err(outcome) => outcome,
        }
    }

    async fn spans(&self, address: usize, delivery: &Delivery, batch: &SpanBatch) -> Outcome {
        let body = gzip(&wire::otlp::traces::encode_bytes(batch));
        match self.post(&self.traces, address, delivery, body, "application/x-protobuf").await {
            Ok(answer) => super::otlp::read_traces(&answer, delivery),
            Err(outcome) => outcome,
        }
    }
}

/// With the key, which is no part of any URL and is never shown.
fn keyed(mut settings: Settings, o: &DatadogOptions) -> Settings {
    let mut add = |name: &str, value: Secret| settings.headers.push((name.to_owned(), vec![value]));
    add("dd-api-key", o.api_key.clone());
    add("dd-protocol", Secret::Inline("otlp".to_owned()));
    if let Some(source) = &o.otlp_source {
        add("dd-otlp-source", Secret::Inline(source.clone()));
    }
    settings
}

fn taken(refused: Reasons) -> Outcome {
    Outcome::Answered { refused, again: Vec::new(), detail: String::new() }
}

/// `{"errors": [...]}` of an answer of success; none where there are none.
fn errors(answer: &Answer) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
    let errors = body.get("errors")?.as_array()?;
    (!errors.is_empty()).then(|| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

#[async_trait]
impl Destination for Datadog {
    fn takes(&self, signal: &Signal) -> bool {
        Signal::KNOWN.contains(signal)
    }

    fn addresses(&self) -> usize {
        self.metrics.addresses()
    }

    async fn send(&self, address: usize, delivery: &Delivery) -> Outcome {
        match &delivery.batch {
            Batch::Metrics(m) => self.metrics(address, delivery, m).await,
            Batch::Logs(l) => self.logs(address, delivery, l).await,
            Batch::Spans(s) => self.spans(address, delivery, s).await,
            _ => Outcome::refused("unsupported", "Datadog has no such signal"),
        }
    }
}
