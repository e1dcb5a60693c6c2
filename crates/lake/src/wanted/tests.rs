use proptest::prelude::*;

use super::pattern::{Like, needed, portable};
use super::*;

#[test]
fn a_pattern_of_like_becomes_texts_or_an_anchored_expression() {
    let like = |text: &str| Like::parse(text, '\\', false, false).unwrap();
    assert_eq!(like("a%b_c").regex(), "a.*b.c");
    assert_eq!(like("50\\%.%").regex(), "50%\\..*");
    let contains = |t: &str| LineFilter::Contains(t.to_owned());
    assert_eq!(like("%failed%in%").lines(), [contains("failed"), contains("in")]);
    assert_eq!(Like::parse("%x%", '\\', true, false).unwrap().lines(), [LineFilter::NotContains("x".into())]);
    // Not containing both is not the same as containing neither.
    assert!(Like::parse("%x%y%", '\\', true, false).unwrap().lines().is_empty());
    assert_eq!(Like::parse("ends in \\", '\\', false, false), None);
}

#[test]
fn an_expression_is_handed_on_where_every_engine_reads_it_alike() {
    for same in ["paid", "a|b", "^x.*$", "(?i)put", "[a-f0-9]+", "fail(ed)?:", "\\.\\*", "(?:a|b)c"] {
        assert!(portable(same), "{same}");
    }
    for other in ["\\d+", "[a&&b]", "(?x)a # b", "a)|(b", "(", "\\bword\\b", "é", "(?-u)a", "(?P<n>a)"] {
        assert!(!portable(other), "{other}");
    }
}

#[test]
fn texts_that_every_match_holds_are_found() {
    assert_eq!(needed("took \\d+ms"), ["took ", "ms"]);
    assert_eq!(needed("(abc)+x?"), ["abc"]);
    assert!(needed("a|b").is_empty() && needed("(?i)abc").is_empty() && needed("(").is_empty());
}

#[test]
fn only_what_an_id_looks_like_is_one() {
    assert_eq!(trace_id("000000000000000000000000000000ff").map(|id| id[15]), Some(0xff));
    for none in ["", "ff", "000000000000000000000000000000FF", "+00000000000000000000000000000ff"] {
        assert_eq!(trace_id(none), None, "{none}");
    }
}

proptest! {
    #[test]
    fn no_pattern_makes_us_panic(text in "\\PC{0,24}", meta in "[%_\\\\()\\[\\]?*+|^$.a-c&-]{0,24}") {
        for t in [&text, &meta] {
            let _ = (portable(t), needed(t));
            for escape in ['\\', '%', 'a'] {
                if let Some(like) = Like::parse(t, escape, false, false) {
                    let _ = (like.regex(), like.lines());
                }
            }
        }
    }

    /// What LIKE means, against an expression made the slow way.
    #[test]
    fn what_like_lets_through_its_lines_do_too(pattern in "[ab%_]{0,6}", line in "[ab\n]{0,8}") {
        let like = Like::parse(&pattern, '\\', false, false).unwrap();
        let matches = Matcher::new("x", MatchOp::Regex, like.regex()).unwrap().matches(&line);
        let passes = contract::fake::line_passes(&like.lines(), &line).unwrap();
        prop_assert!(!matches || passes);
        let negated = Like { is_negated: true, ..like };
        let passes = contract::fake::line_passes(&negated.lines(), &line).unwrap();
        prop_assert!(matches || passes);
    }
}
