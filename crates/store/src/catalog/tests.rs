use model::{TimeRange, TimestampNs};
use object_store::memory::InMemory;
use proptest::prelude::*;
use segment::SegmentInfo;

use super::*;

fn objects() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

async fn open(objects: &Arc<dyn ObjectStore>) -> (Catalog, Arc<State>) {
    let clock = Clock::manual(1_000);
    Catalog::open(objects.clone(), clock, &TenantId::default(), &Signal::LOGS, 500).await.unwrap()
}

fn added(path: &str) -> SegmentRef {
    let info = SegmentInfo {
        signal: Signal::LOGS,
        format_version: 1,
        level: 0,
        rows: 1,
        items: 1,
        bytes: 10,
        range: TimeRange::new(TimestampNs(0), TimestampNs(1)),
        names: None,
        services: None,
    };
    SegmentRef { path: path.to_owned(), window: (0, 1), sequence: 0, cleaned: 0, info }
}

fn add(id: &str, path: &str) -> Commit {
    Commit { id: id.to_owned(), change: Change { added: vec![added(path)], ..Change::default() } }
}

#[tokio::test]
async fn a_reopened_catalog_has_the_state_that_was_committed_across_snapshots() {
    let objects = objects();
    let (catalog, state) = open(&objects).await;
    assert_eq!(state.version, 0);
    let mut last = state;
    for n in 0..150 {
        let mut commit = add(&n.to_string(), &format!("s{n}"));
        commit.change.covered = Some(Covered { log: "a".into(), upto: (1, n) });
        if n > 0 {
            commit.change.removed = vec![format!("s{}", n - 1)];
        }
        last = catalog.commit(&commit).await.unwrap();
    }
    assert_eq!(catalog.delete_old().await.unwrap(), 63);
    let (_, found) = open(&objects).await;
    assert_eq!(found, last);
    assert_eq!(found.version, 150);
    assert_eq!(found.covered["a"], (1, 149));
    assert_eq!(found.segments.keys().collect::<Vec<_>>(), ["s149"]);
}

#[tokio::test]
async fn the_loser_of_a_race_rebases_and_both_changes_are_there() {
    let objects = objects();
    let (one, _) = open(&objects).await;
    let (two, _) = open(&objects).await;
    one.commit(&add("a", "s1")).await.unwrap();
    let state = two.commit(&add("b", "s2")).await.unwrap();
    assert_eq!(state.segments.len(), 2);
    assert_eq!(state.segments["s2"].sequence, 2);
}

#[tokio::test]
async fn replacing_what_is_no_longer_live_is_a_conflict() {
    let objects = objects();
    let (one, _) = open(&objects).await;
    one.commit(&add("a", "s1")).await.unwrap();
    let (two, _) = open(&objects).await;
    let replace = |id: &str, path: &str| {
        let mut c = add(id, path);
        c.change.removed = vec!["s1".to_owned()];
        c
    };
    one.commit(&replace("b", "s2")).await.unwrap();
    let lost = two.commit(&replace("c", "s3")).await;
    assert!(matches!(lost, Err(Error::Conflict(_))), "{lost:?}");
}

#[tokio::test]
async fn committing_the_same_change_again_after_an_unclear_answer_publishes_it_once() {
    let objects = objects();
    let (one, _) = open(&objects).await;
    let (unaware, _) = open(&objects).await;
    one.commit(&add("a", "s1")).await.unwrap();
    let state = unaware.commit(&add("a", "s1")).await.unwrap();
    assert_eq!(state.version, 1);
}

#[tokio::test]
async fn a_version_from_the_future_is_refused_with_what_to_do() {
    let objects = objects();
    let path = Path::from("catalog/default/logs/v00000000000000000001.json");
    objects.put(&path, r#"{"format":3,"anything":1}"#.into()).await.unwrap();
    let clock = Clock::manual(0);
    let err = Catalog::open(objects, clock, &TenantId::default(), &Signal::LOGS, 1).await.err().unwrap();
    assert!(matches!(err, Error::FutureVersion(_)));
    assert!(err.to_string().contains("start the newer version"), "{err}");
}

#[tokio::test]
async fn a_missing_version_is_corruption_that_names_the_object() {
    let objects = objects();
    let (catalog, _) = open(&objects).await;
    for n in 0..3 {
        catalog.commit(&add(&n.to_string(), &format!("s{n}"))).await.unwrap();
    }
    objects.delete(&catalog.path(2)).await.unwrap();
    let clock = Clock::manual(0);
    let err = Catalog::open(objects, clock, &TenantId::default(), &Signal::LOGS, 1).await.err().unwrap();
    assert!(err.to_string().contains("v00000000000000000002.json is missing"), "{err}");
}

#[tokio::test]
async fn ids_past_the_horizon_leave_the_state() {
    let objects = objects();
    let clock = Clock::manual(0);
    let (catalog, _) =
        Catalog::open(objects, clock.clone(), &TenantId::default(), &Signal::LOGS, 500).await.unwrap();
    let mut c = add("a", "s1");
    c.change.ids = Some(IdsRef { path: "i1".into(), newest_ns: 100 });
    assert_eq!(catalog.commit(&c).await.unwrap().ids.len(), 1);
    clock.advance(std::time::Duration::from_nanos(601));
    assert!(catalog.commit(&add("b", "s2")).await.unwrap().ids.is_empty());
}

#[test]
fn a_tenant_with_a_star_has_a_directory_and_comes_back() {
    let t = TenantId::new("a*b").unwrap();
    assert_eq!(tenant_of_dir(&tenant_dir(&t)), Some(t));
}

proptest! {
    #[test]
    fn random_bytes_are_no_catalog_version_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(parse(&Path::from("x"), 1, &bytes).is_err());
    }
}
