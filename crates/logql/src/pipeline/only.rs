//! Fields that records must have to pass a pipeline, for a `Select` that can look them up.

use model::MatchOp;

use crate::ast::{LabelFilter, Stage};

/// Names and values of stored fields without which no record passes. The engine looks at every record again.
pub(crate) fn fields(stages: &[Stage]) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for stage in stages {
        match stage {
            Stage::Label(filter) => add(filter, &mut out),
            Stage::Line(_) | Stage::LineFormat(_) | Stage::Decolorize => {}
            // From here on labels are not those that are stored.
            _ => break,
        }
    }
    out
}

fn add(filter: &LabelFilter, out: &mut Vec<(String, String)>) {
    match filter {
        LabelFilter::Text(m) if m.op == MatchOp::Equal && !m.value.is_empty() => {
            out.push((m.name.clone(), m.value.clone()));
        }
        LabelFilter::And(a, b) => {
            add(a, out);
            add(b, out);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &str) -> String {
        let crate::ast::Expr::Log(log) = crate::parse(query).unwrap() else { panic!("{query}") };
        let pairs: Vec<String> = fields(&log.stages).iter().map(|(n, v)| format!("{n}={v}")).collect();
        pairs.join(" ")
    }

    #[test]
    fn equal_fields_before_labels_change_are_needed() {
        assert_eq!(of(r#"{a="b"} | trace_id="x""#), "trace_id=x");
        assert_eq!(
            of(r#"{a="b"} |= "l" | c="1" and d="2", e="3" | line_format "z" | f="4""#),
            "c=1 d=2 e=3 f=4"
        );
        assert_eq!(of(r#"{a="b"} | c="1" or d="2" | e!="3" | f=~"4" | g="" | h>5"#), "");
        assert_eq!(of(r#"{a="b"} | json | c="1""#), "");
        assert_eq!(of(r#"{a="b"} | c="1" | label_format d=c | d="2""#), "c=1");
        assert_eq!(of(r#"{a="b"} | drop c | c="1""#), "");
    }
}
