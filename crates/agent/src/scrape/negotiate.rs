//! Which format a target is asked for, and which one its answer is in.

use super::{Escaping, Protocol};

/// How a body is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    OpenMetrics,
    Protobuf,
}

impl Format {
    fn of(protocol: Protocol) -> Self {
        match protocol {
            Protocol::PrometheusProto => Format::Protobuf,
            Protocol::PrometheusText004 | Protocol::PrometheusText100 => Format::Text,
            Protocol::OpenMetrics001 | Protocol::OpenMetrics100 => Format::OpenMetrics,
        }
    }

    pub(super) fn media_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain",
            Format::OpenMetrics => "application/openmetrics-text",
            Format::Protobuf => "application/vnd.google.protobuf",
        }
    }
}

/// The `Accept` header: the protocols with falling weights, and at last anything.
pub(super) fn accept(protocols: &[Protocol], escaping: Escaping) -> String {
    let mut weight = Protocol::ALL.len() + 1;
    let mut out = String::new();
    for p in protocols {
        let media = match p {
            Protocol::PrometheusProto => {
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
            }
            Protocol::PrometheusText004 => "text/plain;version=0.0.4",
            Protocol::PrometheusText100 => "text/plain;version=1.0.0",
            Protocol::OpenMetrics001 => "application/openmetrics-text;version=0.0.1",
            Protocol::OpenMetrics100 => "application/openmetrics-text;version=1.0.0",
        };
        out.push_str(media);
        // Older versions of the formats know no escaping.
        if matches!(p, Protocol::PrometheusText100 | Protocol::OpenMetrics100) {
            out.push_str(&format!(";escaping={}", escaping.as_str()));
        }
        out.push_str(&format!(";q=0.{weight},"));
        weight = weight.saturating_sub(1);
    }
    out.push_str(&format!("*/*;q=0.{weight}"));
    out
}

/// The format of an answer. An answer that does not say what it is cannot be read by guessing.
pub(super) fn format_of(content_type: &str, fallback: Option<Protocol>) -> Result<Format, String> {
    let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let known = [Format::Text, Format::OpenMetrics, Format::Protobuf];
    if let Some(format) = known.into_iter().find(|f| f.media_type() == media) {
        return Ok(format);
    }
    match fallback {
        Some(protocol) => Ok(Format::of(protocol)),
        None if content_type.is_empty() => Err(
            "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target"
                .to_owned(),
        ),
        None => Err(format!(
            "received unsupported Content-Type {content_type:?} and no fallback_scrape_protocol specified for target"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_asked_for_in_order_with_anything_last() {
        assert_eq!(
            accept(&Protocol::TEXT_FIRST, Escaping::AllowUtf8),
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,\
             text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
        );
        assert_eq!(
            accept(&[Protocol::PrometheusText004], Escaping::Dots),
            "text/plain;version=0.0.4;q=0.6,*/*;q=0.5"
        );
    }

    #[test]
    fn a_content_type_that_is_not_known_needs_a_fallback() {
        assert_eq!(format_of("text/plain; version=0.0.4", None), Ok(Format::Text));
        assert_eq!(format_of("Application/OpenMetrics-Text; version=1.0.0", None), Ok(Format::OpenMetrics));
        assert!(format_of("", None).unwrap_err().contains("blank Content-Type"));
        assert!(format_of("text/html", None).unwrap_err().contains("\"text/html\""));
        assert_eq!(format_of("text/html", Some(Protocol::OpenMetrics001)), Ok(Format::OpenMetrics));
    }
}
