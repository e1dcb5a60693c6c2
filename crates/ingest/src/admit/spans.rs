//! Spans that do not come as OTLP: Zipkin's and Jaeger's.

use base::cap::Encoding;
use bytes::Bytes;
use contract::Receipt;
use model::{Batch, TenantId};
use wire::{jaeger, zipkin};

use super::{Ingest, Request};
use crate::{JaegerFormat, Result, Sender, ZipkinFormat};

impl Ingest {
    /// Zipkin's `POST /api/v2/spans`.
    pub async fn zipkin(
        &self,
        tenant: &TenantId,
        sender: &Sender,
        format: ZipkinFormat,
        encoding: Encoding,
        body: Bytes,
    ) -> Result<Receipt> {
        let request = Request { protocol: "zipkin", endpoint: "zipkin_spans", within: "", tenant, sender };
        let received_ns = self.clock.now_ns();
        let admitted = self.admit(request, encoding, body, move |body, at| {
            let decode = match format {
                ZipkinFormat::Json => zipkin::decode_json,
                ZipkinFormat::Protobuf => zipkin::decode_protobuf,
            };
            Ok(decode(body, received_ns, &at.otlp.limits)?.map(Batch::Spans).into())
        });
        Ok(admitted.await?.receipt)
    }

    /// A batch for Jaeger's collector; over gRPC `body` is the message without its frame.
    pub async fn jaeger(
        &self,
        tenant: &TenantId,
        sender: &Sender,
        format: JaegerFormat,
        encoding: Encoding,
        body: Bytes,
    ) -> Result<Receipt> {
        let protocol = match format {
            JaegerFormat::Thrift(_) => "jaeger_http",
            JaegerFormat::Protobuf => "jaeger_grpc",
        };
        let request = Request { protocol, endpoint: "jaeger_spans", within: "", tenant, sender };
        let admitted = self.admit(request, encoding, body, move |body, at| {
            let limits = &at.otlp.limits;
            let decoded = match format {
                JaegerFormat::Thrift(protocol) => jaeger::decode_thrift(body, protocol, limits)?,
                JaegerFormat::Protobuf => jaeger::decode_protobuf(body, limits)?,
            };
            Ok(decoded.map(Batch::Spans).into())
        });
        Ok(admitted.await?.receipt)
    }
}
