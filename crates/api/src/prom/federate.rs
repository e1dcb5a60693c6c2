//! `/federate`: the newest sample of every series that matches, for another node to scrape. A series whose
//! newest sample is older than the lookback, or marks its end, is left out, as in Prometheus.

use std::collections::BTreeMap;

use axum::response::{IntoResponse, Response};
use base::memory::{Reservation, Use};
use contract::{Coverage, QueryLimits, Scope, SeriesData, SeriesHints, SeriesRequest};
use futures::TryStreamExt;
use http::{HeaderMap, HeaderValue, header};
use model::{Labels, TimeRange, labels::METRIC_NAME, metric::is_stale_marker};
use wire::exposition::write::{Exposed, ExposedValue, Names, write_protobuf, write_text};

use crate::{Error, ask, body::Outgoing, coverage, layers, push::header_text, status};

/// An error as plain text: a scraper shows it to people.
pub struct Plain(Error);

impl<E: Into<Error>> From<E> for Plain {
    fn from(e: E) -> Self {
        Plain(e.into())
    }
}

impl IntoResponse for Plain {
    fn into_response(self) -> Response {
        layers::plain_error(&self.0, status::http_of(&self.0))
    }
}

pub async fn federate(ask: ask::Ask<Plain>) -> Result<Response, Plain> {
    let selectors: Vec<_> =
        ask.params.all("match[]").map(|text| super::selector("match[]", text)).collect::<Result<_, _>>()?;
    let (now, lookback) = (ask.state.clock.now_ms(), ask.state.options.lookback_delta.as_millis() as i64);
    let range = TimeRange::from_ms_inclusive(now.saturating_sub(lookback), now);
    let (select, tenants) = (ask.reads.select.clone(), ask.tenants.clone());
    let external = ask.state.options.external_labels.clone();
    let form = Form::asked(&ask.headers);
    let run = |limits: QueryLimits| async move {
        let mut found: BTreeMap<Labels, Exposed> = BTreeMap::new();
        let mut memory = limits.memory.reserve(Use::Query, 0)?;
        let mut coverage = Coverage::default();
        for matchers in selectors {
            let scope = Scope { tenants: tenants.clone(), range, limits: limits.clone() };
            let request = SeriesRequest { scope, matchers, hints: SeriesHints::default() };
            let mut series = select.series(request).await?;
            while let Some(s) = series.items.try_next().await? {
                if let Some(newest) = newest(s, &external) {
                    memory.grow(3 * newest.labels.packed_len() as u64 + 128)?;
                    found.insert(newest.labels.clone(), newest);
                }
            }
            coverage.merge(series.coverage());
        }
        let mut samples: Vec<Exposed> = found.into_values().collect();
        samples.sort_by(|a, b| a.labels.metric_name().cmp(b.labels.metric_name()));
        let body = match form {
            Form::Protobuf => write_protobuf(&samples),
            Form::Text(names) => write_text(&samples, names),
        };
        Ok(Exposition { body, memory, coverage })
    };
    let Exposition { body, memory, coverage } = ask.run(run).await?;
    let mut response = Response::new(Outgoing::body(body, Some(memory)));
    coverage::stamp(&mut response, &coverage);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(form.media()));
    Ok(response)
}

/// What a scraper is sent. The format has no place for coverage, so it stands in the header alone.
struct Exposition {
    body: Vec<u8>,
    memory: Reservation,
    coverage: Coverage,
}

impl ask::Covered for Exposition {
    fn covered(&self) -> Option<&Coverage> {
        Some(&self.coverage)
    }
}

/// Always written, so that the scraper does not put this node in the place of an instance that a series lacks.
const INSTANCE: &str = "instance";

/// The last of floats and histograms, none where it ends the series. Series without a name have no place in
/// an exposition.
fn newest(mut s: SeriesData, external: &Labels) -> Option<Exposed> {
    let float = s.timestamps_ms.last().copied().zip(s.values.last().copied());
    let histogram = s.histograms.pop();
    let (at_ms, value) = match (float, histogram) {
        (Some((at, v)), h) if h.as_ref().is_none_or(|h| h.0 < at) => (at, ExposedValue::Float(v)),
        (_, Some((at, _, h))) => (at, ExposedValue::Histogram(Box::new(h))),
        _ => return None,
    };
    let ends = match &value {
        ExposedValue::Float(v) => is_stale_marker(*v),
        ExposedValue::Histogram(h) => h.is_stale(),
    };
    if ends || s.labels.value(METRIC_NAME).is_empty() {
        return None;
    }
    let labels = joined(&s.labels, external);
    let blank = labels.get(INSTANCE).is_none().then_some(INSTANCE);
    Some(Exposed { labels, blank, at_ms, value })
}

/// External labels stand behind the series' own, in the order of their names.
fn joined(own: &Labels, external: &Labels) -> Labels {
    let mut b = own.to_builder();
    for (name, value) in external {
        if own.get(name).is_none() {
            b.set(name, value);
        }
    }
    b.build()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text(Names),
    Protobuf,
}

impl Form {
    /// What the scraper likes best of what we write.
    fn asked(headers: &HeaderMap) -> Self {
        let accept = header_text(headers, &header::ACCEPT);
        let mut best = (0.0, Form::Text(Names::Underscores));
        for clause in accept.split(',') {
            let mut parts = clause.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            let parts: Vec<&str> = parts.collect();
            let has = |p: &str| parts.contains(&p);
            let names = if has("escaping=allow-utf-8") { Names::Quoted } else { Names::Underscores };
            let form = match media {
                "application/vnd.google.protobuf"
                    if has("proto=io.prometheus.client.MetricFamily") && has("encoding=delimited") =>
                {
                    Form::Protobuf
                }
                "text/plain" | "text/*" | "*/*" => Form::Text(names),
                _ => continue,
            };
            let q = parts.iter().find_map(|p| p.strip_prefix("q=")?.parse::<f64>().ok()).unwrap_or(1.0);
            if q > best.0 {
                best = (q, form);
            }
        }
        best.1
    }

    fn media(self) -> &'static str {
        match self {
            Form::Text(Names::Quoted) => "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
            Form::Text(Names::Underscores) => {
                "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
            }
            Form::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(accept: &'static str) -> Form {
        let mut h = HeaderMap::new();
        h.insert(header::ACCEPT, HeaderValue::from_static(accept));
        Form::asked(&h)
    }

    #[test]
    fn the_form_is_the_best_liked_of_what_we_write() {
        let text = Form::Text(Names::Underscores);
        assert_eq!(asked("*/*"), text);
        assert_eq!(asked("application/openmetrics-text;version=1.0.0,text/plain;q=0.5"), text);
        let protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,text/plain;version=0.0.4;q=0.3";
        assert_eq!(asked(protobuf), Form::Protobuf);
        assert_eq!(asked("text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5"), Form::Text(Names::Quoted));
        assert_eq!(Form::asked(&HeaderMap::new()), text);
    }

    #[test]
    fn the_newest_sample_counts_unless_it_ends_the_series() {
        let s = |values: Vec<f64>, histograms| SeriesData {
            labels: Labels::from_pairs([("__name__", "a"), ("replica", "own")]),
            timestamps_ms: (0..values.len() as i64).collect(),
            values,
            histograms,
            ..Default::default()
        };
        let external = Labels::from_pairs([("region", "x"), ("replica", "b")]);
        let e = newest(s(vec![1.0, 2.0], vec![]), &external).unwrap();
        assert_eq!((e.at_ms, &e.value), (1, &ExposedValue::Float(2.0)));
        assert_eq!(e.labels.to_string(), "a{region=\"x\", replica=\"own\"}");
        assert_eq!(e.blank, Some("instance"));
        assert!(newest(s(vec![1.0, model::stale_marker()], vec![]), &external).is_none());
        let h = model::Histogram { count: 1.0, ..Default::default() };
        let e = newest(s(vec![1.0], vec![(5, 0, h.clone())]), &external).unwrap();
        assert_eq!((e.at_ms, e.value), (5, ExposedValue::Histogram(Box::new(h))));
    }
}
