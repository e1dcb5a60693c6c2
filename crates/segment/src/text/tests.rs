use proptest::prelude::*;

use super::*;

/// Bit equality, which `PartialEq` of floats is not.
pub(crate) fn same(a: &AnyValue, b: &AnyValue) -> bool {
    match (a, b) {
        (AnyValue::Double(x), AnyValue::Double(y)) => x.to_bits() == y.to_bits(),
        (AnyValue::Array(x), AnyValue::Array(y)) => {
            x.len() == y.len() && x.iter().zip(y).all(|(a, b)| same(a, b))
        }
        (AnyValue::Map(x), AnyValue::Map(y)) => same_pairs(x, y),
        (a, b) => a == b,
    }
}

pub(crate) fn same_pairs(x: &Attributes, y: &Attributes) -> bool {
    x.len() == y.len() && x.iter().zip(y.iter()).all(|((k, a), (l, b))| k == l && same(a, b))
}

pub(crate) fn any_value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        Just(AnyValue::Empty),
        ".{0,12}".prop_map(AnyValue::String),
        any::<bool>().prop_map(AnyValue::Bool),
        any::<i64>().prop_map(AnyValue::Int),
        any::<u64>().prop_map(|b| AnyValue::Double(f64::from_bits(b))),
        (-1000i64..1000).prop_map(|v| AnyValue::Double(v as f64 / 8.0)),
        prop::collection::vec(any::<u8>(), 0..8).prop_map(AnyValue::Bytes),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(AnyValue::Array),
            prop::collection::vec((any_key(), inner), 0..4).prop_map(|p| AnyValue::Map(Attributes(p))),
        ]
    })
}

/// Few distinct keys, some awkward, so that they meet.
pub(crate) fn any_key() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "a",
            "b",
            "http.method",
            "$float",
            "$map",
            "$bytes",
            "",
            "rest",
            "order",
            "ключ"
        ])
        .prop_map(str::to_owned),
        ".{0,4}",
    ]
}

pub(crate) fn any_attributes() -> impl Strategy<Value = Attributes> {
    prop::collection::vec((any_key(), any_value()), 0..5).prop_map(Attributes)
}

#[test]
fn types_are_told_apart_in_the_text() {
    let v = AnyValue::Map(Attributes::from_iter([
        ("i", AnyValue::Int(42)),
        ("d", AnyValue::Double(42.0)),
        ("b", AnyValue::Bytes(vec![10, 27])),
        ("n", AnyValue::Double(f64::from_bits(0x7ff8_0000_0000_0001))),
    ]));
    let text = r#"{"i":42,"d":42.0,"b":{"$bytes":"0a1b"},"n":{"$float":"7ff8000000000001"}}"#;
    assert_eq!(encode(&v).unwrap(), text);
    assert!(same(&decode(text).unwrap(), &v));
}

#[test]
fn nesting_beyond_the_bound_is_an_error_on_both_sides() {
    let mut v = AnyValue::Int(1);
    for _ in 0..MAX_DEPTH {
        v = AnyValue::Array(vec![v]);
    }
    assert!(encode(&v).is_err());
    assert!(decode(&"[".repeat(100_000)).is_err());
}

proptest! {
    #[test]
    fn every_value_comes_back(v in any_value()) {
        prop_assert!(same(&decode(&encode(&v).unwrap()).unwrap(), &v));
    }

    #[test]
    fn any_text_is_a_value_or_an_error(text in ".{0,40}", json in r#"[\[\]{}",:$0-9.eau\\]{0,40}"#) {
        let _ = decode(&text);
        let _ = decode(&json);
        let _ = decode_pairs(&json);
    }
}
