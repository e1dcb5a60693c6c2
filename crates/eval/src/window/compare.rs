//! `resets` and `changes`: each sample against the one before, floats and histograms in order of time.

use super::{Edges, HistogramPoint, Window, rate::start_says_reset};
use crate::histogram::{detect_reset, same};

enum Point<'a> {
    Float { t: i64, start: i64, v: f64 },
    Histogram(&'a HistogramPoint),
}

impl Point<'_> {
    fn times(&self) -> (i64, i64) {
        match self {
            Point::Float { t, start, .. } => (*start, *t),
            Point::Histogram(p) => (p.start_ms, p.t_ms),
        }
    }
}

/// All samples in order; with an anchor, from the last one at or before the range's start. Nothing if an
/// anchored range holds no sample of its own.
fn ordered<'a>(w: &Window<'a>) -> Option<Vec<Point<'a>>> {
    let mut all: Vec<Point<'a>> = Vec::with_capacity(w.values.len() + w.histograms.len());
    let mut histograms = w.histograms.iter().peekable();
    for (i, (t, v)) in w.floats().enumerate() {
        while let Some(p) = histograms.next_if(|p| p.t_ms < t) {
            all.push(Point::Histogram(p));
        }
        all.push(Point::Float { t, start: w.start_of(i), v });
    }
    all.extend(histograms.map(Point::Histogram));
    if w.edges == Edges::Anchored {
        let inside = all.partition_point(|p| p.times().1 <= w.from_ms);
        if inside == all.len() {
            return None;
        }
        all.drain(..inside.saturating_sub(1));
    }
    Some(all)
}

fn count(w: &Window<'_>, differs: impl Fn(&Point<'_>, &Point<'_>) -> bool) -> Option<f64> {
    let all = ordered(w)?;
    Some(all.windows(2).filter(|p| differs(&p[0], &p[1])).count() as f64)
}

pub(super) fn resets(w: &Window<'_>) -> Option<f64> {
    count(w, |a, b| {
        let began = start_says_reset(a.times(), b.times());
        match (a, b) {
            (Point::Float { v: a, .. }, Point::Float { v: b, .. }) => b < a || began,
            (Point::Histogram(a), Point::Histogram(b)) => began || detect_reset(&b.histogram, &a.histogram),
            _ => true,
        }
    })
}

pub(super) fn changes(w: &Window<'_>) -> Option<f64> {
    count(w, |a, b| match (a, b) {
        (Point::Float { v: a, .. }, Point::Float { v: b, .. }) => a != b && !(a.is_nan() && b.is_nan()),
        (Point::Histogram(a), Point::Histogram(b)) => !same(&a.histogram, &b.histogram),
        _ => true,
    })
}
