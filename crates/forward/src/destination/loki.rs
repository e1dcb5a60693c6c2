//! Loki push (grafana.com/docs/loki, HTTP API, "Ingest logs"): protobuf and snappy.

use async_trait::async_trait;
use base::Clock;
use model::{Batch, Signal};
use proto::Message;

use super::{
    Delivery, Destination, Outcome,
    http::{Http, HttpOptions, snappy},
};
use crate::Result;

pub struct Loki(Http);

impl Loki {
    /// URLs that do not end with `/push` get `/loki/api/v1/push`.
    ///
    /// # Errors
    /// A URL that cannot be one.
    pub fn new(name: &str, options: HttpOptions, clock: Clock) -> Result<Self> {
        Ok(Loki(Http::new(name, options, ("/loki/api/v1/push", Some("/push")), clock)?))
    }
}

#[async_trait]
impl Destination for Loki {
    fn takes(&self, signal: &Signal) -> bool {
        *signal == Signal::LOGS
    }

    fn addresses(&self) -> usize {
        self.0.addresses()
    }

    async fn send(&self, address: usize, delivery: &Delivery) -> Outcome {
        let Batch::Logs(logs) = &delivery.batch else {
            return Outcome::refused("unsupported", "Loki takes logs only");
        };
        let body = match snappy(&wire::loki::encode(logs).encode_to_vec()) {
            Ok(body) => body,
            Err(outcome) => return outcome,
        };
        let headers = [("content-type", "application/x-protobuf"), ("content-encoding", "snappy")];
        match self.0.post(self.0.url(address), delivery, body, &headers).await {
            Ok(_) => Outcome::acknowledged(),
            Err(outcome) => outcome,
        }
    }
}
