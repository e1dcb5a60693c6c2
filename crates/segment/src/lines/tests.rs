use proptest::prelude::*;

use super::*;

fn patterns() -> Vec<LineFilter> {
    let patterns = [
        "[a-f][0-9][a-f][0-9][a-f][0-9]{3}[a-f]{4}",
        "",
        "^$",
        "^a",
        "b$",
        "(?i)straße|x{3}",
        r"\bab\b",
        r"\d+\.\d",
        "(?m)^a.c$",
        ".{3}é",
        r"[^\x00-\x7f]",
        "1[0-4]|7",
    ];
    let regex = patterns.iter().map(|p| LineFilter::Regex((*p).to_owned()));
    let not = patterns.iter().map(|p| LineFilter::NotRegex((*p).to_owned()));
    let texts = ["", "a=", "é", "ab ab c"];
    let texts = texts
        .iter()
        .flat_map(|t| [LineFilter::Contains((*t).to_owned()), LineFilter::NotContains((*t).to_owned())]);
    regex.chain(not).chain(texts).collect()
}

proptest! {
    #[test]
    fn an_automaton_says_what_the_pattern_says(
        text in prop_oneof!["[ab1 .\n]{0,12}", "[a-f0-9]{0,40}", ".{0,12}", "[aéß ſs1]{0,9}"],
        cut: prop::sample::Index,
    ) {
        for filter in patterns() {
            let condition = LineCondition::compile(std::slice::from_ref(&filter)).unwrap().unwrap();
            let test = &condition.tests[0];
            let automaton = test.automaton.as_ref().unwrap();
            let (a, b) = text.as_bytes().split_at(cut.index(text.len() + 1));
            let state = automaton.end(automaton.walk(automaton.walk(automaton.start, a), b));
            match state {
                MATCHED => prop_assert!(test.passes(&text) == test.wanted, "{filter:?}"),
                NEVER => prop_assert!(test.passes(&text) != test.wanted, "{filter:?}"),
                _ => prop_assert!(!text.is_ascii(), "{filter:?} is undecided"),
            }
        }
    }
}

#[test]
fn what_is_too_large_for_an_automaton_is_still_decided() {
    let pattern = LineFilter::Regex("^[ab]*a[ab]{14}$".to_owned());
    let condition = LineCondition::compile(&[pattern]).unwrap().unwrap();
    assert!(condition.tests[0].automaton.is_none());
    assert!(condition.matches(&format!("bba{}", "b".repeat(14))));
    assert!(!condition.matches(&format!("bba{}", "b".repeat(15))));
}

#[test]
fn a_pattern_that_is_none_is_named() {
    let found = LineCondition::compile(&[LineFilter::NotRegex("a(".to_owned())]).err().unwrap();
    assert_eq!(found.kind(), base::Kind::Invalid);
    assert!(
        found.to_string().starts_with("line filter \"a(\" is not a valid regular expression: "),
        "{found}"
    );
    assert!(LineCondition::compile(&[]).unwrap().is_none());
}
