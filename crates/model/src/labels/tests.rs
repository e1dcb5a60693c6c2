use super::*;

#[test]
fn pairs_come_back_sorted_without_empties_and_the_last_of_equal_names_counts() {
    let l = Labels::from_pairs([("b", "2"), ("a", "1"), ("c", ""), ("a", "3")]);
    assert_eq!(l.iter().collect::<Vec<_>>(), [("a", "3"), ("b", "2")]);
    assert_eq!(l.get("b"), Some("2"));
    assert_eq!(l.value("c"), "");
}

#[test]
fn values_longer_than_one_length_byte_survive() {
    let long = "x".repeat(70_000);
    let l = Labels::from_pairs([("a", long.as_str()), ("b", "y")]);
    assert_eq!(l.get("a"), Some(long.as_str()));
    assert_eq!(l.get("b"), Some("y"));
}

#[test]
fn order_is_by_pairs_not_by_packed_bytes() {
    let short = Labels::from_pairs([("a", "zz")]);
    let long = Labels::from_pairs([("a", "b".repeat(200))]);
    assert!(long < short);
    assert!(Labels::default() < short);
}

#[test]
fn unsorted_pairs_are_noticed() {
    assert!(Labels::from_sorted([("b", "1"), ("a", "1")]).is_none());
    assert!(Labels::from_sorted([("a", "1"), ("a", "1")]).is_none());
    assert_eq!(
        Labels::from_sorted([("a", "1"), ("b", "2")]).unwrap(),
        Labels::from_pairs([("b", "2"), ("a", "1")])
    );
}

#[test]
fn labels_print_as_prometheus_prints_them() {
    let l = Labels::from_pairs([("__name__", "up"), ("job", "a\"b")]);
    assert_eq!(l.to_string(), r#"up{job="a\"b"}"#);
    assert_eq!(Labels::from_pairs([("__name__", "up")]).to_string(), "up");
    assert_eq!(Labels::default().to_string(), "{}");
    assert_eq!(Labels::from_pairs([("__name__", "a.b"), ("c.d", "e")]).to_string(), r#"{"a.b", "c.d"="e"}"#);
}
