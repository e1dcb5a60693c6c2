//! Remote write 1.0 and 2.0 (`prometheus.io/docs/specs/prw`), told apart by the content type.
//!
//! 204 when everything is durable. When single samples were refused the rest is stored and the answer is 400
//! with the reasons, as Prometheus itself does: senders drop on 400, so nothing is sent again for ever. Answers
//! to 2.0 say besides, in headers, how many samples, histograms and exemplars were written; a content type or an
//! encoding that is neither version's is 415, on which a sender of one version tries the other.

use axum::{
    extract::{Request, State},
    response::Response,
};
use base::cap::Encoding;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use ingest::{Receipt, Written};

use crate::{
    AppState, Error, layers,
    push::{self, Push, header_text},
    status,
};

const SAMPLES_WRITTEN: HeaderName = HeaderName::from_static("x-prometheus-remote-write-samples-written");
const HISTOGRAMS_WRITTEN: HeaderName =
    HeaderName::from_static("x-prometheus-remote-write-histograms-written");
const EXEMPLARS_WRITTEN: HeaderName = HeaderName::from_static("x-prometheus-remote-write-exemplars-written");

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

pub async fn write(State(state): State<AppState>, request: Request) -> Response {
    let version = version_of(header_text(request.headers(), &header::CONTENT_TYPE));
    let (mut response, written) = match take(&state, request).await {
        Ok((receipt, written)) => (push::acknowledge(&receipt), written),
        Err(e) => (layers::plain_error(&e, status::push(&e)), Written::default()),
    };
    // Senders of 1.0 must not read them: without them they would take everything for lost.
    if version == Some(Version::Two) {
        let headers = response.headers_mut();
        headers.insert(SAMPLES_WRITTEN, HeaderValue::from(written.samples));
        headers.insert(HISTOGRAMS_WRITTEN, HeaderValue::from(written.histograms));
        headers.insert(EXEMPLARS_WRITTEN, HeaderValue::from(written.exemplars));
    }
    response
}

async fn take(state: &AppState, request: Request) -> Result<(Receipt, Written), Error> {
    let (push, (version, encoding)) = Push::open(state, request, shape).await?;
    let (tenant, sender, held) = push.read(state).await?;
    let body = held.bytes.clone();
    Ok(match version {
        Version::One => {
            let receipt = state.ingest.remote_write_v1(&tenant, &sender, encoding, body).await?;
            (receipt, Written::default())
        }
        Version::Two => state.ingest.remote_write_v2(&tenant, &sender, encoding, body).await?,
    })
}

/// What the head says about the body.
fn shape(headers: &HeaderMap) -> Result<(Version, Encoding), Error> {
    let named = header_text(headers, &header::CONTENT_TYPE);
    let version = version_of(named).ok_or_else(|| {
        let wanted = "application/x-protobuf with proto=prometheus.WriteRequest (remote write 1.0) or \
                      proto=io.prometheus.write.v2.Request (2.0)";
        push::unsupported_media(named, wanted)
    })?;
    Ok((version, encoding_of(header_text(headers, &header::CONTENT_ENCODING))?))
}

/// Both versions demand snappy, so some senders do not name it; vmagent packs with zstd.
fn encoding_of(value: &str) -> Result<Encoding, Error> {
    match value {
        "" => Ok(Encoding::Snappy),
        named => match Encoding::parse(named)? {
            known @ (Encoding::Snappy | Encoding::Zstd) => Ok(known),
            _ => {
                let why = format!("content encoding {named:?} is not supported for remote write, use snappy");
                Err(Error::UnsupportedMedia(why))
            }
        },
    }
}

/// The version a content type names; protobuf that names none is 1.0.
fn version_of(value: &str) -> Option<Version> {
    let mut parts = value.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default().to_ascii_lowercase();
    if !matches!(media.as_str(), "" | "application/x-protobuf" | "application/protobuf") {
        return None;
    }
    let proto = parts.filter_map(|p| p.split_once('=')).find(|(name, _)| name.eq_ignore_ascii_case("proto"));
    match proto.map(|(_, value)| value.trim_matches('"')) {
        None | Some("prometheus.WriteRequest") => Some(Version::One),
        Some("io.prometheus.write.v2.Request") => Some(Version::Two),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_type_alone_tells_the_version() {
        for (value, want) in [
            ("", Some(Version::One)),
            ("application/x-protobuf", Some(Version::One)),
            ("application/x-protobuf; proto=prometheus.WriteRequest", Some(Version::One)),
            ("application/x-protobuf;proto=io.prometheus.write.v2.Request", Some(Version::Two)),
            ("Application/X-Protobuf;charset=x;Proto=\"io.prometheus.write.v2.Request\"", Some(Version::Two)),
            ("application/x-protobuf;proto=io.prometheus.write.v3.Request", None),
            ("application/json", None),
        ] {
            assert_eq!(version_of(value), want, "{value}");
        }
    }

    #[test]
    fn other_packings_than_the_specifications_are_415() {
        assert_eq!(encoding_of("").unwrap(), Encoding::Snappy);
        assert_eq!(encoding_of("snappy").unwrap(), Encoding::Snappy);
        for named in ["gzip", "deflate", "br", "identity"] {
            let e = encoding_of(named).unwrap_err();
            assert_eq!(status::push(&e), http::StatusCode::UNSUPPORTED_MEDIA_TYPE, "{named}");
        }
    }
}
