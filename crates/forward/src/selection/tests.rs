use model::{LogRecord, LogStream, MatchOp, metric::Exemplar};
use transform::relabel::RuleConfig;

use super::*;

fn rule(action: &str, source: &str, regex: &str) -> Rule {
    Rule::new(RuleConfig {
        source_labels: vec![source.to_owned()],
        regex: regex.to_owned(),
        action: action.to_owned(),
        ..RuleConfig::default()
    })
    .unwrap()
}

fn drop_label(regex: &str) -> Rule {
    Rule::new(RuleConfig { regex: regex.to_owned(), action: "labeldrop".to_owned(), ..RuleConfig::default() })
        .unwrap()
}

fn metrics(series: &[&[(&str, &str)]]) -> Batch {
    let mut m = MetricBatch::default();
    for (i, pairs) in series.iter().enumerate() {
        let n = m.push_series(Labels::from_pairs(pairs.iter().copied()));
        m.samples.push(n, 1000 + i as i64, i as f64);
    }
    Batch::Metrics(m)
}

fn select(selection: Selection, batch: &Batch) -> Vec<(Class, Batch)> {
    let selected = Selector::new(selection);
    selected.select(&TenantId::default(), batch).into_iter().map(|(c, b)| (c, b.into_owned())).collect()
}

#[test]
fn a_selection_of_nothing_in_particular_takes_everything() {
    let batch = metrics(&[&[("__name__", "up")]]);
    assert_eq!(select(Selection::default(), &batch), [(Class::Metrics, batch)]);
}

#[test]
fn other_tenants_and_signals_are_left_out() {
    let batch = metrics(&[&[("__name__", "up")]]);
    let tenants = vec![TenantId::new("team-a").unwrap()];
    assert!(select(Selection { tenants, ..Selection::default() }, &batch).is_empty());
    let signals = vec![Signal::LOGS];
    assert!(select(Selection { signals, ..Selection::default() }, &batch).is_empty());
}

#[test]
fn series_are_kept_rewritten_and_classed_by_their_labels_and_samples_follow_them() {
    let mut batch = metrics(&[
        &[("__name__", "up"), ("pod", "a")],
        &[("__name__", "go_info"), ("pod", "a")],
        &[("__name__", "up"), ("pod", "b")],
        &[("__name__", "ALERTS"), ("pod", "b")],
    ]);
    if let Batch::Metrics(m) = &mut batch {
        m.exemplars.push((3, Exemplar { labels: Labels::default(), value: 1.0, timestamp_ms: 5 }));
    }
    let selection = Selection {
        write_relabel: vec![rule("keep", "__name__", "up|ALERTS"), drop_label("pod")],
        critical: vec![vec![Matcher::new("__name__", MatchOp::Equal, "ALERTS").unwrap()]],
        ..Selection::default()
    };
    let got = select(selection, &batch);
    let [(Class::Critical, Batch::Metrics(alerts)), (Class::Metrics, Batch::Metrics(rest))] = &got[..] else {
        panic!("{got:?}")
    };
    assert_eq!(alerts.series, [Labels::from_pairs([("__name__", "ALERTS")])]);
    assert_eq!((alerts.samples.value.as_slice(), alerts.exemplars.len()), (&[3.0][..], 1));
    assert_eq!(rest.series, [Labels::from_pairs([("__name__", "up")])], "two became one");
    assert_eq!(
        (rest.samples.series.as_slice(), rest.samples.value.as_slice()),
        (&[0, 0][..], &[0.0, 2.0][..])
    );
}

#[test]
fn logs_and_spans_are_selected_by_their_resource() {
    let stream = |namespace: &str| {
        let mut s = LogStream::default();
        s.resource.attributes.push("k8s.namespace.name", namespace);
        s
    };
    let record = |stream| LogRecord { stream, ..LogRecord::default() };
    let logs = Batch::Logs(LogBatch {
        streams: vec![stream("dev"), stream("prod")],
        records: vec![record(0), record(1), record(0), record(1)],
    });
    let selection = Selection {
        resource_relabel: vec![rule("keep", "k8s.namespace.name", "prod")],
        ..Selection::default()
    };
    let got = select(selection.clone(), &logs);
    let [(Class::Logs, Batch::Logs(l))] = &got[..] else { panic!("{got:?}") };
    assert_eq!((l.streams.len(), l.records.len(), l.records[1].stream), (1, 2, 0));
    let spans =
        Batch::Spans(SpanBatch { origins: vec![Default::default()], spans: vec![Default::default()] });
    assert!(select(selection, &spans).is_empty());
}
