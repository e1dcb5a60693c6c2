//! Elasticsearch's `_bulk`: a `create` per record, under an id that stays the same however often it is sent. What is there
//! already answers 409 (conflict) and counts as acknowledged, so a record that is sent twice is one document.

use async_trait::async_trait;
use base::Clock;
use model::{Batch, LogBatch, LogRecord, LogStream, Signal};
use serde_json::{Value, json};
use wire::bulk::{self, document};

use super::{
    Delivery, Destination, Outcome, batch_text,
    http::{Http, HttpOptions, gzip},
    json::object,
};
use crate::{Result, ledger::Reasons};

/// Where documents go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElasticOptions {
    /// Index or data stream of records that did not come as documents.
    pub index: String,
    /// Whether what came as a document keeps the index it came for.
    pub keep_index: bool,
}

impl Default for ElasticOptions {
    fn default() -> Self {
        ElasticOptions { index: "logs-generic-default".to_owned(), keep_index: true }
    }
}

pub struct Elastic {
    http: Http,
    options: ElasticOptions,
}

impl Elastic {
    /// URLs that do not end with `/_bulk` get it.
    ///
    /// # Errors
    /// A URL that cannot be one.
    pub fn new(name: &str, http: HttpOptions, options: ElasticOptions, clock: Clock) -> Result<Self> {
        Ok(Elastic { http: Http::new(name, http, ("/_bulk", Some("/_bulk")), clock)?, options })
    }

    /// Pairs of lines, an action and a document.
    fn body(&self, delivery: &Delivery, logs: &LogBatch) -> Vec<u8> {
        let mut out = Vec::with_capacity(logs.records.len() * 300);
        let prefix = batch_text(delivery.id);
        let nowhere = LogStream::default();
        for (i, record) in logs.records.iter().enumerate() {
            let stream = logs.streams.get(record.stream as usize).unwrap_or(&nowhere);
            let own = record.attributes.get_str(bulk::ID).map(str::to_owned);
            let id = own.unwrap_or_else(|| format!("{prefix}-{:x}", delivery.position(i)));
            let action = json!({"create": {"_index": self.index(stream), "_id": id}});
            for line in [action, source(stream, record)] {
                // Writing into memory cannot fail.
                let _ = serde_json::to_writer(&mut out, &line);
                out.push(b'\n');
            }
        }
        out
    }

    fn index<'a>(&'a self, stream: &'a LogStream) -> &'a str {
        let own = stream.labels.get(bulk::INDEX).filter(|i| !i.is_empty());
        match own {
            Some(own) if self.options.keep_index && document::is_document(stream) => own,
            _ => &self.options.index,
        }
    }
}

fn source(stream: &LogStream, record: &LogRecord) -> Value {
    object(&document::source(stream, record))
}

#[async_trait]
impl Destination for Elastic {
    fn takes(&self, signal: &Signal) -> bool {
        *signal == Signal::LOGS
    }

    fn addresses(&self) -> usize {
        self.http.addresses()
    }

    async fn send(&self, address: usize, delivery: &Delivery) -> Outcome {
        let Batch::Logs(logs) = &delivery.batch else {
            return Outcome::refused("unsupported", "_bulk takes logs only");
        };
        let body = gzip(&self.body(delivery, logs));
        let headers = [("content-type", "application/x-ndjson"), ("content-encoding", "gzip")];
        match self.http.post(self.http.url(address), delivery, body, &headers).await {
            Ok(answer) => read(&answer.body, logs.records.len())
                .unwrap_or_else(|why| Outcome::down(format!("the answer is none of _bulk: {why}"))),
            Err(outcome) => outcome,
        }
    }
}

/// What became of each of `sent` items.
fn read(body: &[u8], sent: usize) -> Result<Outcome, String> {
    let answer: Value = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    let errors = answer.get("errors").and_then(Value::as_bool).ok_or("it has no field errors")?;
    if !errors {
        return Ok(Outcome::acknowledged());
    }
    let items = answer.get("items").and_then(Value::as_array).ok_or("it has no items")?;
    if items.len() != sent {
        return Err(format!("{} items were sent, {} are answered", sent, items.len()));
    }
    let (mut refused, mut again, mut detail) = (Reasons::new(), Vec::new(), String::new());
    for (i, item) in items.iter().enumerate() {
        let result = item.as_object().and_then(|o| o.values().next());
        let status = result.and_then(|r| r.get("status")).and_then(Value::as_u64);
        match status.ok_or_else(|| format!("item {i} has no status"))? {
            200..=299 | 409 => continue,
            408 | 429 | 500..=599 => again.push(i as u32),
            status => *refused.entry(format!("bulk_{status}")).or_default() += 1,
        }
        if detail.is_empty() {
            let error = result.and_then(|r| r.get("error"));
            detail = error.map(Value::to_string).unwrap_or_default().chars().take(256).collect();
        }
    }
    Ok(Outcome::Answered { refused, again, detail })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_item_by_item() {
        let body = json!({"took": 1, "errors": true, "items": [
            {"create": {"status": 201}},
            {"create": {"status": 409, "error": {"type": "version_conflict_engine_exception"}}},
            {"create": {"status": 429, "error": {"type": "es_rejected_execution_exception"}}},
            {"create": {"status": 400, "error": {"type": "mapper_parsing_exception"}}},
        ]});
        let Ok(Outcome::Answered { refused, again, .. }) = read(body.to_string().as_bytes(), 4) else {
            panic!()
        };
        assert_eq!(refused, Reasons::from([("bulk_400".to_owned(), 1)]));
        assert_eq!(again, [2]);
        assert_eq!(read(br#"{"took":1,"errors":false,"items":[]}"#, 4), Ok(Outcome::acknowledged()));
        for garbage in ["", "[]", "<html>", r#"{"errors":true}"#, r#"{"errors":true,"items":[{}]}"#] {
            assert!(read(garbage.as_bytes(), 1).is_err(), "{garbage}");
        }
    }
}
