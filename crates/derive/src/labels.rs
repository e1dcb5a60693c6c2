//! Names and values of labels.

use std::borrow::Cow;

/// Longer values of labels are cut, as Tempo cuts them.
pub(crate) const MAX_VALUE_BYTES: usize = 2048;

/// Told apart from a dimension that happens to have its name.
const OWN: [&str; 16] = [
    "service",
    "span_name",
    "span_kind",
    "status_code",
    "status_message",
    "job",
    "instance",
    "cluster",
    "client",
    "server",
    "connection_type",
    "server_cluster",
    "metric_overflow",
    "le",
    "__name__",
    "__metrics_gen_instance",
];

/// The label that an attribute becomes: what a label name may not have becomes `_`, and `__` comes before a name
/// that is taken.
pub fn dimension_label(attribute: &str) -> String {
    let name = sanitized(attribute);
    if OWN.contains(&name.as_str()) { format!("__{name}") } else { name }
}

/// The label of an attribute of one side of an edge.
pub(crate) fn side_label(side: &str, attribute: &str) -> String {
    sanitized(&format!("{side}_{attribute}"))
}

fn sanitized(attribute: &str) -> String {
    let name: String =
        attribute.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

/// The value as far as a label holds it.
pub(crate) fn cut(value: &str) -> &str {
    if value.len() <= MAX_VALUE_BYTES {
        return value;
    }
    let end = (0..=MAX_VALUE_BYTES).rev().find(|i| value.is_char_boundary(*i)).unwrap_or(0);
    value.get(..end).unwrap_or_default()
}

/// A bound as the label `le` says it.
pub(crate) fn bound(value: f64) -> Cow<'static, str> {
    if value == f64::INFINITY { Cow::Borrowed("+Inf") } else { Cow::Owned(value.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_become_labels_that_collide_with_none() {
        assert_eq!(dimension_label("k8s.namespace.name"), "k8s_namespace_name");
        assert_eq!(dimension_label("service"), "__service");
        assert_eq!(dimension_label("3d-mode"), "_3d_mode");
        assert_eq!(side_label("client", "k8s.namespace.name"), "client_k8s_namespace_name");
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        let long = "ü".repeat(2000);
        assert_eq!(cut(&long).len(), MAX_VALUE_BYTES);
        assert_eq!(cut("short"), "short");
        let odd = format!("x{long}");
        assert_eq!(cut(&odd).len(), MAX_VALUE_BYTES - 1);
    }
}
