//! Traces as Jaeger's UI saves them and its API answers.

use base::cap::Encoding;
use bytes::Bytes;
use contract::Receipt;
use model::{Batch, TenantId};

use super::{Ingest, Request};
use crate::{Result, Sender};

impl Ingest {
    /// Jaeger's JSON: an answer of its API, a list of traces, or one.
    pub async fn jaeger_json(
        &self,
        tenant: &TenantId,
        sender: &Sender,
        encoding: Encoding,
        body: Bytes,
    ) -> Result<Receipt> {
        let request =
            Request { protocol: "jaeger_json", endpoint: "jaeger_json", within: "", tenant, sender };
        let admitted = self.admit(request, encoding, body, |body, at| {
            Ok(wire::jaeger_json::decode(body, &at.otlp)?.map(Batch::Spans).into())
        });
        Ok(admitted.await?.receipt)
    }
}
