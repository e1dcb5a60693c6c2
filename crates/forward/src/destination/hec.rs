//! Splunk's HTTP Event Collector (help.splunk.com, "Format events for HTTP Event Collector", "About HTTP Event Collector
//! indexer acknowledgment"): `/services/collector/event` for logs and spans, the same with `"event":"metric"` for metrics,
//! and `/services/collector/ack` where items count only once an indexer has them.

mod answer;
mod events;

use std::time::Duration;

use async_trait::async_trait;
use base::Clock;
use bytes::Bytes;
use model::Signal;
use net::{Auth, Secret};
use serde_json::{Value, json};

use self::events::Events;
use super::{
    Delivery, Destination, Outcome,
    http::{Http, HttpOptions, gzip},
};
use crate::{Error, Result};

const CHANNEL: &str = "x-splunk-request-channel";
const PATH: &str = "/services/collector/event";

/// How a collector is spoken to.
#[derive(Debug, Clone, PartialEq)]
pub struct HecOptions {
    pub token: Secret,
    /// Index of logs and spans; none for the token's.
    pub index: Option<String>,
    /// Index of metrics, which is of another type; none for the token's.
    pub metrics_index: Option<String>,
    pub source: Option<String>,
    /// Of logs and metrics; spans have `otel:span` where it is not given.
    pub sourcetype: Option<String>,
    /// Where the item does not say its host.
    pub host: Option<String>,
    /// Whether an item counts only once an indexer has it. The token has to have it switched on.
    pub acknowledge: Option<HecAcknowledge>,
}

/// How acknowledgements are waited for.
#[derive(Debug, Clone, PartialEq)]
pub struct HecAcknowledge {
    /// A GUID; requests and questions on one channel belong together. One is drawn where it is not given.
    pub channel: Option<String>,
    pub poll: Duration,
    /// After that the request is sent again, and may be indexed twice.
    pub timeout: Duration,
}

impl Default for HecAcknowledge {
    fn default() -> Self {
        HecAcknowledge { channel: None, poll: Duration::from_secs(1), timeout: Duration::from_secs(120) }
    }
}

impl HecOptions {
    pub fn new(token: Secret) -> Self {
        HecOptions {
            token,
            index: None,
            metrics_index: None,
            source: None,
            sourcetype: None,
            host: None,
            acknowledge: None,
        }
    }
}

pub struct Hec {
    http: Http,
    options: HecOptions,
    channel: String,
}

impl Hec {
    /// URLs without a path get `/services/collector/event`.
    ///
    /// # Errors
    /// A URL that cannot be one, a channel that is no GUID.
    pub fn new(name: &str, mut http: HttpOptions, options: HecOptions, clock: Clock) -> Result<Self> {
        http.settings.auth = Auth::Header { scheme: "Splunk".to_owned(), credentials: options.token.clone() };
        let given = options.acknowledge.as_ref().and_then(|a| a.channel.clone());
        let channel = match given {
            Some(guid) if is_guid(&guid) => guid,
            Some(other) => {
                return Err(Error::Setting {
                    destination: name.to_owned(),
                    name: "channel",
                    value: other,
                    wanted: "a GUID such as 0aeeac95-ac74-4aa9-b30d-6c4c0ac581ba",
                });
            }
            None => guid(rand::random()),
        };
        Ok(Hec { http: Http::new(name, http, (PATH, None), clock)?, options, channel })
    }

    /// Asks until the indexers have what was sent under `id`.
    async fn acknowledged(&self, url: &str, delivery: &Delivery, id: u64, how: &HecAcknowledge) -> Outcome {
        let body = Bytes::from(json!({"acks": [id]}).to_string());
        let headers = [("content-type", "application/json"), (CHANNEL, self.channel.as_str())];
        let clock = self.http.clock();
        let start_ns = clock.now_ns();
        let patience_ns = i64::try_from(how.timeout.as_nanos()).unwrap_or(i64::MAX);
        loop {
            let last = match self.http.exchange(url, delivery, body.clone(), &headers).await {
                Ok(answer) if answer::is_acknowledged(&answer.body, id) => return Outcome::acknowledged(),
                Ok(answer) => format!("{} {}", answer.status, answer.excerpt()),
                Err(Outcome::Later { detail, .. }) => detail,
                Err(other) => return other,
            };
            if clock.now_ns().saturating_sub(start_ns) >= patience_ns {
                let detail = format!("no indexer acknowledged the request in time: {last}");
                return Outcome::Later { after: None, down: true, detail };
            }
            clock.sleep(how.poll).await;
        }
    }
}

/// Where acknowledgements are asked for, beside where events are sent.
fn ack_url(url: &str) -> String {
    let (path, query) = url.split_once('?').map_or((url, None), |(path, query)| (path, Some(query)));
    let base = ["/event/1.0", "/event", "/collector"].into_iter().find_map(|end| {
        let keep = if end == "/collector" { end } else { "" };
        path.strip_suffix(end).map(|base| format!("{base}{keep}"))
    });
    let base = base.unwrap_or_else(|| path.trim_end_matches('/').to_owned());
    query.map_or(format!("{base}/ack"), |query| format!("{base}/ack?{query}"))
}

fn is_guid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|p| p.len()).collect();
    lengths == [8, 4, 4, 4, 12] && parts.iter().all(|p| p.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// A GUID of version 4 (RFC 9562 §5.4).
fn guid(random: u128) -> String {
    let n = random & !(0xf << 76) & !(0x3 << 62) | 4 << 76 | 2 << 62;
    let hex = format!("{n:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default().to_owned();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

#[async_trait]
impl Destination for Hec {
    fn takes(&self, signal: &Signal) -> bool {
        Signal::KNOWN.contains(signal)
    }

    fn addresses(&self) -> usize {
        self.http.addresses()
    }

    async fn send(&self, address: usize, delivery: &Delivery) -> Outcome {
        let Some(events) = Events::of(&delivery.batch, &self.options) else {
            return Outcome::refused("unsupported", "HEC has no such signal");
        };
        if events.items.is_empty() {
            return events.outcome(Vec::new(), None, "nothing of it can be an event");
        }
        let url = self.http.url(address);
        let mut headers = vec![("content-type", "application/json"), ("content-encoding", "gzip")];
        if self.options.acknowledge.is_some() {
            headers.push((CHANNEL, self.channel.as_str()));
        }
        let sent = self.http.exchange(url, delivery, gzip(&events.body), &headers).await;
        let answer = match sent {
            Ok(answer) => answer,
            Err(outcome) => return outcome,
        };
        let judged = || self.http.judge(&answer);
        let body = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        match answer::read(&body, answer.status.as_u16(), &answer.excerpt(), judged) {
            answer::Said::Taken(id) => match (&self.options.acknowledge, id) {
                (None, _) => events.outcome(Vec::new(), None, ""),
                (Some(how), Some(id)) => match self.acknowledged(&ack_url(url), delivery, id, how).await {
                    Outcome::Answered { .. } => events.outcome(Vec::new(), None, ""),
                    outcome => outcome,
                },
                (Some(_), None) => Outcome::down("the answer has no ackId: the token does not acknowledge"),
            },
            answer::Said::Invalid { event, reason } => {
                // Events before the one that is not valid are taken, those behind it are not looked at. Where an indexer
                // is to acknowledge, nothing has been.
                let before = if self.options.acknowledge.is_some() { 0 } else { event };
                let again = events.again(before, event);
                events.outcome(again, Some((event, reason)), &answer.excerpt())
            }
            answer::Said::Other(outcome) => outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_a_guid_and_one_is_drawn_where_none_is_given() {
        for random in [0, u128::MAX, 0x0aee_ac95_ac74_4aa9_b30d_6c4c_0ac5_81ba] {
            let drawn = guid(random);
            assert!(is_guid(&drawn), "{drawn}");
            assert_eq!(drawn.as_bytes()[14], b'4', "{drawn}");
            assert!(b"89ab".contains(&drawn.as_bytes()[19]), "{drawn}");
        }
        let options = HecOptions {
            acknowledge: Some(HecAcknowledge { channel: Some("mine".into()), ..HecAcknowledge::default() }),
            ..HecOptions::new(Secret::Inline("t".into()))
        };
        let e = Hec::new("splunk", HttpOptions::new(["http://h"]), options, Clock::system()).err();
        assert!(e.unwrap().to_string().starts_with("channel of destination splunk is \"mine\""));
    }

    #[test]
    fn acknowledgements_are_asked_for_beside_the_events() {
        for (events, acks) in [
            ("https://s:8088/services/collector/event", "https://s:8088/services/collector/ack"),
            ("https://s/x/services/collector/event/1.0?a=b", "https://s/x/services/collector/ack?a=b"),
            ("https://s/services/collector", "https://s/services/collector/ack"),
        ] {
            assert_eq!(ack_url(events), acks);
        }
    }
}
