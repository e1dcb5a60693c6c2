//! Our trees under the names that the editor's grammar (lezer-traceql) gives their parts, so that the two can be
//! compared.
//!
//! That grammar gives some operators another precedence than Tempo, which ours follows: it knows no order among
//! arithmetic and comparison, takes a sign for what binds loosest, and ties `|` tighter than some structural operators.
//! So chains of operators are compared as the chain they are: what stands in parentheses is a part, and our tree is
//! laid out flat and put together anew in the editor's order. Grouping by Tempo's order is held by the tests of
//! [`crate::properties`].

use std::fmt;

use traceql::{Field, Query, Scope, Value, ast::*};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    pub name: String,
    pub kids: Vec<Tree>,
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.kids.is_empty() {
            return Ok(());
        }
        let kids: Vec<String> = self.kids.iter().map(Tree::to_string).collect();
        write!(f, "({})", kids.join(", "))
    }
}

/// Reads `A(B, C(D))`.
pub fn read(text: &str) -> Tree {
    let mut rest = text.trim();
    let tree = read_one(&mut rest);
    assert!(rest.trim().is_empty(), "{rest:?} follows a tree");
    tree
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

fn leaf(name: &str) -> Tree {
    Tree { name: name.to_owned(), kids: Vec::new() }
}

fn node(name: &str, kids: impl IntoIterator<Item = Tree>) -> Tree {
    Tree { name: name.to_owned(), kids: kids.into_iter().collect() }
}

/// A part of a chain: an operand, a sign before one, or an operator with how tight the editor binds it.
enum Link {
    Operand(Tree),
    Sign,
    Operator(Tree, u8),
}

/// Puts a chain together as a grammar does in which all operators bind to the left and signs bind loosest.
fn chain(name: &str, links: &mut dyn Iterator<Item = Link>) -> Tree {
    let mut links = links.peekable();
    climb(name, &mut links, 0)
}

fn climb(name: &str, links: &mut std::iter::Peekable<&mut dyn Iterator<Item = Link>>, least: u8) -> Tree {
    let mut left = match links.next() {
        Some(Link::Operand(t)) => t,
        Some(Link::Sign) => node(name, [climb(name, links, 0)]),
        _ => panic!("an operand is missing"),
    };
    while let Some(Link::Operator(_, tight)) = links.peek() {
        let tight = *tight;
        if tight < least {
            break;
        }
        let Some(Link::Operator(op, _)) = links.next() else { break };
        let right = climb(name, links, tight + 1);
        // Only names in upper case are parts of the editor's trees.
        let op = op.name.starts_with(char::is_uppercase).then_some(op);
        left = node(name, [left].into_iter().chain(op).chain([right]));
    }
    left
}

pub fn of(query: &Query) -> Tree {
    let mut links = Vec::new();
    match &query.expr {
        Expr::Spans(p) => pipeline(p, &mut links),
        Expr::Metrics(m) => metrics(m, &mut links),
    }
    let mut kids = vec![chain("SpansetPipelineExpression", &mut links.into_iter())];
    if !query.hints.is_empty() {
        let hint = |_: &Hint| node("HintParameter", [leaf("HintIdentifier"), leaf("HintValue")]);
        kids.push(node("WithHint", [leaf("With"), node("HintParameters", query.hints.iter().map(hint))]));
    }
    node("TraceQL", kids)
}

/// An operand of the outermost chain.
fn single(inner: Tree) -> Link {
    Link::Operand(node("SpansetPipelineExpression", [node("SpansetPipeline", [inner])]))
}

fn pipe() -> Link {
    Link::Operator(leaf("Pipe"), 3)
}

fn pipeline(p: &Pipeline, out: &mut Vec<Link>) {
    for (i, stage) in p.0.iter().enumerate() {
        if i > 0 {
            out.push(pipe());
        }
        match stage {
            Stage::Spans(e) => spansets(e, out),
            Stage::Scalar(f) => out.push(single(scalar_filter(f))),
            Stage::By(e) => out.push(single(node("GroupOperation", [field_expr(e)]))),
            Stage::Coalesce => out.push(single(leaf("CoalesceOperation"))),
            Stage::Select(fields) => {
                let mut args: Option<Tree> = None;
                for f in fields {
                    let one = node("FieldExpression", [field(f)]);
                    args = Some(node("SelectArgs", args.into_iter().chain([one])));
                }
                out.push(single(node("SelectOperation", args)));
            }
        }
    }
}

fn span_filter(e: &Option<FieldExpr>) -> Tree {
    node("SpansetFilter", e.as_ref().map(field_expr))
}

fn spansets(e: &SpansetExpr, out: &mut Vec<Link>) {
    match e {
        SpansetExpr::Filter(e) => out.push(single(span_filter(e))),
        SpansetExpr::Paren(inner) => match &**inner {
            SpansetExpr::Filter(e) => {
                let inside = node("SpansetPipeline", [span_filter(e)]);
                let wrapped = node("WrappedSpansetPipeline", [inside]);
                out.push(Link::Operand(node("SpansetPipelineExpression", [wrapped])));
            }
            inner => out.push(parenthesis(|links| spansets(inner, links))),
        },
        SpansetExpr::Pipeline(p) => out.push(parenthesis(|links| pipeline(p, links))),
        SpansetExpr::Operation { op, left, right } => {
            spansets(left, out);
            out.push(spanset_operator(*op));
            spansets(right, out);
        }
    }
}

fn parenthesis(inner: impl FnOnce(&mut Vec<Link>)) -> Link {
    let mut links = Vec::new();
    inner(&mut links);
    let inside = chain("SpansetPipelineExpression", &mut links.into_iter());
    Link::Operand(node("SpansetPipelineExpression", [inside]))
}

fn spanset_operator(op: SpansetOp) -> Link {
    let (name, tight) = match op {
        SpansetOp::And => ("And", 5),
        SpansetOp::Or => ("Or", 4),
        SpansetOp::Related { side: Side::NotRight, .. } => ("ExperimentalOp", 2),
        SpansetOp::Related { side: Side::Both, .. } => ("UnionStructuralOp", 1),
        SpansetOp::Related { relation, side: Side::Right } => match relation {
            Relation::Child => ("Gt", 13),
            Relation::Parent => ("Lt", 12),
            Relation::Descendant => ("Desc", 11),
            Relation::Ancestor => ("Anc", 10),
            Relation::Sibling => ("tilde", 9),
        },
    };
    Link::Operator(leaf(name), tight)
}

fn scalar_filter(f: &ScalarFilter) -> Tree {
    node("ScalarFilter", [scalar(&f.left), leaf("ComparisonOp"), scalar(&f.right)])
}

fn scalar(e: &ScalarExpr) -> Tree {
    let inner = match e {
        ScalarExpr::Literal(v) => vec![leaf(literal(v).expect("a number"))],
        ScalarExpr::Aggregate(a) => {
            let of = a.of.as_ref().map(|e| [leaf("AggregateExpression"), field_expr(e)]);
            vec![node("Aggregate", of.into_iter().flatten())]
        }
        ScalarExpr::Negate(inner) => return scalar(inner),
        ScalarExpr::Paren(inner) => vec![scalar(inner)],
        ScalarExpr::Binary { left, right, .. } => vec![scalar(left), leaf("ScalarOp"), scalar(right)],
        ScalarExpr::Pipeline(..) => panic!("not part of the editor's grammar: {e}"),
    };
    node("ScalarExpression", inner)
}

fn literal(v: &Value<'_>) -> Option<&'static str> {
    match v {
        Value::Str(_) => Some("String"),
        Value::Int(_) => Some("Integer"),
        Value::Float(_) => Some("Float"),
        Value::Duration(_) => Some("Duration"),
        _ => None,
    }
}

fn field_expr(e: &FieldExpr) -> Tree {
    let mut links = Vec::new();
    field_links(e, &mut links);
    chain("FieldExpression", &mut links.into_iter())
}

fn field_links(e: &FieldExpr, out: &mut Vec<Link>) {
    let operand = |inner: Tree| Link::Operand(node("FieldExpression", [inner]));
    match e {
        FieldExpr::Literal(v) => out.push(operand(node("Static", literal(v).map(leaf)))),
        FieldExpr::Field(f) => out.push(operand(field(f))),
        FieldExpr::Paren(inner) => out.push(operand(field_expr(inner))),
        FieldExpr::Not(inner) | FieldExpr::Negate(inner) => {
            out.push(Link::Sign);
            field_links(inner, out);
        }
        FieldExpr::Match { left, .. } => {
            field_links(left, out);
            out.push(Link::Operator(leaf("FieldOp"), 8));
            out.push(operand(node("Static", [leaf("String")])));
        }
        FieldExpr::Binary { op, left, right } => {
            field_links(left, out);
            out.push(match op {
                BinaryOp::And => Link::Operator(leaf("And"), 5),
                BinaryOp::Or => Link::Operator(leaf("Or"), 4),
                _ => Link::Operator(leaf("FieldOp"), 8),
            });
            field_links(right, out);
        }
    }
}

fn field(f: &Field) -> Tree {
    let Field::Attribute { scope, parent, .. } = f else { return leaf("IntrinsicField") };
    let scope = match scope {
        Scope::Any => None,
        Scope::Span => Some("Span"),
        Scope::Resource => Some("Resource"),
        Scope::Event => Some("Event"),
        Scope::Link => Some("Link"),
        Scope::Instrumentation => Some("Instrumentation"),
    };
    let names = parent.then_some("Parent").into_iter().chain(scope).chain(["Identifier"]);
    node("AttributeField", names.map(leaf))
}

fn metrics(m: &MetricsExpr, out: &mut Vec<Link>) {
    match m {
        MetricsExpr::Query { pipeline: p, function: f } => {
            pipeline(p, out);
            out.push(pipe());
            out.push(single(node("MetricsOperation", [function(f)])));
        }
        MetricsExpr::Then { inner, stage: SecondStage::TopK(_) | SecondStage::BottomK(_) } => {
            metrics(inner, out);
            out.push(pipe());
            let parts = [leaf("MetricsAggregatorFunctionType"), leaf("Integer")];
            out.push(single(node("MetricsAggregatorFunctions", parts)));
        }
        other => panic!("not part of the editor's grammar: {other}"),
    }
}

fn function(f: &Function) -> Tree {
    let of = f.of().map(|of| node("MetricsExpression", [field(of)]));
    let by = (!f.by().is_empty())
        .then(|| node("GroupOperation", f.by().iter().map(|b| node("FieldExpression", [field(b)]))));
    match f {
        Function::Rate { .. } | Function::CountOverTime { .. } => {
            node("MetricsOperationBasic", [leaf("MetricsOperationBasicType")].into_iter().chain(by))
        }
        Function::OverTime { .. } => {
            node("MetricsOverTime", [leaf("MetricsOverTimeType")].into_iter().chain(of).chain(by))
        }
        Function::HistogramOverTime { .. } => node("MetricsOperationHistogram", of.into_iter().chain(by)),
        Function::QuantileOverTime { quantiles, .. } => {
            let kind = |q: &f64| if q.fract() == 0.0 { "Integer" } else { "Float" };
            let one = |q: &f64| node("MetricsOperationQuantileArgsType", [leaf(kind(q))]);
            let args = node("MetricsOperationQuantileArgs", of.into_iter().chain(quantiles.iter().map(one)));
            node("MetricsOperationQuantile", [args].into_iter().chain(by))
        }
        Function::Compare(c) => {
            let numbers = usize::from(c.top.is_some()) + 2 * usize::from(c.between.is_some());
            let numbers = (0..numbers).map(|_| leaf("Integer"));
            node("MetricsOperationCompare", [span_filter(&c.selection)].into_iter().chain(numbers))
        }
    }
}
