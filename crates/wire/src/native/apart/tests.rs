use model::{Batch, MetricBatch, stale_marker};
use proptest::{collection::vec, prelude::*};

use super::{
    super::{decode, decode_apart, encode_apart},
    *,
};

fn tenant() -> TenantId {
    TenantId::new("team-a").unwrap()
}

fn labels(i: u32) -> Labels {
    Labels::from_pairs([("__name__", "up".to_owned()), ("job", format!("j{}", i % 3)), ("n", i.to_string())])
}

/// A batch of these series with samples at these times, and its table; series at or past 90 get no number.
fn write(defined: &mut Vec<u32>, series: &[u32], samples: &[(usize, i64, f64)]) -> (Vec<u8>, Vec<u8>, Batch) {
    let mut batch = MetricBatch::default();
    for s in series {
        batch.push_series(labels(*s));
    }
    for (at, t, v) in samples {
        batch.samples.push((at % series.len()) as u32, *t, *v);
    }
    let entries: Vec<Entry<'_>> = batch
        .series
        .iter()
        .zip(series)
        .map(|(l, s)| match *s {
            s if s >= 90 => Entry::Bare(l),
            s if defined.contains(&s) => Entry::Reference(s),
            s => {
                defined.push(s);
                Entry::Definition(s, l)
            }
        })
        .collect();
    let table = encode_table(entries.into_iter());
    let batch = Batch::Metrics(batch);
    let unit = encode_apart(&tenant(), None, 7, std::slice::from_ref(&batch)).unwrap();
    (table, unit, batch)
}

#[test]
fn version_3_is_these_bytes() {
    let a = Labels::from_pairs([("__name__", "a")]);
    let b = Labels::from_pairs([("__name__", "a"), ("job", "b")]);
    let mut batch = MetricBatch { series: vec![a.clone(), b.clone()], ..MetricBatch::default() };
    batch.samples.push(0, 5, 1.0);
    batch.samples.push(1, 5, 0.0);
    let defined = [
        &[0x21, 1, 3, 0, 8][..],
        b"__name__",
        &[0, 1, b'a', 1, 2, 0b1100, 0, 3, b'j', b'o', b'b', 0, 1, b'b'],
    ]
    .concat();
    let body = [2, 2, 2, 10, 1, 2, 0x3f, 0xf0, 0, 0, 0, 0];
    let unit = [&[3, 0, 1, b't', 0, 0, 1, 1, 0x8c, 0x80, 0x80, 0][..], &body].concat();
    let tenant = TenantId::new("t").unwrap();
    let entries = [Entry::Definition(4, &a), Entry::Definition(5, &b)];
    assert_eq!(encode_table(entries.into_iter()), defined);
    assert_eq!(encode_table([Entry::Reference(4), Entry::Reference(5)].into_iter()), [0x20, 0]);
    assert_eq!(encode_apart(&tenant, None, 0, &[Batch::Metrics(batch.clone())]).unwrap(), unit);
    let mut known = SeriesByNumber::default();
    for table in [&defined[..], &[0x20, 0]] {
        let back = decode_apart(&unit, table, &mut known).unwrap();
        assert_eq!(back.unit.3, [Batch::Metrics(batch.clone())]);
    }
}

#[test]
fn a_series_is_written_out_once_and_then_takes_a_byte() {
    let mut defined = Vec::new();
    let series: Vec<u32> = (0..50).collect();
    let samples: Vec<_> = (0..50).map(|i| (i, 1_700_000_000_000, i as f64)).collect();
    let (first, _, _) = write(&mut defined, &series, &samples);
    let (table, unit, batch) = write(&mut defined, &series, &samples);
    assert!(first.len() > 300, "{}", first.len());
    assert_eq!(table.len(), 50);
    assert!(unit.len() < 50 * 4 + 30, "{}", unit.len());
    let mut known = SeriesByNumber::default();
    decode_table(&first, &tenant(), &mut known).unwrap();
    let back = decode_apart(&unit, &table, &mut known).unwrap();
    assert_eq!((back.missing, back.unit.3), (None, vec![batch]));
}

#[test]
fn a_number_that_was_given_to_no_series_of_the_tenant_is_missing() {
    let mut defined = vec![4];
    let (table, unit, _) = write(&mut defined, &[4, 5], &[(0, 1, 1.0), (1, 1, 2.0)]);
    let mut known = SeriesByNumber::default();
    assert_eq!(decode_apart(&unit, &table, &mut known).unwrap().missing, Some(4));
    let other = TenantId::new("team-b").unwrap();
    let (definition, _, _) = write(&mut Vec::new(), &[4], &[(0, 1, 1.0)]);
    decode_table(&definition, &other, &mut known).unwrap();
    assert_eq!(decode_apart(&unit, &table, &mut known).unwrap().missing, Some(4));
    decode_table(&definition, &tenant(), &mut known).unwrap();
    assert_eq!(decode_apart(&unit, &table, &mut known).unwrap().missing, None);
    known.forget();
    assert_eq!(decode_apart(&unit, &table, &mut known).unwrap().missing, Some(4));
}

#[test]
fn a_unit_and_a_table_that_do_not_fit_are_an_error() {
    let (table, unit, _) = write(&mut Vec::new(), &[1, 2], &[(0, 1, 1.0)]);
    let mut known = SeriesByNumber::default();
    assert!(decode_apart(&unit, &[], &mut known).is_err());
    assert!(decode_apart(&unit, &table[..table.len() - 1], &mut known).is_err());
    let whole = super::super::encode(&tenant(), None, 7, &[]).unwrap();
    assert!(decode_apart(&whole, &table, &mut known).is_err());
    assert!(decode_apart(&whole, &[], &mut known).is_ok());
    assert!(decode(&unit).is_err());
}

proptest! {
    #[test]
    fn units_of_a_log_come_back_bit_for_bit(
        units in vec(
            (proptest::sample::subsequence((0..99u32).collect::<Vec<_>>(), 1..20).prop_shuffle(),
             vec((any::<usize>(), any::<i64>(), any::<u64>()), 0..30)),
            1..6,
        ),
    ) {
        let (mut defined, mut known) = (Vec::new(), SeriesByNumber::default());
        for (series, samples) in units {
            let mut samples: Vec<_> = samples.into_iter().map(|(s, t, v)| (s, t, f64::from_bits(v))).collect();
            samples.push((0, 0, stale_marker()));
            let (table, unit, batch) = write(&mut defined, &series, &samples);
            let back = decode_apart(&unit, &table, &mut known).unwrap();
            prop_assert_eq!(back.missing, None);
            let (Batch::Metrics(want), [Batch::Metrics(got)]) = (&batch, &back.unit.3[..]) else { panic!() };
            prop_assert_eq!(&got.series, &want.series);
            prop_assert_eq!(&got.samples.series, &want.samples.series);
            prop_assert_eq!(&got.samples.timestamp_ms, &want.samples.timestamp_ms);
            let bits = |b: &MetricBatch| b.samples.value.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(got), bits(want));
        }
    }

    #[test]
    fn random_and_damaged_bytes_are_an_error_or_a_unit_but_never_a_panic(
        noise in vec(any::<u8>(), 0..60),
        (at, with) in (any::<prop::sample::Index>(), any::<u8>()),
    ) {
        let mut known = SeriesByNumber::default();
        let _ = decode_table(&noise, &tenant(), &mut known);
        let (mut table, mut unit, _) = write(&mut Vec::new(), &[1, 2, 95], &[(0, 1, 1.0), (1, 1, 0.5), (2, 4, 2.0)]);
        let _ = decode_apart(&unit, &noise, &mut known);
        let _ = decode_apart(&noise, &table, &mut known);
        let i = at.index(table.len() + unit.len());
        if let Some(b) = table.get_mut(i) {
            *b = with;
        } else {
            let i = i - table.len();
            unit[i] = with;
        }
        let _ = decode_apart(&unit, &table, &mut known);
    }
}
