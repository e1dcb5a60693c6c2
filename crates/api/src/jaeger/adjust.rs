//! What Jaeger changes about a trace before it shows it, unless asked for the trace as it was stored (`raw`): ids that
//! client and server share, clocks that differ, addresses sent as numbers, attributes of libraries, links to nothing.
//! Every change that could mislead is said in the span's warnings.

mod clocks;
mod ids;

use model::{AnyValue, Span, SpanBatch};

use super::tags::warn;

/// Attributes that say with what telemetry was made, and belong to the resource.
const LIBRARY: [&str; 5] = [
    "telemetry.sdk.language",
    "telemetry.sdk.name",
    "telemetry.sdk.version",
    "telemetry.distro.name",
    "telemetry.distro.version",
];

/// Adjusts a trace that is whole, as far as it can be had.
pub(super) fn adjust(batch: &mut SpanBatch) {
    ids::make_unique(batch);
    clocks::correct(batch);
    for origin in &mut batch.origins {
        addresses(&mut origin.resource.attributes.0);
    }
    for span in &mut batch.spans {
        addresses(&mut span.attributes.0);
        empty_links(span);
    }
    libraries(batch);
}

/// Some clients sent IPv4 addresses as the number they are.
fn addresses(attributes: &mut [(String, AnyValue)]) {
    for (key, value) in attributes {
        let number = match value {
            AnyValue::Int(i) => *i as u32,
            AnyValue::Double(d) => *d as u32,
            _ => continue,
        };
        if matches!(key.as_str(), "ip" | "peer.ipv4") {
            *value = AnyValue::String(std::net::Ipv4Addr::from(number).to_string());
        }
    }
}

fn empty_links(span: &mut Span) {
    let before = span.links.len();
    span.links.retain(|l| l.trace_id != [0; 16]);
    for _ in span.links.len()..before {
        warn(span, "Invalid span link removed".to_owned());
    }
}

/// Moves attributes of libraries from spans to their resource, which all its spans share.
fn libraries(batch: &mut SpanBatch) {
    for span in &mut batch.spans {
        if !span.attributes.iter().any(|(k, _)| LIBRARY.contains(&k)) {
            continue;
        }
        let Some(origin) = batch.origins.get_mut(span.origin as usize) else { continue };
        let of_resource = &mut origin.resource.attributes;
        let mut conflicts = Vec::new();
        span.attributes.0.retain(|(key, value)| {
            if !LIBRARY.contains(&key.as_str()) {
                return true;
            }
            match of_resource.get(key) {
                Some(there) if there != value => {
                    conflicts.push(key.clone());
                    return true;
                }
                Some(_) => {}
                None => of_resource.push(key.clone(), value.clone()),
            }
            false
        });
        for key in conflicts {
            warn(span, format!("conflicting values between Span and Resource for attribute {key}"));
        }
    }
}

#[cfg(test)]
mod tests;
