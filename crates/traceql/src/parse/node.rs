//! What stands between `|`: spansets, aggregates and series, and the operators that join them.

use super::{Parser, field::tightness, pipeline::then};
use crate::{
    ast::{
        Aggregate, AggregateOp, ArithmeticOp, CompareOp, Function, MetricsExpr, ScalarExpr, ScalarFilter,
        SecondStage, SpansetExpr, SpansetOp, Stage,
    },
    check,
    error::ParseError,
    lex::Token,
    value::Value,
};

pub(super) enum Node {
    Spans(SpansetExpr),
    Scalar(ScalarExpr),
    Filter(ScalarFilter),
    Stage(Stage),
    /// A function that makes series, and comparisons of them.
    Function(Function, Vec<SecondStage>),
    Second(Vec<SecondStage>),
    Metrics(MetricsExpr),
}

impl Node {
    fn describe(&self) -> &'static str {
        match self {
            Node::Spans(_) => "spans",
            Node::Scalar(_) => "a number",
            Node::Filter(_) => "a comparison of numbers",
            Node::Stage(_) => "a stage",
            Node::Function(..) | Node::Second(_) => "a function (series are computed with in parentheses)",
            Node::Metrics(_) => "series",
        }
    }
}

/// The operator that a token may be, by what it stands between.
struct Operator {
    symbol: &'static str,
    spans: Option<SpansetOp>,
    compare: Option<CompareOp>,
    arithmetic: Option<ArithmeticOp>,
}

fn operator(token: &Token) -> Option<Operator> {
    let Token::Sym(symbol) = token else { return None };
    let op = Operator {
        symbol,
        spans: SpansetOp::ALL.into_iter().find(|op| op.as_str() == *symbol),
        compare: CompareOp::ALL.into_iter().find(|op| op.as_str() == *symbol),
        arithmetic: ArithmeticOp::ALL.into_iter().find(|op| op.as_str() == *symbol),
    };
    (op.spans.is_some() || op.compare.is_some() || op.arithmetic.is_some()).then_some(op)
}

impl Operator {
    fn tightness(&self) -> u8 {
        match (self.arithmetic, self.spans) {
            (Some(op), _) => tightness(op),
            (_, Some(SpansetOp::And | SpansetOp::Or)) => 1,
            _ => 2,
        }
    }
}

impl Parser<'_> {
    /// Operators that bind at least as tight as this.
    pub(super) fn node(&mut self, least: u8) -> Result<Node, ParseError> {
        let from = self.at;
        let mut left = self.primary()?;
        while let Some(op) = operator(self.peek())
            && op.tightness() >= least
        {
            self.count_operator()?;
            self.next();
            let tight = op.tightness() + u8::from(op.arithmetic != Some(ArithmeticOp::Pow));
            let right = self.nested(|p| p.node(tight))?;
            left = combine(&op, left, right).map_err(|message| self.error_from(from, message))?;
        }
        Ok(left)
    }

    fn primary(&mut self) -> Result<Node, ParseError> {
        if self.is("{") {
            return Ok(Node::Spans(SpansetExpr::Filter(self.span_filter()?)));
        }
        if self.eat("(") {
            return self.parenthesis();
        }
        if self.eat("-") {
            self.count_operator()?;
            let from = self.at;
            return match self.nested(Self::primary)? {
                Node::Scalar(e) => Ok(Node::Scalar(ScalarExpr::Negate(Box::new(e)))),
                other => Err(self.error_from(from, format!("{} cannot be negated", other.describe()))),
            };
        }
        if let Some(stage) = self.stage_word()? {
            return Ok(Node::Stage(stage));
        }
        if let Some(aggregate) = self.aggregate()? {
            return Ok(Node::Scalar(ScalarExpr::Aggregate(aggregate)));
        }
        if let Some(function) = self.function()? {
            return Ok(Node::Function(function, Vec::new()));
        }
        if let Some(stage) = self.second_stage()? {
            return Ok(Node::Second(vec![stage]));
        }
        if let Token::Int(_) | Token::Float(_) | Token::Duration(_) = self.peek()
            && let Some(value) = self.literal()
        {
            self.next();
            return Ok(Node::Scalar(ScalarExpr::Literal(value)));
        }
        Err(self.unexpected("a span filter, an aggregate or a function"))
    }

    fn aggregate(&mut self) -> Result<Option<Aggregate>, ParseError> {
        let Token::Word(word) = self.peek() else { return Ok(None) };
        let Some(op) = AggregateOp::ALL.into_iter().find(|op| op.as_str() == word) else { return Ok(None) };
        self.next();
        self.expect("(")?;
        let mut of = None;
        if op != AggregateOp::Count {
            let from = self.at;
            let e = self.field_expr()?;
            check::aggregated(&e).map_err(|message| self.error_from(from, message))?;
            of = Some(e);
        }
        self.expect(")")?;
        Ok(Some(Aggregate { op, of }))
    }
}

fn combine(op: &Operator, left: Node, right: Node) -> Result<Node, String> {
    let refused =
        format!("{:?} cannot stand between {} and {}", op.symbol, left.describe(), right.describe());
    match (left, right) {
        (Node::Spans(left), Node::Spans(right)) => {
            let op = op.spans.ok_or(refused)?;
            Ok(Node::Spans(SpansetExpr::Operation { op, left: Box::new(left), right: Box::new(right) }))
        }
        (left, right) => match (op.compare, op.arithmetic) {
            (Some(op), _) => compare(op, left, right, refused),
            (_, Some(op)) => arithmetic(op, left, right, refused),
            _ => Err(refused),
        },
    }
}

fn compare(op: CompareOp, left: Node, right: Node, refused: String) -> Result<Node, String> {
    let Node::Scalar(right) = right else { return Err(refused) };
    let second = |e: &ScalarExpr| -> Result<SecondStage, String> {
        let v = constant(e).ok_or_else(|| refused.clone())??;
        Ok(SecondStage::Filter(op, if let Value::Duration(ns) = v { ns as f64 / 1e9 } else { number(&v) }))
    };
    match left {
        Node::Scalar(left) => {
            if constant(&left).is_some() && constant(&right).is_some() {
                return Err("a comparison needs an aggregate on one side".to_owned());
            }
            let filter = ScalarFilter { op, left, right };
            check::scalar_filter(&filter)?;
            Ok(Node::Filter(filter))
        }
        Node::Function(f, mut chain) => {
            chain.push(second(&right)?);
            Ok(Node::Function(f, chain))
        }
        Node::Second(mut chain) => {
            chain.push(second(&right)?);
            Ok(Node::Second(chain))
        }
        Node::Metrics(m) => Ok(Node::Metrics(then(m, vec![second(&right)?]))),
        _ => Err(refused),
    }
}

fn arithmetic(op: ArithmeticOp, left: Node, right: Node, refused: String) -> Result<Node, String> {
    use ArithmeticOp::{Add, Div, Mul, Sub};
    match (left, right) {
        (Node::Scalar(left), Node::Scalar(right)) => {
            let (left, right) = (Box::new(left), Box::new(right));
            Ok(Node::Scalar(ScalarExpr::Binary { op, left, right }))
        }
        (Node::Metrics(left), Node::Metrics(right)) if matches!(op, Add | Sub | Mul | Div) => {
            Ok(Node::Metrics(MetricsExpr::Binary { op, left: Box::new(left), right: Box::new(right) }))
        }
        (Node::Metrics(inner), Node::Scalar(e)) if matches!(op, Add | Sub | Mul | Div) => {
            let number = operand(&e, &refused)?;
            Ok(Node::Metrics(MetricsExpr::Number { op, inner: Box::new(inner), number, number_first: false }))
        }
        (Node::Scalar(e), Node::Metrics(inner)) if matches!(op, Add | Sub | Mul | Div) => {
            let number = operand(&e, &refused)?;
            Ok(Node::Metrics(MetricsExpr::Number { op, inner: Box::new(inner), number, number_first: true }))
        }
        _ => Err(refused),
    }
}

/// The number that series are computed with.
fn operand(e: &ScalarExpr, refused: &str) -> Result<f64, String> {
    let v = constant(e).ok_or_else(|| refused.to_owned())??;
    match v {
        Value::Duration(_) => Err("series cannot be computed with a duration".to_owned()),
        v => Ok(number(&v)),
    }
}

fn number(v: &Value<'_>) -> f64 {
    v.as_f64().unwrap_or(f64::NAN)
}

/// What an expression without aggregates comes to; `None` where it has one.
fn constant(e: &ScalarExpr) -> Option<Result<Value<'static>, String>> {
    match e {
        ScalarExpr::Literal(v) => Some(Ok(v.clone())),
        ScalarExpr::Aggregate(_) | ScalarExpr::Pipeline(..) => None,
        ScalarExpr::Paren(e) => constant(e),
        ScalarExpr::Negate(e) => Some(constant(e)?.map(|v| v.negated())),
        ScalarExpr::Binary { op, left, right } => {
            let (left, right) = (constant(left)?, constant(right)?);
            Some(left.and_then(|l| fold(*op, l, right?)))
        }
    }
}

fn fold(op: ArithmeticOp, left: Value<'static>, right: Value<'static>) -> Result<Value<'static>, String> {
    if matches!(left, Value::Duration(_)) || matches!(right, Value::Duration(_)) {
        return Err("durations cannot be computed with here".to_owned());
    }
    match left.computed(op, &right) {
        Value::Nil => Err(format!("{left} {} {right} is no number", op.as_str())),
        v => Ok(v),
    }
}
