//! Adds the cluster's name to what does not name one: telemetry is stamped once, at its origin.
//!
//! ```text
//! metrics   label cluster                              logs   label cluster, resource k8s.cluster.name
//! traces    resource k8s.cluster.name
//! ```

use model::{Attributes, Batch, ClusterName, Labels};

pub(crate) const LABEL: &str = "cluster";
const ATTRIBUTE: &str = "k8s.cluster.name";
/// Resource attributes that name a cluster already.
const NAMES: [&str; 2] = [ATTRIBUTE, "cluster.id"];

pub fn cluster(batch: &mut Batch, cluster: &ClusterName) {
    let name = cluster.as_str();
    match batch {
        Batch::Metrics(m) => {
            m.series.iter_mut().for_each(|l| label(l, name));
            // The numbers still tell the series apart, but one label more has to be checked.
            m.hints.iter_mut().for_each(|h| h.checked = None);
        }
        Batch::Logs(l) => {
            for stream in &mut l.streams {
                let named = named(&stream.resource.attributes).unwrap_or(name).to_owned();
                label(&mut stream.labels, &named);
                attribute(&mut stream.resource.attributes, name);
            }
        }
        Batch::Spans(s) => s.origins.iter_mut().for_each(|o| attribute(&mut o.resource.attributes, name)),
        _ => {}
    }
}

pub(crate) fn named(attributes: &Attributes) -> Option<&str> {
    NAMES.iter().find_map(|n| attributes.get_str(n))
}

fn attribute(attributes: &mut Attributes, name: &str) {
    if named(attributes).is_none() {
        attributes.push(ATTRIBUTE, name);
    }
}

fn label(labels: &mut Labels, name: &str) {
    add_label(labels, LABEL, name);
}

/// Adds a label where it is absent.
pub(crate) fn add_label(labels: &mut Labels, name: &str, value: &str) {
    if labels.get(name).is_some() {
        return;
    }
    // The pairs are sorted, so the new one goes between those before and those after it.
    let before = labels.iter().take_while(|(n, _)| *n < name);
    let after = labels.iter().skip_while(|(n, _)| *n < name);
    if let Some(stamped) = Labels::from_sorted(before.chain([(name, value)]).chain(after)) {
        *labels = stamped;
    }
}

#[cfg(test)]
mod tests {
    use model::{LogBatch, LogStream, MetricBatch};

    use super::*;

    #[test]
    fn a_cluster_is_added_where_absent_and_never_replaced() {
        let name = ClusterName::new("dev-01").unwrap();
        let mut batch = Batch::Metrics(MetricBatch {
            series: vec![
                Labels::from_pairs([("__name__", "up"), ("job", "a")]),
                Labels::from_pairs([("__name__", "up"), ("cluster", "other")]),
            ],
            ..Default::default()
        });
        cluster(&mut batch, &name);
        let Batch::Metrics(m) = &batch else { panic!() };
        assert_eq!(m.series[0].to_string(), r#"up{cluster="dev-01", job="a"}"#);
        assert_eq!(m.series[1].value("cluster"), "other");
    }

    #[test]
    fn a_log_stream_takes_the_cluster_its_resource_names() {
        let name = ClusterName::new("dev-01").unwrap();
        let mut stream = LogStream::default();
        stream.resource.attributes.push("k8s.cluster.name", "prod");
        let mut batch =
            Batch::Logs(LogBatch { streams: vec![stream, LogStream::default()], records: vec![] });
        cluster(&mut batch, &name);
        let Batch::Logs(l) = &batch else { panic!() };
        assert_eq!(l.streams[0].labels.value("cluster"), "prod");
        assert_eq!(l.streams[0].resource.attributes.len(), 1);
        assert_eq!(l.streams[1].labels.value("cluster"), "dev-01");
        assert_eq!(l.streams[1].resource.attributes.get_str("k8s.cluster.name"), Some("dev-01"));
    }
}
