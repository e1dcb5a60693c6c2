use std::{
    collections::BTreeMap,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
};

use axum::{body::Bytes, extract::State, http::StatusCode, routing::post};
use model::{
    Histogram,
    histogram::{BucketSpan, ResetHint},
};
use parking_lot::Mutex;
use tsdb::{
    FloatPoint, HistogramPoint, Points,
    testing::{self, Draft},
};

use super::*;

/// Takes remote write and remembers every sample.
#[derive(Default)]
struct Receiver {
    floats: Mutex<BTreeMap<(String, i64), u64>>,
    histograms: Mutex<BTreeMap<(String, i64), Histogram>>,
    requests: AtomicUsize,
    /// From this request on, and how many are turned away with which status.
    turn_away: Mutex<Option<(usize, usize, StatusCode)>>,
}

async fn take(State(r): State<Arc<Receiver>>, body: Bytes) -> (StatusCode, &'static str) {
    let n = r.requests.fetch_add(1, SeqCst);
    if let Some((from, count, status)) = *r.turn_away.lock()
        && (from..from + count).contains(&n)
    {
        return (status, "not this one");
    }
    let plain = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
    let batch = wire::remote_write::decode_v1(&plain, &wire::Limits::default()).unwrap().batch;
    let name = |i: u32| batch.series[i as usize].to_string();
    for (i, t) in batch.samples.timestamp_ms.iter().enumerate() {
        let at = (name(batch.samples.series[i]), *t);
        r.floats.lock().insert(at, batch.samples.value[i].to_bits());
    }
    for h in &batch.histograms {
        r.histograms.lock().insert((name(h.series), h.timestamp_ms), h.histogram.clone());
    }
    (StatusCode::NO_CONTENT, "")
}

async fn receiver() -> (Arc<Receiver>, String) {
    let state = Arc::new(Receiver::default());
    let app = axum::Router::new().route("/api/v1/write", post(take)).with_state(state.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (state, address)
}

const DAY: i64 = 86_400_000;

fn floats(times: impl Iterator<Item = i64>) -> Points {
    let floats =
        times.map(|t| FloatPoint { timestamp_ms: t, start_ms: 0, value: (t as f64).sin() * 1e9 }).collect();
    Points { floats, histograms: Vec::new() }
}

fn histograms(times: impl Iterator<Item = i64>) -> Points {
    let histograms = times
        .enumerate()
        .map(|(i, t)| HistogramPoint {
            timestamp_ms: t,
            start_ms: 0,
            histogram: Histogram {
                reset_hint: if i == 0 { ResetHint::Unknown } else { ResetHint::NotReset },
                schema: 3,
                count: i as f64 * 3.0,
                sum: i as f64 / 7.0,
                positive_spans: vec![BucketSpan { offset: -2, length: 2 }],
                positive_buckets: vec![i as f64, i as f64 * 2.0],
                is_integer: true,
                ..Histogram::default()
            },
        })
        .collect();
    Points { floats: Vec::new(), histograms }
}

fn labels(name: &str, n: usize) -> Vec<(String, String)> {
    vec![("__name__".to_owned(), name.to_owned()), ("n".to_owned(), format!("{n:03}"))]
}

/// A block of three days: 20 series of floats every ten minutes, two of histograms every hour.
fn block(dir: &Path, ulid: &str, start: i64) -> usize {
    let at = dir.join(ulid);
    let end = start + 3 * DAY;
    let steps = |step: i64| (start..end).step_by(step as usize).collect::<Vec<_>>();
    let chunked = |encoding: u8, all: Vec<i64>, make: fn(std::vec::IntoIter<i64>) -> Points| {
        all.chunks(100).map(|c| (encoding, make(Vec::from(c).into_iter()))).collect::<Vec<_>>()
    };
    let mut drafts: Vec<Draft> = (0..20)
        .map(|n| Draft { labels: labels("f", n), chunks: chunked(1, steps(600_000), floats) })
        .collect();
    drafts.extend(
        (0..2).map(|n| Draft { labels: labels("h", n), chunks: chunked(2, steps(3_600_000), histograms) }),
    );
    let samples: usize = drafts.iter().flat_map(|d| &d.chunks).map(|c| c.1.len()).sum();
    testing::block(&at, 2, &drafts);
    let meta = format!(
        r#"{{"ulid":"{ulid}","minTime":{start},"maxTime":{end},"version":1,"stats":{{"numSamples":{samples}}},"compaction":{{"sources":["{ulid}"]}}}}"#
    );
    std::fs::write(at.join("meta.json"), meta).unwrap();
    samples
}

fn options(dir: &Path, address: &str) -> Options {
    Options {
        dir: dir.to_owned(),
        target: Target::new(address, None, &[]).unwrap(),
        tenant: None,
        labels: vec![("site".to_owned(), "x".to_owned())],
        from_ms: i64::MIN,
        to_ms: i64::MAX,
        journal: dir.join("journal.json"),
        batch: 500,
        concurrency: 3,
        retry_for: Duration::from_secs(60),
        keep_going: false,
    }
}

async fn import(o: &Options) -> Result<Report> {
    run(o, &Clock::system(), &Shutdown::new(), |_| {}).await
}

const A: &str = "01AAAAAAAAAAAAAAAAAAAAAAAA";
const B: &str = "01BBBBBBBBBBBBBBBBBBBBBBBB";

#[tokio::test]
async fn every_sample_of_every_block_arrives_bit_for_bit_and_once() {
    let dir = tempfile::tempdir().unwrap();
    let samples = block(dir.path(), A, 5_000) + block(dir.path(), B, 3 * DAY + 5_000);
    let (r, address) = receiver().await;
    let report = import(&options(dir.path(), &address)).await.unwrap();
    assert_eq!((report.samples as usize, report.blocks, report.blocks_known), (samples, 2, 0));
    assert_eq!(r.floats.lock().len() + r.histograms.lock().len(), samples);
    for ((name, t), bits) in r.floats.lock().iter() {
        assert_eq!(*bits, ((*t as f64).sin() * 1e9).to_bits(), "{name} at {t}");
        assert!(name.contains(r#"site="x""#), "{name}");
    }
    assert_eq!(r.histograms.lock().values().filter(|h| h.is_integer && h.schema == 3).count(), 2 * 2 * 72);
    // Again: nothing is left to send.
    let again = import(&options(dir.path(), &address)).await.unwrap();
    assert_eq!((again.samples, again.blocks, again.blocks_known), (0, 0, 2));
}

#[tokio::test]
async fn an_import_that_was_stopped_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let samples = block(dir.path(), A, 0);
    let (r, address) = receiver().await;
    *r.turn_away.lock() = Some((7, 1000, StatusCode::BAD_REQUEST));
    let o = options(dir.path(), &address);
    let e = import(&o).await.unwrap_err();
    assert!(
        matches!(&e, Error::Refused { block, answer, .. } if block == A && answer.contains("not this one")),
        "{e}"
    );
    *r.turn_away.lock() = None;
    let first = r.floats.lock().len() + r.histograms.lock().len();
    let report = import(&o).await.unwrap();
    let sent_again = first + report.samples as usize - samples;
    assert!(report.samples < samples as u64 && sent_again <= 3 * o.batch, "{report:?}");
    assert_eq!(r.floats.lock().len() + r.histograms.lock().len(), samples);
}

#[tokio::test]
async fn a_receiver_that_is_busy_is_asked_again_and_refusals_may_be_counted() {
    let dir = tempfile::tempdir().unwrap();
    let samples = block(dir.path(), A, 0);
    let (r, address) = receiver().await;
    *r.turn_away.lock() = Some((2, 2, StatusCode::SERVICE_UNAVAILABLE));
    let report = import(&options(dir.path(), &address)).await.unwrap();
    assert_eq!((report.samples as usize, report.retries), (samples, 2));
    let mut o = options(dir.path(), &address);
    o.journal = dir.path().join("another.json");
    o.keep_going = true;
    let now = r.requests.load(SeqCst);
    *r.turn_away.lock() = Some((now, 1, StatusCode::BAD_REQUEST));
    let report = import(&o).await.unwrap();
    assert_eq!(report.refusals.values().sum::<u64>(), 1);
    assert_eq!(report.samples + report.refused_samples, samples as u64);
}

#[tokio::test]
async fn only_the_time_asked_for_is_sent_and_a_journal_serves_one_import_only() {
    let dir = tempfile::tempdir().unwrap();
    block(dir.path(), A, 0);
    let (r, address) = receiver().await;
    let mut o = options(dir.path(), &address);
    (o.from_ms, o.to_ms) = (DAY, DAY + 3_600_000);
    import(&o).await.unwrap();
    assert_eq!(r.floats.lock().len(), 20 * 7);
    assert!(r.floats.lock().keys().all(|(_, t)| (o.from_ms..=o.to_ms).contains(t)));
    let e = import(&options(dir.path(), &address)).await.unwrap_err();
    assert!(e.to_string().contains("belongs to another import"), "{e}");
    std::fs::write(&o.journal, "{").unwrap();
    assert!(import(&o).await.unwrap_err().to_string().contains("no journal"));
}

#[tokio::test]
async fn a_damaged_block_ends_the_import_with_its_name_and_what_arrived_stays_noted() {
    let dir = tempfile::tempdir().unwrap();
    block(dir.path(), A, 0);
    let chunks = dir.path().join(A).join("chunks/000001");
    let mut bytes = std::fs::read(&chunks).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    std::fs::write(&chunks, bytes).unwrap();
    let (_, address) = receiver().await;
    let e = import(&options(dir.path(), &address)).await.unwrap_err();
    assert_eq!(e.kind(), base::Kind::Corrupt);
    assert!(e.to_string().contains("chunks/000001 at byte"), "{e}");
}

#[tokio::test]
async fn a_directory_without_blocks_is_refused_and_nothing_is_written_into_it() {
    let dir = tempfile::tempdir().unwrap();
    let (_, address) = receiver().await;
    let e = import(&options(dir.path(), &address)).await.unwrap_err().to_string();
    assert!(e.contains("holds no block") && e.contains("meta.json"), "{e}");
    std::fs::create_dir(dir.path().join("wal")).unwrap();
    let e = import(&options(dir.path(), &address)).await.unwrap_err().to_string();
    assert!(e.contains("write-ahead log") && e.contains("snapshot"), "{e}");
    assert!(!options(dir.path(), &address).journal.exists());
}

#[tokio::test]
async fn a_directory_like_a_block_without_a_description_is_told_of() {
    let dir = tempfile::tempdir().unwrap();
    block(dir.path(), A, 0);
    block(dir.path(), B, 3 * DAY);
    std::fs::remove_file(dir.path().join(B).join("meta.json")).unwrap();
    let (_, address) = receiver().await;
    let report = import(&options(dir.path(), &address)).await.unwrap();
    assert_eq!((report.blocks, report.blocks_undescribed), (1, vec![dir.path().join(B)]));
}

#[tokio::test]
async fn labels_that_thanos_noted_for_a_block_stand_below_those_given_and_its_own() {
    let dir = tempfile::tempdir().unwrap();
    block(dir.path(), A, 0);
    let meta = format!(
        r#"{{"ulid":"{A}","minTime":0,"maxTime":{},"version":1,"thanos":{{"labels":{{"replica":"a","site":"y","n":"z"}}}}}}"#,
        3 * DAY
    );
    std::fs::write(dir.path().join(A).join("meta.json"), meta).unwrap();
    let (r, address) = receiver().await;
    import(&options(dir.path(), &address)).await.unwrap();
    for ((name, _), _) in r.floats.lock().iter() {
        assert!(
            name.contains(r#"replica="a""#) && name.contains(r#"site="x""#) && !name.contains("z"),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_journal_of_a_try_that_never_got_through_does_not_stand_in_the_way() {
    let dir = tempfile::tempdir().unwrap();
    let samples = block(dir.path(), A, 0);
    let mut nowhere = options(dir.path(), "http://127.0.0.1:1");
    nowhere.retry_for = Duration::ZERO;
    assert!(matches!(import(&nowhere).await, Err(Error::GaveUp { .. })));
    let (_, address) = receiver().await;
    assert_eq!(import(&options(dir.path(), &address)).await.unwrap().samples as usize, samples);
}
