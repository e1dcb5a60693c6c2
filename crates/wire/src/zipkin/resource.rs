//! Which tags of a span describe its process, host or cluster and so belong to its resource.

use model::{Attributes, attributes::Resource};

use crate::spans::tags::take_text;

const SERVICE_NAME: &str = "service.name";
/// Names the attribute that the service's name was taken from, where that was not `service.name`.
const NAME_SOURCE: &str = "otlp.service.name.source";
/// What the collector writes where a resource names no service.
const NO_SERVICE_NAME: &str = "OTLPResourceNoServiceName";

/// Groups that OpenTelemetry's semantic conventions give to resources as a whole.
const GROUPS: [&str; 13] = [
    "aws.ecs.",
    "aws.eks.",
    "aws.log.",
    "cloud.",
    "container.",
    "deployment.",
    "device.",
    "host.",
    "k8s.",
    "os.",
    "process.",
    "telemetry.",
    "webengine.",
];
/// Members of groups that spans have attributes of too.
const SINGLE: [&str; 13] = [
    "service.name",
    "service.namespace",
    "service.instance.id",
    "service.version",
    "service.criticality",
    "faas.name",
    "faas.id",
    "faas.version",
    "faas.instance",
    "faas.max_memory",
    "opencensus.exporterversion",
    "opencensus.starttime",
    "opencensus.resourcetype",
];

/// Takes the resource out of a span's tags.
pub(super) fn resource(service: &str, tags: &mut Attributes) -> Resource {
    let (mut attributes, of_span): (Vec<_>, Vec<_>) =
        std::mem::take(&mut tags.0).into_iter().partition(|(key, _)| is_of_resource(key));
    tags.0 = of_span;
    let key = take_text(tags, NAME_SOURCE).unwrap_or_else(|| SERVICE_NAME.to_owned());
    let named = !service.is_empty() && service != NO_SERVICE_NAME;
    if named && !attributes.iter().any(|(k, _)| *k == key) {
        attributes.insert(0, (key, service.into()));
    }
    Resource { attributes: Attributes(attributes), ..Resource::default() }
}

fn is_of_resource(key: &str) -> bool {
    GROUPS.iter().any(|group| key.starts_with(group)) || SINGLE.contains(&key)
}
