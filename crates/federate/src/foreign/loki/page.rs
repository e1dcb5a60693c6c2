//! One answer of `query_range`.
//!
//! ```text
//! {"status":"success","data":{"resultType":"streams","result":[
//!   {"stream":{"app":"a"},"values":[["1700000000000000000","a line",{"structuredMetadata":{"trace_id":"ab"}}]]}]}}
//! ```
//! The third element is there where the server can keep structured metadata apart from stream labels and is asked to
//! (`X-Loki-Response-Encoding-Flags: categorize-labels`, since Loki 2.9.2); servers before that put them among the
//! stream's labels, from which they cannot be told any more.

use std::collections::BTreeMap;

use model::{AnyValue, Attributes, Labels};
use serde::Deserialize;

/// A record as Loki has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) at_ns: i64,
    pub(super) labels: Labels,
    pub(super) line: String,
    pub(super) metadata: Attributes,
}

#[derive(Deserialize)]
struct Body {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    kind: String,
    #[serde(default)]
    result: Option<Vec<Stream>>,
}

#[derive(Deserialize)]
struct Stream {
    #[serde(default)]
    stream: BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Plain(String, String),
    Apart(String, String, Apart),
}

#[derive(Deserialize, Default)]
struct Apart {
    #[serde(default, rename = "structuredMetadata")]
    metadata: BTreeMap<String, String>,
}

/// The entries of an answer, in the order of its streams.
pub(super) fn read(body: &[u8]) -> Result<Vec<Entry>, String> {
    let body: Body = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    if body.data.kind != "streams" {
        return Err(format!("its type is {:?}", body.data.kind));
    }
    let mut out = Vec::new();
    for s in body.data.result.unwrap_or_default() {
        let labels = Labels::from_pairs(s.stream);
        for v in s.values {
            let (at, line, apart) = match v {
                Value::Plain(at, line) => (at, line, Apart::default()),
                Value::Apart(at, line, apart) => (at, line, apart),
            };
            let at_ns = at.parse().map_err(|_| format!("{at:?} is no time"))?;
            let metadata = apart.metadata.into_iter().map(|(k, v)| (k, AnyValue::String(v))).collect();
            out.push(Entry { at_ns, labels: labels.clone(), line, metadata });
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_forms_of_a_value_are_read() {
        let entries = read(
            br#"{"status":"success","data":{"resultType":"streams","encodingFlags":["categorize-labels"],"result":[
            {"stream":{"app":"a"},"values":[["2","two",{"structuredMetadata":{"trace_id":"ab"},"parsed":{}}],["1","one",{}]]},
            {"stream":{"app":"b"},"values":[["3","three"]]}],"stats":{}}}"#,
        );
        let got = entries.unwrap();
        assert_eq!(got.len(), 3);
        assert_eq!((got[0].at_ns, got[0].line.as_str(), got[0].labels.value("app")), (2, "two", "a"));
        assert_eq!(got[0].metadata.get_str("trace_id"), Some("ab"));
        assert!(got[1].metadata.is_empty() && got[2].metadata.is_empty());
        assert!(read(br#"{"data":{"resultType":"streams","result":null}}"#).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_answer_says_why() {
        for (body, why) in [
            (&br#"{"data":{"resultType":"matrix","result":[]}}"#[..], "matrix"),
            (br#"{"data":{"resultType":"streams","result":[{"values":[["x","l"]]}]}}"#, "no time"),
            (b"<html>", "expected"),
        ] {
            assert!(read(body).unwrap_err().contains(why));
        }
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }
    }
}
