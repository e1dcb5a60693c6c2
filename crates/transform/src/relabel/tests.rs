use super::*;

/// A rule with just what its action takes.
fn rule(action: &str, source: &[&str], regex: &str, target: &str, replacement: &str) -> Rule {
    let defaults = RuleConfig::default();
    let or = |given: &str, default: String| if given.is_empty() { default } else { given.to_owned() };
    Rule::new(RuleConfig {
        source_labels: source.iter().map(|s| (*s).to_owned()).collect(),
        regex: regex.to_owned(),
        target_label: target.to_owned(),
        replacement: or(replacement, defaults.replacement.clone()),
        action: action.to_owned(),
        modulus: if action == "hashmod" { 1000 } else { 0 },
        ..defaults
    })
    .unwrap()
}

fn run(pairs: &[(&str, &str)], rules: &[Rule]) -> Option<String> {
    relabel_labels(&Labels::from_pairs(pairs.iter().copied()), rules).map(|l| l.to_string())
}

#[test]
fn replace_joins_sources_and_expands_captures() {
    let r = rule("replace", &["a", "b"], "(.+);(.+)", "c", "$2-${1}x");
    assert_eq!(run(&[("a", "1"), ("b", "2")], &[r]).unwrap(), r#"{a="1", b="2", c="2-1x"}"#);
}

#[test]
fn replace_without_a_match_changes_nothing_and_an_empty_result_removes() {
    let r = rule("replace", &["a"], "x(.*)", "c", "$1");
    assert_eq!(run(&[("a", "1")], std::slice::from_ref(&r)).unwrap(), r#"{a="1"}"#);
    assert_eq!(run(&[("a", "x"), ("c", "old")], &[r]).unwrap(), r#"{a="x"}"#);
}

#[test]
fn keep_and_drop_are_anchored() {
    assert!(run(&[("a", "xb")], &[rule("keep", &["a"], "b", "", "")]).is_none());
    assert!(run(&[("a", "b")], &[rule("keep", &["a"], "b", "", "")]).is_some());
    assert!(run(&[("a", "b")], &[rule("drop", &["a"], "b|c", "", "")]).is_none());
}

#[test]
fn equal_actions_compare_two_labels() {
    let pairs = [("port", "80"), ("want", "80")];
    assert!(run(&pairs, &[rule("keepequal", &["port"], "(.*)", "want", "")]).is_some());
    assert!(run(&pairs, &[rule("dropequal", &["port"], "(.*)", "want", "")]).is_none());
}

#[test]
fn hashmod_takes_the_low_eight_bytes_of_md5() {
    // md5("baz") = 73feffa4b7f6bb68e44cf984c85f6e88; the low half mod 1000 is 976.
    let r = rule("hashmod", &["a"], "(.*)", "h", "");
    assert_eq!(run(&[("a", "baz")], &[r]).unwrap(), r#"{a="baz", h="976"}"#);
}

#[test]
fn labels_are_mapped_dropped_and_kept_by_name() {
    let pairs = [("__meta_x", "1"), ("__meta_y", "2"), ("z", "3")];
    assert_eq!(
        run(
            &pairs,
            &[rule("labelmap", &[], "__meta_(.+)", "", "$1"), rule("labeldrop", &[], "__.*", "", "")]
        )
        .unwrap(),
        r#"{x="1", y="2", z="3"}"#
    );
    assert_eq!(run(&pairs, &[rule("labelkeep", &[], "z", "", "")]).unwrap(), r#"{z="3"}"#);
}

#[test]
fn case_is_changed_into_the_target() {
    assert_eq!(run(&[("a", "Bc")], &[rule("uppercase", &["a"], "(.*)", "a", "")]).unwrap(), r#"{a="BC"}"#);
}

#[test]
fn a_dollar_that_names_no_capture_stays() {
    assert_eq!(
        run(&[("a", "x")], &[rule("replace", &["a"], "(.*)", "b", "$$1-$")]).unwrap(),
        r#"{a="x", b="$1-$"}"#
    );
}

#[test]
fn a_target_that_becomes_no_label_name_changes_nothing() {
    let legacy = |target: &str| {
        Rule::new(RuleConfig {
            source_labels: vec!["a".into()],
            target_label: target.into(),
            names: Names::Legacy,
            ..RuleConfig::default()
        })
    };
    assert_eq!(run(&[("a", "1-2")], &[legacy("x_$1").unwrap()]).unwrap(), r#"{a="1-2"}"#);
    assert_eq!(run(&[("a", "7")], &[legacy("x_${1}_y").unwrap()]).unwrap(), r#"{a="7", x_7_y="7"}"#);
    for bad in ["a-b", "7$1", "x_${1", "${}", "$", "é"] {
        assert!(legacy(bad).is_err(), "{bad}");
    }
}

#[test]
fn rules_that_cannot_work_are_refused() {
    let refuse = |change: fn(&mut RuleConfig), says: &str| {
        let mut c = RuleConfig::default();
        change(&mut c);
        let e = Rule::new(c).unwrap_err().to_string();
        assert!(e.contains(says), "{e}");
    };
    refuse(|c| c.action = "nope".into(), "\"nope\" is not known");
    refuse(|c| c.action = String::new(), "action is empty");
    refuse(|_| {}, "replace needs target_label");
    refuse(|c| (c.action, c.regex) = ("keep".into(), "(".into()), "regex \"(\"");
    refuse(|c| (c.action, c.target_label) = ("HashMod".into(), "x".into()), "modulus");
    refuse(|c| c.action = "dropequal".into(), "dropequal needs target_label");
    refuse(
        |c| (c.action, c.target_label, c.regex) = ("keepequal".into(), "x".into(), "y".into()),
        "takes only source_labels",
    );
    refuse(
        |c| (c.action, c.target_label, c.replacement) = ("lowercase".into(), "x".into(), "y".into()),
        "takes no replacement",
    );
    refuse(|c| (c.action, c.source_labels) = ("labeldrop".into(), vec!["a".into()]), "takes only a regex");
    refuse(|c| (c.action, c.separator) = ("labelkeep".into(), ",".into()), "takes only a regex");
}
