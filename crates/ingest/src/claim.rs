//! Whose telemetry a sender may bring. One whose certificate names a cluster brings that cluster's and no
//! other's: what names another is taken out and counted, what names none is stamped with it.

use model::{Batch, ClusterName, LogBatch, MetricBatch, SpanBatch};
use wire::otlp::metrics::Deltas;

use crate::stamp;

/// What was taken out of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Foreign {
    pub items: u64,
    /// The first of the clusters that were named.
    pub named: String,
    /// Of log records: where they stood.
    pub positions: Vec<u32>,
}

/// Takes out of a batch what names another cluster than `own`. `deltas` point at the same points as before.
pub(crate) fn keep_own(batch: &mut Batch, deltas: &mut Deltas, own: &ClusterName) -> Foreign {
    let mut foreign = Foreign::default();
    let mut is_own = |named: Option<&str>| match named {
        Some(name) if name != own.as_str() => {
            if foreign.named.is_empty() {
                foreign.named = name.chars().take(64).collect();
            }
            false
        }
        _ => true,
    };
    let before = batch.item_count() as u64;
    match batch {
        Batch::Metrics(m) => {
            let kept: Vec<bool> = m.series.iter().map(|l| is_own(l.get(stamp::LABEL))).collect();
            metrics(m, deltas, &kept);
        }
        Batch::Logs(l) => {
            let kept: Vec<bool> = l
                .streams
                .iter()
                .map(|s| is_own(s.labels.get(stamp::LABEL)) && is_own(stamp::named(&s.resource.attributes)))
                .collect();
            foreign.positions = logs(l, &kept);
        }
        Batch::Spans(s) => {
            let named = |o: &model::span::SpanOrigin| is_own(stamp::named(&o.resource.attributes));
            let kept: Vec<bool> = s.origins.iter().map(named).collect();
            spans(s, &kept);
        }
        // Nothing else says where it is from.
        _ => {}
    }
    foreign.items = before.saturating_sub(batch.item_count() as u64);
    foreign
}

/// Where each entry stands once those not kept are gone.
fn places(kept: &[bool]) -> Vec<Option<u32>> {
    let mut next = 0;
    kept.iter()
        .map(|keep| {
            keep.then(|| {
                next += 1;
                next - 1
            })
        })
        .collect()
}

fn place(places: &[Option<u32>], at: u32) -> Option<u32> {
    places.get(at as usize).copied().flatten()
}

/// Drops the entries that are not kept.
fn sift<T>(list: &mut Vec<T>, kept: &[bool]) {
    let mut keeps = kept.iter();
    list.retain(|_| keeps.next().copied().unwrap_or(true));
}

fn metrics(m: &mut MetricBatch, deltas: &mut Deltas, kept: &[bool]) {
    if kept.iter().all(|k| *k) {
        return;
    }
    let series = places(kept);
    sift(&mut m.series, kept);
    // They number the series as they were.
    m.hints = None;
    let samples: Vec<bool> = m.samples.series.iter().map(|s| place(&series, *s).is_some()).collect();
    sift(&mut m.samples.series, &samples);
    sift(&mut m.samples.timestamp_ms, &samples);
    sift(&mut m.samples.value, &samples);
    if !m.samples.start_ms.is_empty() {
        sift(&mut m.samples.start_ms, &samples);
    }
    let histograms: Vec<bool> = m.histograms.iter().map(|h| place(&series, h.series).is_some()).collect();
    sift(&mut m.histograms, &histograms);
    let again = |at: &mut u32| *at = place(&series, *at).unwrap_or_default();
    m.samples.series.iter_mut().for_each(again);
    m.histograms.iter_mut().for_each(|h| again(&mut h.series));
    m.exemplars.retain_mut(|(at, _)| match place(&series, *at) {
        Some(new) => {
            *at = new;
            true
        }
        None => false,
    });
    for (points, kept) in [(&mut deltas.samples, samples), (&mut deltas.histograms, histograms)] {
        let places = places(&kept);
        *points = points.iter().filter_map(|at| place(&places, *at)).collect();
    }
}

/// Where the records stood that were taken out.
fn logs(l: &mut LogBatch, kept: &[bool]) -> Vec<u32> {
    let mut gone = Vec::new();
    if kept.iter().all(|k| *k) {
        return gone;
    }
    let places = places(kept);
    sift(&mut l.streams, kept);
    let mut position = 0;
    l.records.retain_mut(|r| {
        position += 1;
        match place(&places, r.stream) {
            Some(new) => {
                r.stream = new;
                true
            }
            None => {
                gone.push(position - 1);
                false
            }
        }
    });
    gone
}

fn spans(s: &mut SpanBatch, kept: &[bool]) {
    if kept.iter().all(|k| *k) {
        return;
    }
    let places = places(kept);
    sift(&mut s.origins, kept);
    s.spans.retain_mut(|span| match place(&places, span.origin) {
        Some(new) => {
            span.origin = new;
            true
        }
        None => false,
    });
}

#[cfg(test)]
mod tests {
    use model::{Exemplar, Labels, LogRecord, LogStream, Span, metric::Samples, span::SpanOrigin};

    use super::*;

    fn own() -> ClusterName {
        ClusterName::new("dev-01").unwrap()
    }

    fn series(cluster: &str) -> Labels {
        match cluster {
            "" => Labels::from_pairs([("__name__", "up")]),
            c => Labels::from_pairs([("__name__", "up"), ("cluster", c)]),
        }
    }

    #[test]
    fn samples_of_other_clusters_are_taken_out_and_the_rest_still_fits() {
        let exemplar = Exemplar { labels: Labels::default(), value: 1.0, timestamp_ms: 1 };
        let mut batch = Batch::Metrics(MetricBatch {
            series: ["prod", "", "other", "dev-01"].map(series).to_vec(),
            samples: Samples {
                series: vec![0, 1, 2, 3, 1],
                timestamp_ms: vec![10, 11, 12, 13, 14],
                value: vec![0.0, 1.0, 2.0, 3.0, 4.0],
                start_ms: vec![],
            },
            exemplars: vec![(0, exemplar.clone()), (3, exemplar)],
            ..Default::default()
        });
        let mut deltas = Deltas { samples: vec![0, 3, 4], histograms: vec![] };
        let foreign = keep_own(&mut batch, &mut deltas, &own());
        assert_eq!((foreign.items, foreign.named.as_str()), (2, "prod"));
        let Batch::Metrics(m) = &batch else { panic!() };
        assert_eq!(m.series, [series(""), series("dev-01")]);
        assert_eq!(m.samples.series, [0, 1, 0]);
        assert_eq!(m.samples.value, [1.0, 3.0, 4.0]);
        assert_eq!(m.samples.timestamp_ms, [11, 13, 14]);
        assert_eq!(m.exemplars.iter().map(|e| e.0).collect::<Vec<_>>(), [1]);
        assert_eq!(deltas.samples, [1, 2]);
    }

    #[test]
    fn records_and_spans_are_judged_by_label_and_resource() {
        let mut streams = vec![LogStream::default(); 3];
        streams[0].labels = series("prod");
        streams[1].resource.attributes.push("k8s.cluster.name", "prod");
        streams[2].resource.attributes.push("cluster.id", "dev-01");
        let record = |stream| LogRecord { stream, ..Default::default() };
        let mut batch = Batch::Logs(LogBatch { streams, records: vec![record(0), record(2), record(1)] });
        assert_eq!(keep_own(&mut batch, &mut Deltas::default(), &own()).items, 2);
        let Batch::Logs(l) = &batch else { panic!() };
        assert_eq!((l.streams.len(), l.records[0].stream), (1, 0));

        let mut origins = vec![SpanOrigin::default(); 2];
        origins[0].resource.attributes.push("k8s.cluster.name", "prod");
        let span = |origin| Span { origin, ..Default::default() };
        let mut batch = Batch::Spans(SpanBatch { origins, spans: vec![span(1), span(0), span(1)] });
        assert_eq!(keep_own(&mut batch, &mut Deltas::default(), &own()).items, 1);
        let Batch::Spans(s) = &batch else { panic!() };
        assert_eq!(s.spans.iter().map(|s| s.origin).collect::<Vec<_>>(), [0, 0]);
    }

    #[test]
    fn what_names_no_other_cluster_is_left_as_it_is() {
        let whole = Batch::Metrics(MetricBatch {
            series: vec![series(""), series("dev-01")],
            samples: Samples {
                series: vec![0, 1],
                timestamp_ms: vec![1, 2],
                value: vec![1.0, 2.0],
                start_ms: vec![],
            },
            ..Default::default()
        });
        let mut batch = whole.clone();
        assert_eq!(keep_own(&mut batch, &mut Deltas::default(), &own()), Foreign::default());
        assert_eq!(batch, whole);
    }
}
