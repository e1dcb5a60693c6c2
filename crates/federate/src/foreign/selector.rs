//! Matchers as text, in the form that PromQL and LogQL share.

use std::fmt::Write;

use model::{MatchOp, Matcher, labels::is_classic_label_name};

/// `{__name__="up",job=~"a.*"}`. Names that are not classic are quoted, which Prometheus reads since 3.0.
pub(super) fn selector(matchers: &[Matcher]) -> String {
    let mut out = String::from("{");
    for (i, m) in matchers.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        match is_classic_label_name(&m.name) {
            true => out.push_str(&m.name),
            false => quote(&mut out, &m.name),
        }
        out.push_str(m.op.as_str());
        quote(&mut out, &m.value);
    }
    out.push('}');
    out
}

/// A Go string in double quotes, which is what both languages read.
pub(super) fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Both languages refuse a selector that accepts what has none of its labels, so that one without a real condition
/// gets the weakest there is: the label must be there.
pub(super) fn conditioned(mut matchers: Vec<Matcher>, any: &str) -> Vec<Matcher> {
    if matchers.iter().all(Matcher::matches_empty)
        && let Ok(m) = Matcher::new(any, MatchOp::Regex, ".+")
    {
        matchers.push(m);
    }
    matchers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_is_written_as_both_languages_read_it() {
        let m = |n: &str, op, v: &str| Matcher::new(n, op, v).unwrap();
        let list = [
            Matcher::equal("__name__", "up"),
            m("path", MatchOp::NotRegex, "C:\\\\\"x\"\n"),
            m("http.route", MatchOp::NotEqual, "\u{1}é"),
        ];
        let want = "{__name__=\"up\",path!~\"C:\\\\\\\\\\\"x\\\"\\n\",\"http.route\"!=\"\\u0001é\"}";
        assert_eq!(selector(&list), want);
        assert_eq!(selector(&[]), "{}");
    }

    #[test]
    fn a_selector_without_a_condition_gets_the_weakest_one() {
        assert_eq!(selector(&conditioned(Vec::new(), "__name__")), "{__name__=~\".+\"}");
        let real = vec![Matcher::equal("a", "b")];
        assert_eq!(conditioned(real.clone(), "__name__"), real);
        let weak = vec![Matcher::new("a", MatchOp::NotEqual, "b").unwrap()];
        assert_eq!(conditioned(weak, "__name__").len(), 2);
    }
}
