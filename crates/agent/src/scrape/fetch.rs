//! Asks a target for its metrics and reads the answer.

use base::cap::{Encoding, unpack};
use bytes::Bytes;
use wire::exposition::{Exposition, Histograms, ScrapeOptions};

use super::{
    ScrapeConfig,
    classic::to_custom_buckets,
    failure::Failure,
    negotiate::{accept, format_of},
    target::Target,
};

/// Body size where the job sets none. Larger: a broken target costs more memory.
const DEFAULT_BODY_LIMIT: usize = 128 << 20;

/// What a target answered, unpacked.
pub(super) struct Body {
    pub(super) bytes: Bytes,
    pub(super) content_type: String,
}

/// Asks the target.
pub(super) async fn fetch(
    client: &net::Client,
    config: &ScrapeConfig,
    target: &Target,
) -> Result<Body, Failure> {
    // A body of exactly the limit is refused too, as in Prometheus.
    let limit = match usize::try_from(config.limits.body_size_bytes) {
        Ok(0) | Err(_) => DEFAULT_BODY_LIMIT,
        Ok(n) => n - 1,
    };
    let encoding = if config.compression { "gzip" } else { "identity" };
    let mut request = net::Request::get(&target.url)
        .header("accept", accept(&config.protocols, config.escaping))
        .header("accept-encoding", encoding)
        .header("x-prometheus-scrape-timeout-seconds", target.timeout.as_secs_f64().to_string());
    request.timeout = target.timeout;
    request.max_answer_bytes = limit;
    request.unix_socket = target.unix_socket.clone();
    let answer = client.send(request).await.map_err(|e| match e {
        net::Error::TooLarge { .. } => Failure::BodySize,
        e => Failure::Target(e.to_string()),
    })?;
    if answer.status.as_u16() != 200 {
        return Err(Failure::Target(format!("server returned HTTP status {}", answer.status)));
    }
    let content_type = answer.header("content-type").to_owned();
    let packed = Encoding::parse(answer.header("content-encoding"));
    let bytes = match packed.map_err(|e| Failure::Target(e.to_string()))? {
        Encoding::Identity => answer.body,
        packed => match unpack(packed, &answer.body, limit) {
            Ok(bytes) => bytes.into(),
            Err(e) if e.kind() == base::Kind::Limited => return Err(Failure::BodySize),
            Err(e) => return Err(Failure::Target(e.to_string())),
        },
    };
    Ok(Body { bytes, content_type })
}

impl Body {
    /// Reads the metrics. An empty answer is a scrape without samples, whatever its type.
    pub(super) fn parse(
        &self,
        config: &ScrapeConfig,
        target: &Target,
        limits: &wire::Limits,
        at_ms: i64,
    ) -> Result<Exposition, Failure> {
        if self.bytes.is_empty() {
            return Ok(Exposition::default());
        }
        let format = format_of(&self.content_type, config.fallback_protocol).map_err(Failure::Content)?;
        let histograms = Histograms { native: target.native_histograms, classic: target.always_classic };
        let options = ScrapeOptions {
            honor_timestamps: config.honor_timestamps,
            histograms,
            ..ScrapeOptions::new(at_ms, limits)
        };
        let exposition = wire::exposition::parse(format.media_type(), &self.bytes, &options)
            .map_err(|e| Failure::Content(e.to_string()))?;
        Ok(match target.classic_to_custom {
            true => to_custom_buckets(exposition, target.always_classic),
            false => exposition,
        })
    }
}
