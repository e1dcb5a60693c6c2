//! OTLP/gRPC: the three `Export` calls, and what unary calls of other services have in common with them.
//!
//! A unary call is one length-prefixed message each way, so the framing stands here and the message goes to
//! the same [`ingest::Ingest::otlp`] as over HTTP: read under the same cap, paid for in the same memory
//! budget, unpacked and decoded off the connection's thread. A generated server would have buffered and
//! decoded it before anyone could refuse.
//!
//! ```text
//! | packed u8 (0, 1) | length u32 big endian | message ... |       trailers: grpc-status, grpc-message
//! ```

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::post,
};
use base::{Kind, cap::Encoding};
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use http_body_util::{BodyExt, Full};
use ingest::{Otlp, OtlpFormat, OtlpSignal, OtlpTransport, Sender};
use model::TenantId;
use prost::Message;
use tonic::Code;

use super::answer;
use crate::{
    AppState, Error,
    body::Held,
    layers,
    push::{Push, header_text, unsupported_media},
    status,
};

const PREFIX_BYTES: usize = 5;
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", post(metrics))
        .route("/opentelemetry.proto.collector.logs.v1.LogsService/Export", post(logs))
        .route("/opentelemetry.proto.collector.trace.v1.TraceService/Export", post(traces))
}

async fn metrics(State(state): State<AppState>, request: Request) -> Response {
    export(state, request, OtlpSignal::Metrics).await
}

async fn logs(State(state): State<AppState>, request: Request) -> Response {
    export(state, request, OtlpSignal::Logs).await
}

async fn traces(State(state): State<AppState>, request: Request) -> Response {
    export(state, request, OtlpSignal::Traces).await
}

async fn export(state: AppState, request: Request, signal: OtlpSignal) -> Response {
    unary(request, async |request| {
        let call = Call::read(&state, request).await?;
        let what = Otlp { transport: OtlpTransport::Grpc, signal, format: OtlpFormat::Protobuf };
        let (tenant, sender) = (&call.tenant, &call.sender);
        let receipt = state.ingest.otlp(tenant, sender, what, call.encoding, call.message.clone()).await?;
        Ok(answer::export_response(&receipt))
    })
    .await
}

/// Answers a unary call with what `handle` makes of it, in the caller's protocol.
pub(crate) async fn unary<M: Message>(
    request: Request,
    handle: impl AsyncFnOnce(Request) -> Result<M, Error>,
) -> Response {
    let speaks_grpc = is_grpc(request.headers());
    match handle(request).await {
        Ok(message) => success(&message),
        Err(e) if speaks_grpc => failure(&e),
        Err(e) => layers::plain_error(&e, status::http_of(&e)),
    }
}

/// A unary call that writes.
pub(crate) struct Call {
    pub tenant: TenantId,
    pub sender: Sender,
    /// Of the message.
    pub encoding: Encoding,
    /// Without its frame.
    pub message: Bytes,
    _held: Held,
}

impl Call {
    /// Reads the one message of the call under admission's own limit.
    pub(crate) async fn read(state: &AppState, request: Request) -> Result<Self, Error> {
        let (push, named) = Push::open(state, request, packing).await?;
        let (tenant, sender, held) = push.read(state).await?;
        let (packed, message) = message(&held.bytes)?;
        let encoding = match (packed, named.as_str()) {
            (false, _) => Encoding::Identity,
            (true, "" | "identity") => {
                return Err(Error::invalid("the gRPC message is packed but grpc-encoding names nothing"));
            }
            (true, named) => Encoding::parse(named)?,
        };
        Ok(Call { tenant, sender, encoding, message, _held: held })
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    matches!(header_text(headers, &header::CONTENT_TYPE), "application/grpc" | "application/grpc+proto")
}

/// The packing that the head names.
fn packing(headers: &HeaderMap) -> Result<String, Error> {
    match is_grpc(headers) {
        true => Ok(header_text(headers, &GRPC_ENCODING).to_owned()),
        false => {
            let media = header_text(headers, &header::CONTENT_TYPE);
            Err(unsupported_media(media, "application/grpc"))
        }
    }
}

/// The one message of a unary call.
fn message(body: &Bytes) -> Result<(bool, Bytes), Error> {
    let broken = |why: String| Error::invalid(format!("the gRPC message is not valid: {why}"));
    let Some((&[flag, a, b, c, d], rest)) = body.split_first_chunk::<PREFIX_BYTES>() else {
        return Err(broken(format!("{} bytes are less than its prefix", body.len())));
    };
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if rest.len() != length {
        return Err(broken(format!("its prefix says {length} bytes, {} follow", rest.len())));
    }
    match flag {
        0 | 1 => Ok((flag == 1, body.slice(PREFIX_BYTES..))),
        other => Err(broken(format!("its flag is {other}"))),
    }
}

fn success(message: &impl Message) -> Response {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(PREFIX_BYTES + length);
    frame.put_u8(0);
    frame.put_u32(length as u32);
    frame.put_slice(&message.encode_to_vec());
    let mut trailers = HeaderMap::new();
    trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
    let body = Full::new(frame.freeze()).with_trailers(async move { Some(Ok(trailers)) });
    let mut response = Body::new(body).into_response();
    let h = response.headers_mut();
    h.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    h.insert(GRPC_ACCEPT_ENCODING, HeaderValue::from_static(ACCEPTED));
    response
}

const ACCEPTED: &str = "identity,gzip,zstd,deflate,snappy";

/// What an error is in gRPC.
pub fn status(e: &Error) -> tonic::Status {
    match e {
        // gRPC's own word for a packing the server does not know; the client then reads what it accepts.
        Error::UnsupportedMedia(why) => tonic::Status::new(Code::Unimplemented, why.clone()),
        other => answer::grpc_status(other),
    }
}

/// An error travels in the headers alone.
pub fn failure(e: &Error) -> Response {
    let mut response = status(e).into_http::<Body>();
    response.headers_mut().insert(GRPC_ACCEPT_ENCODING, HeaderValue::from_static(ACCEPTED));
    layers::finish_error(response, e)
}

/// For paths nobody serves: gRPC clients read a status, not an HTTP code.
pub fn unimplemented(path: &str) -> Response {
    let e = Error::new(Kind::NotFound, format!("there is no method {path:?}"));
    let status = tonic::Status::new(Code::Unimplemented, e.to_string());
    layers::finish_error(status.into_http::<Body>(), &e)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_prefix_that_disagrees_with_the_body_is_refused() {
        let ok = Bytes::from_static(&[1, 0, 0, 0, 2, 7, 8]);
        assert_eq!(message(&ok).unwrap(), (true, Bytes::from_static(&[7, 8])));
        for bad in [&[][..], &[0, 0, 0], &[0, 0, 0, 0, 3, 7, 8], &[0, 0, 0, 0, 1, 7, 8], &[2, 0, 0, 0, 0]] {
            assert!(message(&Bytes::copy_from_slice(bad)).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_body_makes_the_framing_panic(body in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = message(&Bytes::from(body));
        }
    }
}
