use proptest::prelude::*;

use super::*;
use crate::{
    FloatPoint, Points,
    testing::{self, Draft},
};

fn point(t: i64) -> Points {
    let floats = vec![FloatPoint { timestamp_ms: t, start_ms: 0, value: t as f64 }];
    Points { floats, histograms: Vec::new() }
}

fn drafts(names: &[String]) -> Vec<Draft> {
    let mut sorted: Vec<_> = names.to_vec();
    sorted.sort();
    sorted.dedup();
    sorted
        .into_iter()
        .enumerate()
        .map(|(i, n)| Draft {
            labels: vec![("__name__".to_owned(), "m".to_owned()), ("l".to_owned(), n)],
            chunks: (0..i % 4).map(|c| (1, point(c as i64 * 100 - 50))).collect(),
        })
        .collect()
}

fn open(bytes: Vec<u8>) -> Result<Index<Vec<u8>>> {
    Index::new(PathBuf::from("index"), bytes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn both_versions_read_back(names in proptest::collection::vec("[a-zäß]{1,6}", 1..40), version in 1u8..=3) {
        let drafts = drafts(&names);
        let (_, refs) = testing::chunk_file(&drafts);
        let (bytes, ids) = testing::index(version, &drafts, &refs);
        let mut index = open(bytes).unwrap();
        prop_assert_eq!(index.len(), drafts.len());
        for (n, d) in drafts.iter().enumerate() {
            let s = index.series(n).unwrap().unwrap();
            prop_assert_eq!(s.labels, Labels::from_pairs(d.labels.clone()));
            prop_assert_eq!(s.reference, ids[n]);
            let chunks: Vec<_> = s.chunks.iter().map(|c| (c.reference, c.min_ms, c.max_ms)).collect();
            prop_assert_eq!(&chunks, &refs[n]);
        }
        prop_assert!(index.series(drafts.len()).unwrap().is_none());
    }

    #[test]
    fn a_flipped_bit_is_an_error_or_lies_where_nothing_is_read(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let drafts = drafts(&["a".to_owned(), "b".to_owned(), "cc".to_owned()]);
        let (_, refs) = testing::chunk_file(&drafts);
        let (good, _) = testing::index(2, &drafts, &refs);
        let all = |bytes: Vec<u8>| -> Result<Vec<Series>> {
            let mut index = open(bytes)?;
            (0..index.len()).filter_map(|n| index.series(n).transpose()).collect()
        };
        let expected = all(good.clone()).unwrap();
        let mut bad = good;
        let at = at.index(bad.len());
        bad[at] ^= 1 << bit;
        if let Ok(found) = all(bad) {
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn random_bytes_are_an_error_and_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(open(bytes).is_err());
    }
}

#[test]
fn a_truncated_index_names_the_file_and_the_place() {
    let drafts = drafts(&["a".to_owned(), "b".to_owned()]);
    let (_, refs) = testing::chunk_file(&drafts);
    let (mut bytes, _) = testing::index(2, &drafts, &refs);
    bytes.truncate(bytes.len() - 9);
    let e = open(bytes).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(e.contains("index at byte") && e.contains("table of contents"), "{e}");
}
