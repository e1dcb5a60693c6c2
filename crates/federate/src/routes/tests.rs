use contract::fake::Fake;
use model::Labels;

use super::*;

fn beyond_of(cluster: &str, hops: u32) -> Beyond {
    Beyond { cluster: cluster.into(), hops, labels: Labels::default(), ..Beyond::default() }
}

fn announced(beyond: &[(&str, u32)]) -> Option<Arc<Announcement>> {
    let beyond = beyond.iter().map(|(c, hops)| beyond_of(c, *hops)).collect();
    Some(Arc::new(Announcement { beyond, ..Announcement::default() }))
}

fn names(all: &[Beyond]) -> Vec<(&str, u32)> {
    all.iter().map(|b| (b.cluster.as_str(), b.hops)).collect()
}

#[test]
fn the_nearest_way_is_announced_and_not_to_whom_it_leads_through() {
    let peers = [
        (beyond_of("a", 1), announced(&[("c", 3), ("own", 1), ("far", MAX_HOPS)])),
        (beyond_of("b", 1), announced(&[("c", 1), ("a", 1)])),
    ];
    let own = ["own".to_owned(), "node".to_owned()];
    assert_eq!(names(&beyond(&peers, &own, &[])), [("a", 1), ("b", 1), ("c", 2)]);
    // The way through the one that asks is left out, and so is that one itself.
    assert_eq!(names(&beyond(&peers, &own, &["b".into()])), [("a", 1), ("c", 4)]);
}

#[test]
fn a_question_that_has_been_here_is_asked_of_nobody() {
    let members = [Arc::new(Member::new("a", Arc::new(Fake::new())))];
    let own = ["own".to_owned(), "node".to_owned()];
    let asked = |received: &[&str]| {
        let received: Vec<String> = received.iter().map(|r| (*r).to_owned()).collect();
        divide(&members, &own, &received)[0].is_some()
    };
    assert!(asked(&[]) && asked(&["b"]));
    assert!(!asked(&["node"]) && !asked(&["own"]) && !asked(&["a"]));
}
