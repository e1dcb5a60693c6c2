//! The process that reported spans, as a resource.

use model::{AnyValue, Attributes, attributes::Resource};

use crate::spans::tags::take;

const SERVICE_NAME: &str = "service.name";
/// What OpenTelemetry's collector writes where a resource names no service.
const NO_SERVICE_NAME: &str = "OTLPResourceNoServiceName";
const HOST_NAME: &str = "host.name";
/// Where OpenCensus noted who exported, and OpenTelemetry's translation still does.
const EXPORTER_VERSION: &str = "opencensus.exporterversion";

/// Jaeger's names become those of OpenTelemetry where the two differ.
pub(super) fn resource(service: String, mut tags: Attributes) -> Resource {
    if tags.get(HOST_NAME).is_none()
        && let Some(host) = take(&mut tags, "hostname")
    {
        tags.0.push((HOST_NAME.to_owned(), host));
    }
    if tags.get(EXPORTER_VERSION).is_none()
        && let Some(version) = take(&mut tags, "jaeger.version")
    {
        tags.push(EXPORTER_VERSION, format!("Jaeger-{version}"));
    }
    let named = !service.is_empty() && service != NO_SERVICE_NAME;
    if named && tags.get_str(SERVICE_NAME) != Some(&service) {
        tags.0.insert(0, (SERVICE_NAME.to_owned(), AnyValue::String(service)));
    }
    Resource { attributes: tags, ..Resource::default() }
}
