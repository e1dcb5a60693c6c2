//! Answers of the Prometheus API, as far as they are compared.

use serde::Deserialize;

/// What an answer holds: enough to see whether two programs answer the same.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Answered {
    pub(crate) series: u64,
    pub(crate) points: u64,
    /// Of all values that are numbers.
    pub(crate) sum: f64,
    /// What was said beside it: that a part is missing, above all.
    pub(crate) warnings: Vec<String>,
}

impl Answered {
    /// `None` where the body is no vector or matrix.
    pub(crate) fn read(body: &[u8]) -> Option<Answered> {
        #[derive(Deserialize)]
        struct Body {
            data: Data,
            #[serde(default)]
            warnings: Vec<String>,
        }
        #[derive(Deserialize)]
        struct Data {
            result: Vec<Element>,
        }
        type Point = (f64, String);
        #[derive(Deserialize)]
        struct Element {
            value: Option<Point>,
            #[serde(default)]
            values: Vec<Point>,
        }
        let body: Body = serde_json::from_slice(body).ok()?;
        let mut out = Answered { warnings: body.warnings, ..Answered::default() };
        for element in body.data.result {
            out.series += 1;
            for (_, value) in element.value.into_iter().chain(element.values) {
                out.points += 1;
                out.sum += value.parse::<f64>().ok().filter(|v| v.is_finite()).unwrap_or(0.0);
            }
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_known_by_its_series_points_and_sum() {
        let body = r#"{"status":"success","data":{"resultType":"matrix","result":[
            {"metric":{"a":"b"},"values":[[1,"1.5"],[2.5,"NaN"],[3,"2"]]},{"metric":{},"values":[[1,"+Inf"]]}]}}"#;
        let want = Answered { series: 2, points: 4, sum: 3.5, ..Answered::default() };
        assert_eq!(Answered::read(body.as_bytes()), Some(want));
        let want = Answered { series: 1, points: 1, sum: 7.0, ..Answered::default() };
        let body = r#"{"data":{"resultType":"vector","result":[{"metric":{},"value":[1,"7"]}]}}"#;
        assert_eq!(Answered::read(body.as_bytes()), Some(want));
        assert_eq!(Answered::read(b"<html>"), None);
        assert_eq!(Answered::read(br#"{"status":"error","error":"x"}"#), None);
    }
}
