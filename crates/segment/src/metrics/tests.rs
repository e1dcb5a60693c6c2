use std::collections::BTreeMap;

use bytes::Bytes;
use model::{MatchOp, Matcher, MetricKind, TimeRange, stale_marker};
use proptest::prelude::*;

use super::*;
use crate::{
    codec::tests::any_histogram,
    testing::{block_on, collect, drain_count, from_hex, plain_rows, stored, survives_damage, write_fixture},
};

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().map(|(n, v)| (n.to_string(), v.to_string())))
}

fn open(bytes: &Bytes) -> Result<Reader> {
    let (store, path) = stored(bytes);
    block_on(Reader::open(store, path, bytes.len() as u64))
}

fn read_all(bytes: &Bytes) -> Result<Vec<Bits>> {
    Ok(collect(open(bytes)?.scan())?.into_iter().map(bits).collect())
}

/// Everything of a series with floats as bits, so that NaN equals itself.
type Bits = (Labels, Vec<(i64, u64, i64)>, Vec<(i64, i64, Histogram)>, Vec<(Labels, u64, i64)>);

fn bits(s: SeriesRows) -> Bits {
    let start = |i: usize| s.starts_ms.get(i).copied().unwrap_or(0);
    let floats =
        s.timestamps_ms.iter().zip(&s.values).enumerate().map(|(i, (t, v))| (*t, v.to_bits(), start(i)));
    let exemplars = s.exemplars.iter().map(|e| (e.labels.clone(), e.value.to_bits(), e.timestamp_ms));
    (s.labels.clone(), floats.collect(), s.histograms.clone(), exemplars.collect())
}

/// `targets` x `metrics` series of `samples` samples at 15 s, in order.
fn fleet(targets: usize, metrics: usize, samples: usize) -> Vec<SeriesRows> {
    let mut out = Vec::new();
    for m in 0..metrics {
        for t in 0..targets {
            let times = (0..samples).map(|i| 1_700_000_000_000 + t as i64 * 37 + i as i64 * 15_000).collect();
            out.push(SeriesRows {
                labels: labels(&[
                    ("__name__", &format!("metric_{m:03}_total")),
                    ("instance", &format!("host-{t:03}")),
                    ("job", "node"),
                ]),
                timestamps_ms: times,
                values: (0..samples).map(|i| ((i * (m + 1)) as f64 + t as f64) / 4.0).collect(),
                ..SeriesRows::default()
            });
        }
    }
    out
}

/// One of everything the format has, fixed for ever: the fixture of version 1.
fn sample_segment() -> (Vec<SeriesRows>, WriteOptions) {
    let mut series = fleet(2, 2, 4);
    series[0].values = vec![1.0, f64::NAN, -0.0, stale_marker()];
    series[1].starts_ms = vec![0, 5, 5, 9];
    series[2].exemplars = vec![Exemplar {
        labels: labels(&[("trace_id", "abc")]),
        value: 0.25,
        timestamp_ms: 1_700_000_000_500,
    }];
    let h = Histogram {
        schema: 3,
        count: 5.0,
        sum: 2.5,
        positive_spans: vec![model::histogram::BucketSpan { offset: -2, length: 2 }],
        positive_buckets: vec![2.0, 3.0],
        ..Histogram::default()
    };
    series[3].histograms = vec![(1_700_000_000_000, 7, h.clone()), (1_700_000_015_000, 7, h)];
    let metadata = vec![MetricMetadata {
        family: "metric_000_total".into(),
        kind: MetricKind::Counter,
        unit: "seconds".into(),
        help: "Helps.".into(),
    }];
    (series, WriteOptions { level: 1, metadata, ..WriteOptions::default() })
}

#[test]
fn a_segment_gives_back_what_was_written() {
    let (series, options) = sample_segment();
    let w = write(series.clone(), &options).unwrap();
    assert_eq!(read_all(&w.bytes).unwrap(), series.into_iter().map(bits).collect::<Vec<_>>());
    let r = open(&w.bytes).unwrap();
    assert_eq!(r.info(), &w.info);
    assert_eq!((w.info.rows, w.info.items, w.info.level), (4, 18, 1));
    assert_eq!(w.info.range, TimeRange::from_ms_inclusive(1_700_000_000_000, 1_700_000_045_037));
    assert_eq!(w.info.names, Some(("metric_000_total".into(), "metric_001_total".into())));
    assert_eq!(block_on(r.metadata()).unwrap(), options.metadata);
    assert_eq!(plain_rows(&w.bytes), 4);
}

#[test]
fn long_chunks_are_summed_up_for_any_reader() {
    let series = fleet(1, 2, 100);
    let w = write(series.clone(), &WriteOptions::default()).unwrap();
    let plain = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(w.bytes).unwrap();
    let batch = plain.build().unwrap().next().unwrap().unwrap();
    let of = |name: &str| -> Vec<f64> {
        let column = batch.column_by_name(name).unwrap();
        arrow::array::AsArray::as_primitive::<arrow::datatypes::Float64Type>(column).values().to_vec()
    };
    let sums: Vec<f64> = series.iter().map(|s| s.values.iter().sum()).collect();
    assert_eq!(of("sum_0"), sums);
    let increases: Vec<f64> = series.iter().map(|s| s.values[99] - s.values[0]).collect();
    assert_eq!(of("increase_0"), increases);
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let (series, options) = sample_segment();
    let (a, b) = (write(series.clone(), &options).unwrap(), write(series, &options).unwrap());
    assert_eq!(a.hash, b.hash);
    assert_eq!(a.hash.len(), 32);
}

#[test]
fn the_fixture_of_format_version_1_opens() {
    let (series, options) = sample_segment();
    write_fixture("metrics-v1.hex", &write(series.clone(), &options).unwrap().bytes);
    let bytes = from_hex(include_str!("../../tests/fixtures/metrics-v1.hex"));
    assert_eq!(read_all(&bytes).unwrap(), series.into_iter().map(bits).collect::<Vec<_>>());
    assert_eq!(open(&bytes).unwrap().info().format_version, 1);
}

#[test]
fn matchers_select_series_and_ranges_cut_them() {
    let series = fleet(3, 4, 10);
    let r = open(&write(series, &WriteOptions::default()).unwrap().bytes).unwrap();
    let range = TimeRange::from_ms_inclusive(1_700_000_015_000, 1_700_000_030_074);
    let got = collect(r.select(vec![Matcher::equal("__name__", "metric_002_total")], range)).unwrap();
    assert_eq!(got.len(), 3);
    assert!(got.iter().all(|s| s.values.len() == 2), "{got:?}");
    let m = vec![
        Matcher::new("instance", MatchOp::Regex, "host-00[12]").unwrap(),
        Matcher::new("__name__", MatchOp::NotEqual, "metric_000_total").unwrap(),
        Matcher::equal("absent", ""),
    ];
    assert_eq!(collect(r.select(m.clone(), TimeRange::ALL)).unwrap().len(), 6);
    assert_eq!(block_on(r.label_sets(&[m], TimeRange::ALL)).unwrap().len(), 6);
    assert!(collect(r.select(vec![Matcher::equal("absent", "x")], TimeRange::ALL)).unwrap().is_empty());
    let later = TimeRange::from_ms_inclusive(1_800_000_000_000, 1_900_000_000_000);
    assert!(collect(r.select(vec![], later)).unwrap().is_empty());
    assert_eq!(block_on(r.label_names(&[], TimeRange::ALL)).unwrap(), ["__name__", "instance", "job"]);
    let one = [vec![Matcher::equal("instance", "host-001")]];
    assert_eq!(block_on(r.label_values("instance", &one, TimeRange::ALL)).unwrap(), ["host-001"]);
    assert_eq!(block_on(r.label_values("instance", &[], TimeRange::ALL)).unwrap().len(), 3);
    assert!(block_on(r.label_values("absent", &[], TimeRange::ALL)).unwrap().is_empty());
}

#[test]
fn rare_labels_share_a_column_and_are_found_there() {
    let mut series = fleet(20, 20, 1);
    series[7].labels = series[7].labels.with("rare", "x").with("rest", "y").with("rest=", "z");
    let r = open(&write(series.clone(), &WriteOptions::default()).unwrap().bytes).unwrap();
    let got = collect(r.select(vec![Matcher::equal("rare", "x")], TimeRange::ALL)).unwrap();
    assert_eq!(got.into_iter().map(bits).collect::<Vec<_>>(), [bits(series[7].clone())]);
    assert_eq!(block_on(r.label_values("rest=", &[], TimeRange::ALL)).unwrap(), ["z"]);
    assert!(block_on(r.label_names(&[], TimeRange::ALL)).unwrap().contains(&"rare".to_owned()));
    assert_eq!(collect(r.select(vec![Matcher::equal("rare", "")], TimeRange::ALL)).unwrap().len(), 399);
}

#[test]
fn one_series_costs_the_footer_label_columns_and_a_few_pages() {
    // Values that hardly compress, so that chunks dominate the file as they do in a large one.
    let mut series = fleet(50, 80, 240);
    for (k, s) in series.iter_mut().enumerate() {
        s.values.iter_mut().enumerate().for_each(|(i, v)| *v = ((i * 7919 + k * 104_729) as f64).sin());
    }
    let w = write(series, &WriteOptions::default()).unwrap();
    let (store, path) = stored(&w.bytes);
    let r = block_on(Reader::open(store.clone(), path, w.bytes.len() as u64)).unwrap();
    let opened = store.take_bytes();
    let m = vec![Matcher::equal("__name__", "metric_040_total"), Matcher::equal("instance", "host-007")];
    assert_eq!(collect(r.select(m, TimeRange::ALL)).unwrap().len(), 1);
    let read = store.take_bytes();
    let all = w.bytes.len() as u64;
    println!("file {all} B, opening read {opened} B, one series of 4000 read {read} B");
    assert!(opened <= 128 << 10 && read < all / 20, "{opened} {read} of {all}");
    block_on(r.label_values("instance", &[], TimeRange::ALL)).unwrap();
    assert!(store.take_bytes() < 64 << 10);
    assert!(collect(r.select(vec![Matcher::equal("__name__", "zzz")], TimeRange::ALL)).unwrap().is_empty());
    assert_eq!(store.take_bytes(), 0, "statistics rule the row groups out");
}

#[test]
fn a_query_asked_again_reads_samples_only() {
    let w = write(fleet(50, 80, 240), &WriteOptions::default()).unwrap();
    let cache = ColumnCache::new(16 << 20);
    let (store, path) = stored(&w.bytes);
    let r = block_on(Reader::open_with(store.clone(), path, w.bytes.len() as u64, &cache)).unwrap();
    let ask = || {
        let m = vec![Matcher::equal("__name__", "metric_040_total"), Matcher::equal("job", "node")];
        collect(r.select(m, TimeRange::ALL)).unwrap().into_iter().map(bits).collect::<Vec<_>>()
    };
    store.take_reads();
    let first = ask();
    let reads = store.take_reads().len();
    assert_eq!((first.len(), ask()), (50, first));
    let again = store.take_reads().len();
    println!("reads: {reads} at first, {again} again");
    assert!(again == 1 && reads > again, "{reads} {again}");
    drop(r);
    assert_eq!(cache.stats().bytes, 0, "a reader takes with it what it kept");
}

#[test]
fn a_stream_that_is_dropped_early_has_read_little() {
    let w = write(fleet(400, 100, 2), &WriteOptions::default()).unwrap();
    let (store, path) = stored(&w.bytes);
    let r = block_on(Reader::open(store.clone(), path, w.bytes.len() as u64)).unwrap();
    store.take_reads();
    assert_eq!(drain_count(r.select(vec![], TimeRange::ALL), 5).len(), 5);
    let some = store.take_bytes();
    collect(r.select(vec![], TimeRange::ALL)).unwrap();
    let all = store.take_bytes();
    assert!(some * 10 < all * 9, "one of two row groups: {some} of {all}");
}

#[test]
fn samples_are_cut_into_chunk_columns() {
    let series = fleet(3, 2, 40);
    let chunks = Chunks { origin_ms: 1_700_000_000_000, width_ms: 150_000, count: 4 };
    let w = write(series.clone(), &WriteOptions { chunks, ..WriteOptions::default() }).unwrap();
    assert_eq!(read_all(&w.bytes).unwrap(), series.into_iter().map(bits).collect::<Vec<_>>());
    let (store, path) = stored(&w.bytes);
    let r = block_on(Reader::open(store, path, w.bytes.len() as u64)).unwrap();
    let range = TimeRange::from_ms_inclusive(1_700_000_140_000, 1_700_000_160_100);
    let got = collect(r.select(vec![], range)).unwrap();
    assert!(got.iter().all(|s| s.timestamps_ms.len() == 1 || s.timestamps_ms.len() == 2), "{got:?}");
    assert_eq!(got.len(), 6);
}

#[test]
fn series_out_of_order_are_refused_by_name() {
    let mut series = fleet(2, 1, 3);
    series.swap(0, 1);
    let e = write(series, &WriteOptions::default()).unwrap_err();
    assert_eq!(e.kind(), base::Kind::Invalid);
    assert!(e.to_string().contains("host-000"), "{e}");
    let mut series = fleet(1, 1, 3);
    series[0].timestamps_ms[2] = 0;
    assert!(write(series, &WriteOptions::default()).unwrap_err().to_string().contains("ascend"));
}

#[test]
fn a_damaged_file_is_corrupt_and_never_a_panic() {
    let (series, options) = sample_segment();
    survives_damage(&write(series, &options).unwrap().bytes, read_all);
}

#[test]
fn a_segment_of_a_later_version_is_refused_with_advice() {
    let (series, options) = sample_segment();
    let mut bytes = write(series, &options).unwrap().bytes.to_vec();
    let footer = u32::from_le_bytes(bytes[bytes.len() - 8..bytes.len() - 4].try_into().unwrap()) as usize + 8;
    let trailer = bytes.len() - footer - 28;
    bytes[trailer + 4] = 99;
    let crc = crc32c::crc32c(&bytes[trailer..trailer + 16]).to_le_bytes();
    bytes[trailer + 16..trailer + 20].copy_from_slice(&crc);
    let e = read_all(&bytes.into()).unwrap_err().to_string();
    assert!(e.contains("version 99") && e.contains("upgrade"), "{e}");
}

#[test]
fn a_footer_larger_than_the_first_read_is_read_again() {
    let mut series = fleet(3, 1, 30);
    for s in &mut series {
        let mut b = s.labels.to_builder();
        (0..190).for_each(|i| _ = b.set(format!("label_{i:03}"), "v".repeat(20)));
        s.labels = b.build();
    }
    let chunks = Chunks { origin_ms: 1_700_000_000_000, width_ms: 30_000, count: MAX_CHUNKS };
    let w = write(series.clone(), &WriteOptions { chunks, ..WriteOptions::default() }).unwrap();
    let (store, path) = stored(&w.bytes);
    let r = block_on(Reader::open(store.clone(), path, w.bytes.len() as u64)).unwrap();
    assert!(store.take_reads().len() > 1, "the footer fits into the first read, so nothing was tested");
    let back: Vec<Bits> = collect(r.scan()).unwrap().into_iter().map(bits).collect();
    assert_eq!(back, series.into_iter().map(bits).collect::<Vec<_>>());
}

#[test]
fn an_empty_segment_is_possible() {
    let w = write(Vec::new(), &WriteOptions::default()).unwrap();
    assert!(read_all(&w.bytes).unwrap().is_empty());
    assert!(w.info.range.is_empty());
}

#[test]
fn exemplars_are_found_by_selector_and_range() {
    let (series, options) = sample_segment();
    let r = open(&write(series, &options).unwrap().bytes).unwrap();
    let found = block_on(r.exemplars(&[vec![Matcher::equal("job", "node")]], TimeRange::ALL)).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].1[0].value, 0.25);
    assert!(block_on(r.exemplars(&[vec![Matcher::equal("job", "x")]], TimeRange::ALL)).unwrap().is_empty());
    assert!(block_on(r.exemplars(&[], TimeRange::from_ms_inclusive(0, 1))).unwrap().is_empty());
}

/// 200 series per target in the proportions of a node exporter, 2 h at 15 s.
fn node_exporter(targets: u64, samples: u64) -> Vec<SeriesRows> {
    let mut state = 7u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let mut out = Vec::new();
    for m in 0..200u64 {
        for t in 0..targets {
            let mut level = (random() % 1_000_000) as f64;
            let values = (0..samples).map(|_| match m % 20 {
                0..=7 => level,
                8..=10 => {
                    level += f64::from(random() % 40 == 0);
                    level
                }
                11..=12 => {
                    level += (random() % 900) as f64;
                    level
                }
                13 => {
                    level += (random() % 5_000_000) as f64;
                    level
                }
                14..=16 => {
                    level += (random() % 1500) as f64;
                    level / 100.0
                }
                17 => {
                    level += (random() % 100_000) as f64 / 7.0;
                    level
                }
                _ => ((random() % 4000) * 4096) as f64,
            });
            let values: Vec<f64> = values.collect();
            out.push(SeriesRows {
                labels: labels(&[
                    ("__name__", &format!("node_metric_{m:03}")),
                    ("instance", &format!("10.0.0.{t:03}:9100")),
                    ("job", "node"),
                    ("mode", ["idle", "user", "system"][(m % 3) as usize]),
                ]),
                timestamps_ms: (0..samples)
                    .map(|i| 1_700_000_000_000 + (t * 311 + i * 15_000) as i64)
                    .collect(),
                values,
                ..SeriesRows::default()
            });
        }
    }
    out
}

#[test]
fn a_node_exporter_fleet_takes_few_bytes_per_sample() {
    let w = write(node_exporter(20, 480), &WriteOptions::default()).unwrap();
    let per_sample = w.bytes.len() as f64 / w.info.items as f64;
    println!("node exporter like, {} series x 480: {per_sample:.3} B/sample", w.info.rows);
    let plain =
        parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(w.bytes.clone()).unwrap();
    for group in plain.metadata().row_groups() {
        for c in group.columns() {
            let share = c.compressed_size() as f64 / w.info.items as f64;
            println!("  {}: {share:.4} B/sample", c.column_path());
        }
    }
    assert!(per_sample < 1.6, "{per_sample}");
}

fn any_labels() -> impl Strategy<Value = Labels> {
    prop::collection::btree_map(
        prop_oneof![
            prop::sample::select(vec!["__name__", "job", "le", "rest", "rest=", "a.b", "Z"])
                .prop_map(str::to_owned),
            ".{1,3}",
        ],
        ".{0,4}",
        0..4,
    )
    .prop_map(|m: BTreeMap<String, String>| Labels::from_pairs(m))
}

fn any_series() -> impl Strategy<Value = SeriesRows> {
    let float = || any::<u64>().prop_map(f64::from_bits);
    let times = || prop_oneof![any::<i64>(), 0i64..100_000];
    (
        any_labels(),
        prop::collection::btree_map(times(), (float(), prop_oneof![Just(0i64), any::<i64>()]), 0..12),
        prop::collection::btree_map(times(), (any::<i64>(), any_histogram()), 0..4),
        prop::collection::vec((any_labels(), float(), any::<i64>()), 0..3),
    )
        .prop_map(|(labels, floats, histograms, exemplars)| SeriesRows {
            labels,
            timestamps_ms: floats.keys().copied().collect(),
            values: floats.values().map(|v| v.0).collect(),
            starts_ms: floats.values().map(|v| v.1).collect(),
            histograms: histograms.into_iter().map(|(t, (s, h))| (t, s, h)).collect(),
            exemplars: exemplars
                .into_iter()
                .map(|(labels, value, timestamp_ms)| Exemplar { labels, value, timestamp_ms })
                .collect(),
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_set_of_series_comes_back(
        series in prop::collection::vec(any_series(), 0..8),
        origin in -1000i64..1000,
        width in 1i64..50_000,
        count in 1u32..4,
    ) {
        let by_labels: BTreeMap<Labels, SeriesRows> = series.into_iter().map(|s| (s.labels.clone(), s)).collect();
        let series: Vec<SeriesRows> = by_labels.into_values().collect();
        let chunks = Chunks { origin_ms: origin, width_ms: width, count };
        let w = write(series.clone(), &WriteOptions { chunks, ..WriteOptions::default() }).unwrap();
        prop_assert_eq!(read_all(&w.bytes).unwrap(), series.into_iter().map(bits).collect::<Vec<_>>());
    }

    #[test]
    fn a_selection_is_what_filtering_everything_gives(
        series in prop::collection::vec(any_series(), 0..8),
        name in prop::sample::select(vec!["job", "rest", "Z", "le", "nope"]),
        op in prop::sample::select(vec![MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex]),
        value in prop::sample::select(vec!["", "a", ".*", ".+", "."]),
        (from, length) in (0i64..100_000, 0i64..100_000),
    ) {
        let by_labels: BTreeMap<Labels, SeriesRows> = series.into_iter().map(|s| (s.labels.clone(), s)).collect();
        let series: Vec<SeriesRows> = by_labels.into_values().collect();
        let m = Matcher::new(name, op, value).unwrap();
        let inside = |t: i64| from <= t && t <= from + length;
        let expected: Vec<Bits> = series
            .iter()
            .filter(|s| m.matches_labels(&s.labels))
            .map(|s| {
                let (l, floats, histograms, _) = bits(s.clone());
                (
                    l,
                    floats.into_iter().filter(|x| inside(x.0)).collect::<Vec<_>>(),
                    histograms.into_iter().filter(|h| inside(h.0)).collect::<Vec<_>>(),
                    Vec::new(),
                )
            })
            .filter(|b| !b.1.is_empty() || !b.2.is_empty())
            .collect();
        let bytes = write(series, &WriteOptions::default()).unwrap().bytes;
        // A cache with room for some columns only, asked twice: what is kept and what is not are the same.
        let (store, path) = stored(&bytes);
        let cache = ColumnCache::new(2000);
        let kept = block_on(Reader::open_with(store, path, bytes.len() as u64, &cache)).unwrap();
        for r in [&open(&bytes).unwrap(), &kept, &kept] {
            let range = TimeRange::from_ms_inclusive(from, from + length);
            let got = collect(r.select(vec![m.clone()], range)).unwrap();
            prop_assert_eq!(&got.into_iter().map(bits).collect::<Vec<_>>(), &expected);
        }
    }
}
