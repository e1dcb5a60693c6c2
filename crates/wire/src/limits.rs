//! What one item may look like. Every decoder takes these limits, so that a label name of a megabyte is a
//! refusal with a name and not an entry in an index.

use model::{Attributes, Labels};

use crate::text::{clip, quoted};

/// Limits of a single series, record or span. Larger values cost memory in the head and in every index;
/// smaller ones refuse senders that exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a label name, attribute key or metric name.
    pub max_label_name_bytes: usize,
    /// Bytes of a label value.
    pub max_label_value_bytes: usize,
    /// Labels of one series or stream.
    pub max_labels: usize,
    /// Bytes of a log record's body.
    pub max_line_bytes: usize,
    /// Attributes of one record, span, event, link, scope or resource.
    pub max_attributes: usize,
    /// Bytes that the attributes of one of those may hold together.
    pub max_attribute_bytes: usize,
    /// Events plus links of one span.
    pub max_span_children: usize,
    /// Buckets of one histogram, classic or native.
    pub max_histogram_buckets: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_label_name_bytes: 1 << 10,
            max_label_value_bytes: 16 << 10,
            max_labels: 128,
            max_line_bytes: 1 << 20,
            max_attributes: 1 << 10,
            max_attribute_bytes: 1 << 20,
            max_span_children: 1 << 12,
            max_histogram_buckets: 1 << 12,
        }
    }
}

impl Limits {
    /// Checks one pair as it arrives; the error names the label and the limit.
    pub fn check_pair(&self, name: &str, value: &str) -> Result<(), String> {
        if name.is_empty() {
            return Err(format!("a label name is empty (value {})", quoted(value)));
        }
        if name.len() > self.max_label_name_bytes {
            return Err(format!(
                "label name {} has {} bytes, ingest.max_label_name is {}",
                quoted(name),
                name.len(),
                self.max_label_name_bytes
            ));
        }
        if value.len() > self.max_label_value_bytes {
            return Err(format!(
                "value {} of label {} has {} bytes, ingest.max_label_value is {}",
                quoted(value),
                quoted(name),
                value.len(),
                self.max_label_value_bytes
            ));
        }
        Ok(())
    }

    pub fn check_count(&self, labels: usize) -> Result<(), String> {
        if labels > self.max_labels {
            return Err(format!("{labels} labels, ingest.max_labels is {}", self.max_labels));
        }
        Ok(())
    }

    /// Sorts `pairs`, checks them and packs them. Empty values are absent labels; a name given twice is an
    /// error, since either value could be meant.
    pub fn labels(&self, pairs: &mut Vec<(&str, &str)>) -> Result<Labels, String> {
        self.check_count(pairs.len())?;
        for (n, v) in pairs.iter() {
            self.check_pair(n, v)?;
        }
        if !pairs.is_sorted_by(|a, b| a.0 < b.0) {
            pairs.sort_unstable_by(|a, b| a.0.cmp(b.0));
        }
        Labels::from_sorted(pairs.iter().copied()).ok_or_else(|| {
            let twice = pairs.windows(2).find(|w| matches!(w, [a, b] if a.0 == b.0));
            let name = twice.and_then(|w| w.first()).map_or("", |p| p.0);
            format!("label {} is given twice", quoted(name))
        })
    }

    /// Checks the attributes of one carrier (`what`: "span", "resource", ...).
    pub fn check_attributes(&self, what: &str, attributes: &Attributes) -> Result<(), String> {
        if attributes.len() > self.max_attributes {
            return Err(format!(
                "{what} with {} attributes, at most {} are kept",
                attributes.len(),
                self.max_attributes
            ));
        }
        if let Some((k, _)) = attributes.iter().find(|(k, _)| k.len() > self.max_label_name_bytes) {
            return Err(format!(
                "{what} attribute key {} has {} bytes, ingest.max_label_name is {}",
                quoted(k),
                k.len(),
                self.max_label_name_bytes
            ));
        }
        let bytes = attributes.heap_bytes();
        // The fixed part of each value is ours, not the sender's.
        if bytes > self.max_attribute_bytes.saturating_add(attributes.len().saturating_mul(64)) {
            let largest = attributes.iter().max_by_key(|(_, v)| v.heap_bytes()).map_or("", |(k, _)| k);
            return Err(format!(
                "{what} attributes of {bytes} bytes (largest {}), at most {} are kept",
                clip(largest),
                self.max_attribute_bytes
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_name_of_a_megabyte_is_refused_with_the_limits_name_and_a_short_text() {
        let name = "x".repeat(1 << 20);
        let err = Limits::default().labels(&mut vec![(name.as_str(), "v")]).unwrap_err();
        assert!(err.contains("ingest.max_label_name is 1024"), "{err}");
        assert!(err.len() < 400, "{}", err.len());
    }

    #[test]
    fn unsorted_pairs_are_sorted_and_a_name_given_twice_is_an_error() {
        let l = Limits::default();
        let labels = l.labels(&mut vec![("b", "2"), ("a", "1"), ("c", "")]).unwrap();
        assert_eq!(labels, Labels::from_pairs([("a", "1"), ("b", "2")]));
        let err = l.labels(&mut vec![("b", "2"), ("a", "1"), ("b", "2")]).unwrap_err();
        assert_eq!(err, "label \"b\" is given twice");
    }
}
