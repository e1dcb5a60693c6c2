use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn terms_of(text: &str) -> BTreeSet<u64> {
    let mut folded = Vec::new();
    fold(text, &mut folded);
    let mut found = BTreeSet::new();
    each(&mut folded, |t| {
        found.insert(t);
    });
    found
}

/// Whether the terms of a text say that it may be what is needed.
pub(super) fn may_be(need: &Need, text: &str) -> bool {
    let terms = terms_of(text);
    fn decide(need: &Need, terms: &BTreeSet<u64>) -> bool {
        match need {
            Need::Any => true,
            Need::Terms(t) => t.iter().all(|t| terms.contains(t)),
            Need::All(n) => n.iter().all(|n| decide(n, terms)),
            Need::OneOf(n) => n.iter().any(|n| decide(n, terms)),
        }
    }
    decide(need, &terms)
}

#[test]
fn words_are_terms_whatever_their_case_and_what_stands_between() {
    assert_eq!(terms_of("GET /Cart, 200"), terms_of("200 cart [get]"));
    assert_eq!(terms_of("user_id=7").len(), 2);
    assert_eq!(terms_of(" -- "), BTreeSet::new());
    // The Kelvin sign is a k without case.
    assert_eq!(terms_of("tas\u{212a}"), terms_of("task"));
    assert_eq!(terms_of("ta\u{17f}k"), terms_of("TASK"));
}

#[test]
fn words_are_found_wherever_they_begin_and_end() {
    for length in [0, 1, 5, 15] {
        for before in 0..140 {
            let word = "w".repeat(length);
            for after in ["", " ", " b"] {
                let text = format!("{}{word}{after}", " ".repeat(before));
                let mut wanted: BTreeSet<u64> =
                    [of_word(word.as_bytes())].into_iter().filter(|_| length > 0).collect();
                wanted.extend(after.contains('b').then(|| of_word(b"b")));
                assert_eq!(terms_of(&text), wanted, "{text:?}");
            }
        }
    }
    assert_ne!(of_word(b"a"), of_word(b"a\0"));
}

proptest! {
    #[test]
    fn bytes_are_told_apart(line in prop::collection::vec(any::<u8>(), 0..200), limit in 0..5u8) {
        let bits = |of: &dyn Fn(u8) -> bool| -> Vec<u64> {
            let chunks = line.chunks(classes::WIDE);
            chunks.map(|c| c.iter().rev().fold(0, |bits, b| bits << 1 | u64::from(of(*b)))).collect()
        };
        let mut told = classes::Classes::default();
        told.tell(&line, limit);
        prop_assert_eq!(told.digits, bits(&|b| b.is_ascii_digit()));
        prop_assert_eq!(told.plain, bits(&|b| b.is_ascii_alphanumeric()));
        prop_assert_eq!(told.low, line.iter().any(|b| *b < limit));
        let mut words = [0; 4];
        classes::words(&line, &mut words);
        prop_assert_eq!(&words[..line.len().div_ceil(classes::WIDE)], bits(&in_word));
    }
}

#[test]
fn a_long_word_is_some_parts_of_it() {
    let id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let terms = terms_of(id);
    assert!((2..=8).contains(&terms.len()), "{}", terms.len());
    assert!(terms.is_subset(&terms_of(&format!("req-x{id}y done"))));
}

#[test]
fn a_text_needs_its_whole_words_and_long_ones() {
    // What stands at an end may be part of another word.
    assert_eq!(Need::contains("error"), Need::Any);
    assert_eq!(Need::contains(""), Need::Any);
    let need = Need::contains("ion reset by pe");
    assert!(may_be(&need, "connection reset by peer"));
    assert!(!may_be(&need, "connection refused by peer"));
    let id = Need::contains("4bf92f3577b34da6a3ce929d0e0e4736");
    assert!(may_be(&id, "trace=4BF92F3577B34DA6A3CE929D0E0E4736"));
    assert!(may_be(&id, "trace=xx4bf92f3577b34da6a3ce929d0e0e47361"));
    assert!(!may_be(&id, "trace=4bf92f3577b34da6a3ce929d1e0e4736 5bf92f3577b"));
}

#[test]
fn a_pattern_needs_what_every_match_has() {
    for (pattern, yes, no) in [
        (r"took [0-9]+ ms, user u7 ", "it took 12 ms, user u7 left", "it took 12 s, user u8 left"),
        ("(?i) Error code", "an ERROR code", "an err code"),
        ("(?i)tasK done by", "a taſ\u{212a} done by", "a task begun by"),
        (r"^level=error[\t ]+msg", "level=error  msg=x", "level=warn msg=x"),
        (r"(?m)^panic: ", "x\npanic: y", "x\nfatal: y"),
        ("x( foo | bar )y", "x bar y", "x baz y"),
        ("( foo | bar ){2}", " bar  bar ", " baz "),
        (r"id=[0-9a-f]{4} status=5.. \w+ end", "id=00ff status=501 x end", "id=00ff state=501 x end"),
    ] {
        let need = Need::matches(pattern);
        assert_ne!(need, Need::Any, "{pattern}");
        assert!(regex::Regex::new(pattern).unwrap().is_match(yes), "{pattern}");
        assert!(may_be(&need, yes), "{pattern} {need:?}");
        assert!(!may_be(&need, no), "{pattern} {need:?}");
    }
    for pattern in [".*", "a|b", "(", "[0-9]+", r"\bfoo\b", "(?i)straße", "x*", "foo bar?"] {
        assert_eq!(Need::matches(pattern), Need::Any, "{pattern}");
    }
}

#[test]
fn a_pattern_has_a_text_or_only_classes() {
    for pattern in ["abc", "[0-9]+ms ", "(?:err|warn)ing", "x(foo|bar)", "(abc)+", "a+ [a-f]{2}seven"] {
        assert!(has_text(pattern), "{pattern}");
    }
    for pattern in ["[a-f][0-9]{3}", "ab", "(?i)abc", "(abc)*", "abc|de", "^.*$", "("] {
        assert!(!has_text(pattern), "{pattern}");
    }
}

#[test]
fn needs_join() {
    let (a, b) = (Need::field("a", "1"), Need::field("b", "2"));
    assert_eq!(Need::all([Need::Any, a.clone()]), a);
    assert_eq!(Need::all([]), Need::Any);
    assert_eq!(Need::one_of(vec![a.clone(), Need::Any]), Need::Any);
    assert_eq!(Need::one_of(vec![]), Need::Any);
    assert_eq!(Need::all([a.clone(), b.clone()]), Need::All(vec![a, b]));
    assert_eq!(Need::field("k8s.pod-name", "x"), Need::field("k8s_pod_name", "x"));
    assert_ne!(Need::field("a", "X"), Need::field("a", "x"));
}

/// Lines that share words, parts of words and separators.
fn any_line() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "[a-cK]{1,3}",
        "[0-9a-f]{14,40}",
        "[ =:,/.-]{1,2}",
        Just("error".to_owned()),
        Just("Straße".to_owned()),
        Just("\u{212a}\u{17f}".to_owned()),
        "\\PC{0,3}",
    ];
    prop::collection::vec(part, 0..12).prop_map(|p| p.concat())
}

fn any_pattern() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "[a-cK]{1,3}",
        Just("(?i:error)".to_owned()),
        Just("(?i:k)".to_owned()),
        Just("[0-9a-f]+".to_owned()),
        Just(" ".to_owned()),
        Just("[ =:]+".to_owned()),
        Just(".*".to_owned()),
        Just("(a|b c|)".to_owned()),
        Just("( a | b )".to_owned()),
        Just("^".to_owned()),
        Just("$".to_owned()),
        Just("(?:a b){1,2}".to_owned()),
        Just("\\b".to_owned()),
        Just("x?".to_owned()),
    ];
    prop::collection::vec(part, 1..6).prop_map(|p| p.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn terms_of_a_long_word_are_the_least_of_every_nine_grams(word in "[a-z]{16,200}") {
        let grams: Vec<u64> =
            word.as_bytes().windows(GRAM).map(|g| mixed(u64::from_le_bytes(g.try_into().unwrap()))).collect();
        let mut wanted: Vec<u64> = grams.windows(WINDOW).map(|w| *w.iter().min().unwrap()).collect();
        wanted.dedup();
        let mut found = Vec::new();
        each_long(word.as_bytes(), &mut |t| found.push(t));
        prop_assert_eq!(found, wanted);
    }

    #[test]
    fn every_part_of_a_text_is_found(line in any_line(), a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
        let chars: Vec<usize> = line.char_indices().map(|(i, _)| i).chain([line.len()]).collect();
        let (a, b) = (chars[a.index(chars.len())], chars[b.index(chars.len())]);
        let part = &line[a.min(b)..a.max(b)];
        prop_assert!(may_be(&Need::contains(part), &line), "{part:?} of {line:?}");
    }

    #[test]
    fn every_match_of_a_pattern_is_found(line in any_line(), pattern in any_pattern()) {
        if let Ok(re) = regex::Regex::new(&pattern) && re.is_match(&line) {
            let need = Need::matches(&pattern);
            prop_assert!(may_be(&need, &line), "{pattern:?} in {line:?}: {need:?}");
        }
    }
}
