//! Prometheus remote write (prometheus.io/docs/specs/prw): 1.0, and 2.0 with what its receivers say they have written.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use async_trait::async_trait;
use base::Clock;
use model::{Batch, MetricBatch, Signal};
use net::Answer;

use super::{
    Delivery, Destination, Outcome,
    http::{Http, HttpOptions, snappy},
};
use crate::Result;

/// Reason of what a 2.0 receiver answered with success and did not say to have written.
const UNCONFIRMED: &str = "unconfirmed";

/// Which version is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WriteVersion {
    #[default]
    V1,
    /// 1.0 from the first answer 415 (Unsupported Media Type) on.
    V2,
}

pub struct RemoteWrite {
    http: Http,
    /// Speaks 1.0, by choice or since 2.0 was turned down.
    old: AtomicBool,
}

impl RemoteWrite {
    /// URLs without a path get `/api/v1/write`.
    ///
    /// # Errors
    /// A URL that cannot be one.
    pub fn new(name: &str, options: HttpOptions, version: WriteVersion, clock: Clock) -> Result<Self> {
        let http = Http::new(name, options, ("/api/v1/write", None), clock)?;
        Ok(RemoteWrite { http, old: AtomicBool::new(version == WriteVersion::V1) })
    }

    async fn v1(&self, address: usize, delivery: &Delivery, batch: &MetricBatch) -> Outcome {
        let headers = [
            ("content-type", "application/x-protobuf"),
            ("content-encoding", "snappy"),
            ("x-prometheus-remote-write-version", "0.1.0"),
        ];
        let body = match snappy(&wire::remote_write::encode(batch)) {
            Ok(body) => body,
            Err(outcome) => return outcome,
        };
        match self.http.post(self.http.url(address), delivery, body, &headers).await {
            Ok(_) => Outcome::acknowledged(),
            Err(outcome) => outcome,
        }
    }

    async fn v2(&self, address: usize, delivery: &Delivery, batch: &MetricBatch) -> Outcome {
        let headers = [
            ("content-type", "application/x-protobuf;proto=io.prometheus.write.v2.Request"),
            ("content-encoding", "snappy"),
            ("x-prometheus-remote-write-version", "2.0.0"),
        ];
        let body = match snappy(&wire::remote_write::v2::encode(batch)) {
            Ok(body) => body,
            Err(outcome) => return outcome,
        };
        let answer = match self.http.exchange(self.http.url(address), delivery, body, &headers).await {
            Ok(answer) => answer,
            Err(outcome) => return outcome,
        };
        let written = written(&answer);
        let unwritten = delivery.items().saturating_sub(written);
        match self.http.judge(&answer) {
            None => {
                Outcome::partly(UNCONFIRMED, unwritten, format!("{} {}", answer.status, answer.excerpt()))
            }
            // A partial write: what it says was written was.
            Some(Outcome::Refused { reason, detail }) if written > 0 => {
                Outcome::partly(&reason, unwritten, detail)
            }
            Some(outcome) => outcome,
        }
    }
}

/// Samples and histograms a 2.0 receiver says it wrote. One that says nothing did not understand the request.
fn written(answer: &Answer) -> u64 {
    let of = |kind: &str| {
        let name = format!("x-prometheus-remote-write-{kind}-written");
        answer.header(&name).trim().parse::<u64>().unwrap_or(0)
    };
    of("samples").saturating_add(of("histograms"))
}

#[async_trait]
impl Destination for RemoteWrite {
    fn takes(&self, signal: &Signal) -> bool {
        *signal == Signal::METRICS
    }

    fn addresses(&self) -> usize {
        self.http.addresses()
    }

    async fn send(&self, address: usize, delivery: &Delivery) -> Outcome {
        let Batch::Metrics(batch) = &delivery.batch else {
            return Outcome::refused("unsupported", "remote write carries metrics only");
        };
        if !self.old.load(Relaxed) {
            match self.v2(address, delivery, batch).await {
                Outcome::Refused { reason, .. } if reason == "http_415" => self.old.store(true, Relaxed),
                outcome => return outcome,
            }
        }
        self.v1(address, delivery, batch).await
    }
}
