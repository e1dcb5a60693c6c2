//! VictoriaMetrics' native JSON lines: every stored sample, unlike its query API, which may drop and rewrite some.
//!
//! ```text
//! {"metric":{"__name__":"up","job":"a"},"values":[1,0,null],"timestamps":[1549891472010,1549891487724,1549891503438]}
//! ```
//! A value that is no number is `null`, `"Infinity"` or `"-Infinity"` today; versions before wrote `NaN`, `+Inf` and
//! `-Inf` as they are, which is no JSON (app/vmselect/prometheus/export.qtpl), so that lines are read by hand. The only
//! NaN that VictoriaMetrics stores is the staleness marker.

use std::collections::BTreeMap;

use contract::Result;
use model::{Labels, Matcher, stale_marker};

use super::Site;
use crate::foreign::{
    error::{garbled, unreached},
    gather::{Gather, Piece},
    line::Lines,
    selector::selector,
    site::seconds,
};

/// Samples of one line, so that a line stays far below what is read of one.
const ROWS: u32 = 100_000;

pub(super) async fn series(
    site: &Site,
    sent: &[Matcher],
    range: (i64, i64),
    into: &mut Gather,
) -> Result<()> {
    // It reads times as floats and cuts them to milliseconds: one more on each side, which is cut off again here.
    let form = vec![
        ("match[]", selector(sent)),
        ("start", seconds((range.0 - 1).max(0))),
        ("end", seconds(range.1.saturating_add(1))),
        ("max_rows_per_line", ROWS.to_string()),
    ];
    let mut incoming = site.open(site.posted("/api/v1/export", &form), into.limits()).await?;
    let bad = |reason: String| garbled(&site.name, "an exported line", reason);
    let mut lines = Lines::default();
    while let Some(piece) = incoming.next().await.map_err(unreached)? {
        lines.push(&piece).map_err(bad)?;
        while let Some(line) = lines.pull() {
            take(line, into, &bad)?;
        }
    }
    take(lines.rest(), into, &bad)
}

fn take(line: &[u8], into: &mut Gather, bad: &impl Fn(String) -> contract::Error) -> Result<()> {
    if line.trim_ascii().is_empty() {
        return Ok(());
    }
    let (labels, timestamps_ms, values) = parse(line).map_err(|e| bad(format!("{e}: {}", excerpt(line))))?;
    into.add(labels, [Piece::Samples { timestamps_ms, values, histograms: Vec::new() }])
}

fn excerpt(line: &[u8]) -> String {
    String::from_utf8_lossy(line.get(..line.len().min(120)).unwrap_or_default()).into_owned()
}

type Line = (Labels, Vec<i64>, Vec<f64>);

/// Labels, times and values of a line.
fn parse(line: &[u8]) -> Result<Line, String> {
    let text = std::str::from_utf8(line).map_err(|_| "it is not UTF-8")?.trim();
    let rest = text.strip_prefix("{\"metric\":").ok_or("it does not begin with its metric")?;
    let mut objects = serde_json::Deserializer::from_str(rest).into_iter::<BTreeMap<String, String>>();
    let pairs = objects.next().ok_or("it has no labels")?.map_err(|e| e.to_string())?;
    let rest = rest.get(objects.byte_offset()..).unwrap_or_default();
    let rest = rest.strip_prefix(",\"values\":[").ok_or("no values follow the labels")?;
    let (values, rest) = rest.split_once(']').ok_or("the values do not end")?;
    let rest = rest.strip_prefix(",\"timestamps\":[").ok_or("no times follow the values")?;
    let (times, rest) = rest.split_once(']').ok_or("the times do not end")?;
    if rest != "}" {
        return Err("something follows the times".to_owned());
    }
    let values = list(values).map(value).collect::<Result<Vec<f64>, String>>()?;
    let times = list(times).map(|t| t.parse().map_err(|_| format!("{t} is no time")));
    let times = times.collect::<Result<Vec<i64>, String>>()?;
    match values.len() == times.len() {
        true => Ok((Labels::from_pairs(pairs), times, values)),
        false => Err(format!("it has {} values and {} times", values.len(), times.len())),
    }
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|t| !t.is_empty())
}

fn value(text: &str) -> Result<f64, String> {
    match text.trim_matches('"') {
        "null" | "NaN" => Ok(stale_marker()),
        "Infinity" | "+Inf" | "Inf" => Ok(f64::INFINITY),
        "-Infinity" | "-Inf" => Ok(f64::NEG_INFINITY),
        number => number.parse().map_err(|_| format!("{} is no value", excerpt(number.as_bytes()))),
    }
}

#[cfg(test)]
mod tests {
    use model::is_stale_marker;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_is_read_with_all_that_a_value_can_be() {
        let line = br#"{"metric":{"__name__":"a","x":"]\"values\":["},"values":[1,-0.5,null,"Infinity",-Inf,NaN],"timestamps":[1,2,3,4,5,6]}"#;
        let (labels, times, values) = parse(line).unwrap();
        assert_eq!(labels, Labels::from_pairs([("__name__", "a"), ("x", "]\"values\":[")]));
        assert_eq!(times, [1, 2, 3, 4, 5, 6]);
        assert_eq!((values[0], values[1]), (1.0, -0.5));
        assert!(is_stale_marker(values[2]) && is_stale_marker(values[5]));
        assert_eq!((values[3], values[4]), (f64::INFINITY, f64::NEG_INFINITY));
        let empty = parse(br#"{"metric":{},"values":[],"timestamps":[]}"#).unwrap();
        assert_eq!(empty, (Labels::default(), Vec::new(), Vec::new()));
    }

    #[test]
    fn what_is_no_line_says_why() {
        for (line, why) in [
            ("<html>", "begin"),
            (r#"{"metric":{"a":1},"values":[],"timestamps":[]}"#, "string"),
            (r#"{"metric":{},"values":[1],"timestamps":[]}"#, "1 values and 0 times"),
            (r#"{"metric":{},"values":[x],"timestamps":[1]}"#, "x is no value"),
            (r#"{"metric":{},"values":[1],"timestamps":[1.5]}"#, "1.5 is no time"),
            (r#"{"metric":{},"values":[1"#, "do not end"),
        ] {
            let e = parse(line.as_bytes()).unwrap_err();
            assert!(e.contains(why), "{line}: {e}");
        }
    }

    proptest! {
        #[test]
        fn random_lines_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
            let mut line = br#"{"metric":{},"values":["#.to_vec();
            line.extend(&bytes);
            let _ = parse(&line);
        }
    }
}
