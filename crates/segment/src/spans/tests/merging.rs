use super::*;

/// Spans dealt over segments, merged.
fn merged(parts: &[SpanBatch]) -> Option<Written> {
    let open = |b: &SpanBatch| open(&write(b, &WriteOptions::default()).unwrap().bytes).unwrap();
    let inputs = parts.iter().map(open).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(super::merge(inputs, &WriteOptions { level: 1 })).unwrap()
}

fn dealt(b: &SpanBatch, n: usize, to: impl Fn(usize, &Span) -> usize) -> Vec<SpanBatch> {
    let part = |p| SpanBatch {
        origins: b.origins.clone(),
        spans: b
            .spans
            .iter()
            .enumerate()
            .filter(|(i, s)| to(*i, s) % n == p)
            .map(|(_, s)| s.clone())
            .collect(),
    };
    (0..n).map(part).collect()
}

#[test]
fn merging_joins_traces_that_lie_in_several_segments() {
    let b = traffic(5000, 5);
    // Most traces whole, every seventh over all of them, its end in the first.
    let parts = dealt(&b, 3, |i, s| {
        let trace = i % 5000;
        if trace % 7 == 0 { 2 - i / 5000 % 3 } else { trace / 500 + s.origin as usize * 3 }
    });
    let w = merged(&parts).unwrap();
    let whole = write(&b, &WriteOptions { level: 1 }).unwrap();
    assert_eq!(w.info.services, whole.info.services);
    assert_eq!((w.info.rows, w.info.range), (whole.info.rows, whole.info.range));
    let r = open(&w.bytes).unwrap();
    assert_eq!(sorted(read_all(&w.bytes).unwrap()), sorted(flat(std::slice::from_ref(&b))));
    for trace in [0, 7, 8, 4999] {
        let located = block_on(r.locate(&[id(trace)])).unwrap();
        assert_eq!(located.spans(), 5, "trace {trace} is whole");
    }
    let scanned = collect(super::merge::scan(&r).unwrap()).unwrap();
    let mut began: Vec<i64> = Vec::new();
    let mut last = None;
    for s in scanned.iter().flat_map(|b| &b.spans) {
        if last.replace(s.trace_id) != Some(s.trace_id) {
            began.push(s.start_ns);
        }
    }
    assert_eq!(began.len(), 5000, "the rows of a trace stand together");
}

#[test]
fn a_trace_larger_than_everything_else_is_merged_in_pieces() {
    let one = traffic(1, 30_000);
    let w = merged(&dealt(&one, 2, |i, _| i / 20_000)).unwrap();
    assert_eq!(sorted(read_all(&w.bytes).unwrap()), sorted(flat(&[one])));
    assert!(merged(&[]).is_none() && merged(&[SpanBatch::default()]).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn any_conditions_select_as_a_loop_does(b in any_batch(), picks in prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..3), 1..3)) {
        let all = alternatives();
        let any_of: Vec<Vec<SpanCondition>> =
            picks.iter().map(|p| p.iter().flat_map(|i| i.get(&all).clone()).collect()).collect();
        let r = open(&write(&b, &WriteOptions::default()).unwrap().bytes).unwrap();
        prop_assert_eq!(selected(&r, &any_of).unwrap(), passing(&b, &any_of), "{:?}", any_of);
    }

    #[test]
    fn merging_gives_everything_back(b in any_batch(), n in 1usize..4) {
        let whole = flat(std::slice::from_ref(&b));
        match merged(&dealt(&b, n, |i, _| i * 7 / 3)) {
            Some(w) => {
                prop_assert_eq!(sorted(read_all(&w.bytes).unwrap()), sorted(whole));
                let ids: BTreeSet<[u8; 16]> = b.spans.iter().map(|s| s.trace_id).collect();
                let r = open(&w.bytes).unwrap();
                for id in ids {
                    let want = b.spans.iter().filter(|s| s.trace_id == id).count();
                    prop_assert_eq!(block_on(r.locate(&[id])).unwrap().spans(), want);
                }
            }
            None => prop_assert!(whole.is_empty()),
        }
    }
}
