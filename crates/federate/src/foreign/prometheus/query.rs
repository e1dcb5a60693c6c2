//! Samples through the query API: `selector[range]` as an instant query gives them as they are stored, in slices from
//! the newest to the oldest, each as long as the one before lets expect about [`WANTED`] samples.
//!
//! Whether a window includes its beginning changed with Prometheus 3.0 (it does up to 2.x, and in Thanos and Mimir
//! built on it), so a window begins one millisecond early and what is there twice counts once. Staleness markers are
//! not to be had this way: every engine leaves them out of range vectors.

use base::Kind;
use contract::Result;
use model::{Labels, Matcher};

use super::{
    Site,
    json::{Element, Matrix, Success, number},
};
use crate::foreign::{
    error::garbled,
    gather::{Gather, Piece},
    selector::selector,
    site::seconds,
};

/// Samples of one slice. Larger: fewer requests, each of which holds more memory on both sides.
const WANTED: u64 = 1_000_000;
const FIRST_SLICE_MS: i64 = 3_600_000;
/// A slice that is refused for its size is not made smaller than this.
const LEAST_SLICE_MS: i64 = 60_000;
/// Slices grow and shrink by this much at once; empty years are passed in ten steps.
const STEP: i64 = 4;

/// Gives the warnings of all slices.
pub(super) async fn series(
    site: &Site,
    sent: &[Matcher],
    (first, last): (i64, i64),
    into: &mut Gather,
) -> Result<Vec<String>> {
    let text = selector(sent);
    let (mut end, mut width) = (last, FIRST_SLICE_MS);
    let mut warnings = Vec::new();
    while end >= first {
        let start = end.saturating_sub(width - 1).max(first);
        match slice(site, &text, (start, end), into, &mut warnings).await {
            Ok(samples) => {
                end = start - 1;
                width = next_width(width, samples);
            }
            Err(e) if is_too_much(&e) && width > LEAST_SLICE_MS => width = (width / STEP).max(LEAST_SLICE_MS),
            Err(e) => return Err(e),
        }
    }
    warnings.sort_unstable();
    warnings.dedup();
    Ok(warnings)
}

fn next_width(width: i64, samples: u64) -> i64 {
    let room = (WANTED / samples.max(1)).clamp(0, STEP as u64) as i64;
    match room {
        0 => (width / STEP).max(LEAST_SLICE_MS),
        room => width.saturating_mul(room),
    }
}

/// Whether less at once may be answered. A limit of our own query is none of the server's.
fn is_too_much(e: &contract::Error) -> bool {
    let said = |words: &[&str]| words.iter().any(|w| e.message.contains(w));
    e.limit.is_none()
        && match e.kind {
            Kind::Limited => true,
            Kind::Invalid | Kind::Unavailable => said(&["too many samples", "exceed", "limit"]),
            _ => false,
        }
}

/// Both ends included; how many samples came.
async fn slice(
    site: &Site,
    selector: &str,
    (start, end): (i64, i64),
    into: &mut Gather,
    warnings: &mut Vec<String>,
) -> Result<u64> {
    let form = vec![("query", format!("{selector}[{}ms]", end - start + 1)), ("time", seconds(end))];
    let body: Success<Matrix> = site.json(site.posted("/api/v1/query", &form), into.limits()).await?;
    let bad = |reason: &str| garbled(&site.name, "a matrix", reason);
    if body.data.kind != "matrix" {
        return Err(bad(&format!("its type is {:?}", body.data.kind)));
    }
    warnings.extend(body.warnings);
    let mut samples = 0;
    for element in body.data.result {
        let (labels, mut piece) = read(element).map_err(|e| bad(&e))?;
        if let Piece::Samples { timestamps_ms, values, histograms } = &mut piece {
            samples += (timestamps_ms.len() + histograms.len()) as u64;
            cut(timestamps_ms, values, start);
            histograms.retain(|h| h.0 >= start);
        }
        into.add(labels, [piece])?;
    }
    Ok(samples)
}

/// Takes away what the slice before (which is the later one) does not end at.
fn cut(times: &mut Vec<i64>, values: &mut Vec<f64>, start: i64) {
    let early = times.iter().take_while(|t| **t < start).count();
    times.drain(..early);
    values.drain(..early.min(values.len()));
}

fn read(element: Element) -> Result<(Labels, Piece), String> {
    let (mut timestamps_ms, mut values) = (Vec::new(), Vec::new());
    for (at, text) in element.values {
        timestamps_ms.push(ms(at));
        values.push(number(&text).ok_or_else(|| format!("{text:?} is no value"))?);
    }
    let mut histograms = Vec::new();
    for (at, h) in element.histograms {
        histograms.push((ms(at), h.read()?));
    }
    Ok((Labels::from_pairs(element.metric), Piece::Samples { timestamps_ms, values, histograms }))
}

fn ms(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_follow_what_the_one_before_held() {
        assert_eq!(next_width(1_000_000, 0), 4_000_000);
        assert_eq!(next_width(1_000_000, 500_000), 2_000_000);
        assert_eq!(next_width(1_000_000, 900_000), 1_000_000);
        assert_eq!(next_width(1_000_000, 3_000_000), 250_000);
        assert_eq!(next_width(100_000, 30_000_000), LEAST_SLICE_MS);
    }
}
