//! Our trees under the names that the editor's grammar (lezer-logql) gives their parts, so that the two can be compared.
//!
//! What a tree of ours does not keep is taken out of both: parentheses around a label filter, whether a grouping stands
//! before or behind its operand, in which order a range, its offset and its unwrap are written, and that a label may be
//! taken from its own name without saying so (`json qs` is `json qs="qs"`).

use logql::{Expr, ast::*};
use model::{MatchOp, Matcher};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    pub name: String,
    pub kids: Vec<Tree>,
}

/// Reads `A(B, C(D))`.
pub fn read(text: &str) -> Tree {
    let mut rest = text.trim();
    let tree = read_one(&mut rest);
    assert!(rest.trim().is_empty(), "{rest:?} follows a tree");
    tidy(tree)
}

fn read_one(rest: &mut &str) -> Tree {
    let end = rest.find(['(', ')', ',']).unwrap_or(rest.len());
    let name = rest[..end].trim().to_owned();
    *rest = &rest[end..];
    let mut kids = Vec::new();
    if let Some(inner) = rest.strip_prefix('(') {
        *rest = inner;
        loop {
            kids.push(read_one(rest));
            *rest = rest.trim_start();
            match rest.strip_prefix(',') {
                Some(more) => *rest = more,
                None => break,
            }
        }
        *rest = rest.strip_prefix(')').expect("a tree is closed");
    }
    Tree { name, kids }
}

fn tidy(mut t: Tree) -> Tree {
    t.kids = t.kids.into_iter().map(tidy).collect();
    if t.name == "LabelExtractionExpression" {
        t.kids.truncate(1);
    }
    if let [only] = t.kids.as_slice()
        && only.name == t.name
        && t.name == "LabelFilter"
    {
        return t.kids.remove(0);
    }
    let order =
        ["RangeOp", "VectorOp", "Number", "Selector", "PipelineExpr", "UnwrapExpr", "Range", "OffsetExpr"];
    if matches!(t.name.as_str(), "LogRangeExpr" | "VectorAggregationExpr" | "RangeAggregationExpr") {
        t.kids.sort_by_key(|k| {
            order.iter().position(|o| *o == k.name).unwrap_or(match k.name.as_str() {
                "Grouping" => 100,
                _ => 50,
            })
        });
    }
    t
}

fn leaf(name: &str) -> Tree {
    Tree { name: name.to_owned(), kids: Vec::new() }
}

fn node(name: &str, kids: impl IntoIterator<Item = Tree>) -> Tree {
    Tree { name: name.to_owned(), kids: kids.into_iter().collect() }
}

fn leaves(name: &str, kids: &[&str]) -> Tree {
    node(name, kids.iter().map(|k| leaf(k)))
}

/// `N(N(N(a), b), c)`, as a grammar without repetition makes lists.
fn nested(name: &str, items: impl IntoIterator<Item = Tree>) -> Tree {
    let mut out: Option<Tree> = None;
    for item in items {
        out = Some(node(name, out.into_iter().chain([item])));
    }
    out.unwrap_or_else(|| leaf(name))
}

pub fn of(expr: &Expr) -> Tree {
    let inner = match expr {
        Expr::Log(log) => node("LogExpr", log_parts(log)),
        Expr::Metric(m) => metric(m),
    };
    tidy(node("LogQL", [node("Expr", [inner])]))
}

fn log_parts(log: &LogExpr) -> Vec<Tree> {
    let mut out = vec![node("Selector", [nested("Matchers", log.matchers.iter().map(matcher))])];
    let mut stages: Vec<Tree> = Vec::new();
    let mut filters: Vec<Tree> = Vec::new();
    let close = |filters: &mut Vec<Tree>, stages: &mut Vec<Tree>| {
        if !filters.is_empty() {
            stages.push(node("PipelineStage", [nested("LineFilters", std::mem::take(filters))]));
        }
    };
    for s in &log.stages {
        match s {
            Stage::Line(f) => filters.push(line_filter(f)),
            other => {
                close(&mut filters, &mut stages);
                stages.push(node("PipelineStage", [leaf("Pipe"), stage(other)]));
            }
        }
    }
    close(&mut filters, &mut stages);
    if !stages.is_empty() {
        out.push(nested("PipelineExpr", stages));
    }
    out
}

fn matcher(m: &Matcher) -> Tree {
    let op = match m.op {
        MatchOp::Equal => "Eq",
        MatchOp::NotEqual => "Neq",
        MatchOp::Regex => "Re",
        MatchOp::NotRegex => "Nre",
    };
    leaves("Matcher", &["Identifier", op, "String"])
}

fn line_filter(f: &LineFilter) -> Tree {
    let op = match f.op {
        LineOp::Contains => "PipeExact",
        LineOp::NotContains => "Neq",
        LineOp::Regex => "PipeMatch",
        LineOp::NotRegex => "Nre",
        LineOp::Pattern => "PipePattern",
        LineOp::NotPattern => "Npa",
    };
    let value = |p: &LinePattern| match p {
        LinePattern::Text(_) => vec![leaf("String")],
        LinePattern::Ip(_) => vec![leaves("FilterOp", &["Ip"]), leaf("String")],
    };
    let mut rest: Option<Tree> = None;
    for p in f.alternatives.iter().skip(1).rev() {
        let more = rest.take().into_iter().flat_map(|r| [leaf("Or"), r]);
        rest = Some(node("OrFilter", value(p).into_iter().chain(more)));
    }
    let first = f.alternatives.iter().take(1).flat_map(value);
    let others = rest.into_iter().flat_map(|r| [leaf("Or"), r]);
    node("LineFilter", [leaves("Filter", &[op])].into_iter().chain(first).chain(others))
}

fn stage(s: &Stage) -> Tree {
    match s {
        Stage::Line(f) => line_filter(f),
        Stage::Json(e) if e.is_empty() => leaves("LabelParser", &["Json"]),
        Stage::Json(e) => node("JsonExpressionParser", [leaf("Json"), extractions(e)]),
        Stage::Logfmt { strict, keep_empty, extractions: e } => {
            let flags = (0..usize::from(*strict) + usize::from(*keep_empty)).map(|_| leaf("ParserFlag"));
            let flags: Vec<Tree> = flags.collect();
            let mut kids = vec![leaf("Logfmt")];
            if !flags.is_empty() {
                kids.push(nested("LogfmtParserFlags", flags));
            }
            if e.is_empty() {
                return node("LogfmtParser", kids);
            }
            kids.push(extractions(e));
            node("LogfmtExpressionParser", kids)
        }
        Stage::Regexp(_) => leaves("LabelParser", &["Regexp", "String"]),
        Stage::Pattern(_) => leaves("LabelParser", &["Pattern", "String"]),
        Stage::Unpack => leaves("LabelParser", &["Unpack"]),
        Stage::Decolorize => leaves("DecolorizeExpr", &["Decolorize"]),
        Stage::LineFormat(_) => leaves("LineFormatExpr", &["LineFormat", "String"]),
        Stage::LabelFormat(all) => {
            let one = |f: &LabelFormat| match f.source {
                FormatSource::Label(_) => leaves("LabelFormatMatcher", &["Identifier", "Eq", "Identifier"]),
                FormatSource::Template(_) => leaves("LabelFormatMatcher", &["Identifier", "Eq", "String"]),
            };
            node("LabelFormatExpr", [leaf("LabelFormat"), nested("LabelsFormat", all.iter().map(one))])
        }
        Stage::Label(f) => label_filter(f),
        Stage::Drop(all) => choices("Drop", all),
        Stage::Keep(all) => choices("Keep", all),
    }
}

fn choices(verb: &str, all: &[LabelChoice]) -> Tree {
    let one = |c: &LabelChoice| match c {
        LabelChoice::Name(_) => leaves(&format!("{verb}Label"), &["Identifier"]),
        LabelChoice::Matching(m) => node(&format!("{verb}Label"), [matcher(m)]),
    };
    let list = nested(&format!("{verb}Labels"), all.iter().map(one));
    node(&format!("{verb}LabelsExpr"), [leaf(verb), list])
}

fn extractions(all: &[Extraction]) -> Tree {
    let one = |_: &Extraction| leaves("LabelExtractionExpression", &["Identifier"]);
    nested("LabelExtractionExpressionList", all.iter().map(one))
}

fn compare(op: CompareOp) -> &'static str {
    match op {
        CompareOp::Equal => "Eql",
        CompareOp::NotEqual => "Neq",
        CompareOp::Less => "Lss",
        CompareOp::LessEqual => "Lte",
        CompareOp::Greater => "Gtr",
        CompareOp::GreaterEqual => "Gte",
    }
}

fn label_filter(f: &LabelFilter) -> Tree {
    let unit = |name: &str, op: CompareOp, value: &str| {
        node("UnitFilter", [leaves(name, &["Identifier", compare(op), value])])
    };
    let two = |a: &LabelFilter, word: &str, b: &LabelFilter| {
        node("LabelFilter", [label_filter(a), leaf(word), label_filter(b)])
    };
    let inner = match f {
        LabelFilter::Text(m) => matcher(m),
        LabelFilter::Number { op, value, .. } => {
            let sign = (*value < 0.0).then(|| leaf("Sub"));
            let literal = node("LiteralExpr", sign.into_iter().chain([leaf("Number")]));
            node("NumberFilter", [leaf("Identifier"), leaf(compare(*op)), literal])
        }
        LabelFilter::Duration { op, .. } => unit("DurationFilter", *op, "Duration"),
        LabelFilter::Bytes { op, .. } => unit("BytesFilter", *op, "Bytes"),
        LabelFilter::Ip { negative, .. } => {
            let op = if *negative { "Neq" } else { "Eq" };
            leaves("IpLabelFilter", &["Identifier", op, "Ip", "String"])
        }
        LabelFilter::And(a, b) => return two(a, "And", b),
        LabelFilter::Or(a, b) => return two(a, "Or", b),
    };
    node("LabelFilter", [inner])
}

/// `count_over_time` → `CountOverTime`; the grammar keeps one underscore.
fn title(name: &str) -> String {
    let word = |w: &str| {
        let mut c = w.chars();
        c.next().map_or(String::new(), |f| f.to_ascii_uppercase().to_string() + c.as_str())
    };
    match name {
        "sort_desc" => "Sort_Desc".to_owned(),
        other => other.split('_').map(word).collect(),
    }
}

fn grouping(g: &Grouping) -> Tree {
    let word = if g.without { "Without" } else { "By" };
    node("Grouping", [leaf(word), nested("Labels", g.labels.iter().map(|_| leaf("Identifier")))])
}

fn metric(m: &MetricExpr) -> Tree {
    let number = |v: f64| {
        let sign = (v < 0.0).then(|| leaf("Sub"));
        node("LiteralExpr", sign.into_iter().chain([leaf("Number")]))
    };
    let inner = match m {
        MetricExpr::Literal(v) => number(*v),
        MetricExpr::Vector(_) => leaves("VectorExpr", &["Vector", "Number"]),
        MetricExpr::Range(r) => range_aggregation(r),
        MetricExpr::Aggregate(a) => {
            let mut kids = vec![node("VectorOp", [leaf(&title(a.op.as_str()))])];
            kids.extend(a.parameter.map(|_| leaf("Number")));
            kids.push(metric(&a.inner));
            kids.extend(a.grouping.as_ref().map(grouping));
            node("VectorAggregationExpr", kids)
        }
        MetricExpr::Binary(b) => node("BinOpExpr", [metric(&b.left), leaf(b.op.as_str()), metric(&b.right)]),
        MetricExpr::LabelReplace(l) => node("LabelReplaceExpr", [leaf("LabelReplace"), metric(&l.inner)]),
        MetricExpr::Variants(v) => node("VariantsExpr", v.variants.iter().map(metric)),
    };
    node("MetricExpr", [inner])
}

fn range_aggregation(r: &RangeAggregation) -> Tree {
    let mut range = log_parts(&r.range.log);
    if let Some(u) = &r.range.unwrap {
        let conversion = u.conversion.map(|c| {
            let name = match c {
                Conversion::Duration => "DurationConv",
                Conversion::DurationSeconds => "DurationSecondsConv",
                Conversion::Bytes => "BytesConv",
            };
            leaves("ConvOp", &[name])
        });
        let first = [leaf("Pipe"), leaf("Unwrap")].into_iter().chain(conversion).chain([leaf("Identifier")]);
        let mut unwrap = node("UnwrapExpr", first);
        for f in &u.filters {
            unwrap = node("UnwrapExpr", [unwrap, leaf("Pipe"), label_filter(f)]);
        }
        range.push(unwrap);
    }
    range.push(leaves("Range", &["Duration"]));
    if r.range.offset_ns != 0 {
        range.push(leaves("OffsetExpr", &["Offset", "Duration"]));
    }
    let mut kids = vec![node("RangeOp", [leaf(&title(r.op.as_str()))])];
    kids.extend(r.parameter.map(|_| leaf("Number")));
    kids.push(node("LogRangeExpr", range));
    kids.extend(r.grouping.as_ref().map(grouping));
    node("RangeAggregationExpr", kids)
}
