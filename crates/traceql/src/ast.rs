//! What a query is.
//!
//! ```text
//! Query                    a pipeline or a metrics expression, and hints
//!   Pipeline               stages, each of which makes spansets out of spansets of one trace
//!     SpansetExpr          span filters and operators between them
//!     ScalarFilter         aggregates of a spanset, compared
//!     by, coalesce, select
//!       FieldExpr          what is asked of one span
//!   MetricsExpr            a pipeline whose spans a function counts, and what is made of its series
//! ```
//! Parentheses are kept, so that a query prints as it was meant.

use model::{MatchOp, Matcher};

use crate::{field::Field, value::Value};

mod display;
mod walk;

#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    pub expr: Expr,
    pub hints: Vec<Hint>,
}

/// `name=value` of `with(...)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Hint {
    pub name: String,
    pub value: Value<'static>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    Spans(Pipeline),
    Metrics(MetricsExpr),
}

/// Stages in order; at least one.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Pipeline(pub Vec<Stage>);

#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    Spans(SpansetExpr),
    Scalar(ScalarFilter),
    By(FieldExpr),
    Coalesce,
    Select(Vec<Field>),
}

#[derive(Debug, Clone, PartialEq)]
pub enum SpansetExpr {
    /// `{ ... }`; `None` for `{}`.
    Filter(Option<FieldExpr>),
    Operation {
        op: SpansetOp,
        left: Box<SpansetExpr>,
        right: Box<SpansetExpr>,
    },
    Paren(Box<SpansetExpr>),
    /// `( ... | ... )`
    Pipeline(Pipeline),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SpansetOp {
    And,
    Or,
    Related { relation: Relation, side: Side },
}

/// How spans of the right side stand to spans of the left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Relation {
    Child,
    Parent,
    Descendant,
    Ancestor,
    Sibling,
}

/// Which spans a structural operator returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// Those of the right side that are related.
    Right,
    /// Those of the right side that are related to none.
    NotRight,
    /// Those of both sides that are related to one of the other.
    Both,
}

impl SpansetOp {
    pub const ALL: [SpansetOp; 17] = {
        use Relation::{Ancestor, Child, Descendant, Parent, Sibling};
        use Side::{Both, NotRight, Right};
        const fn related(relation: Relation, side: Side) -> SpansetOp {
            SpansetOp::Related { relation, side }
        }
        [
            SpansetOp::And,
            SpansetOp::Or,
            related(Child, Right),
            related(Parent, Right),
            related(Descendant, Right),
            related(Ancestor, Right),
            related(Sibling, Right),
            related(Child, NotRight),
            related(Parent, NotRight),
            related(Descendant, NotRight),
            related(Ancestor, NotRight),
            related(Sibling, NotRight),
            related(Child, Both),
            related(Parent, Both),
            related(Descendant, Both),
            related(Ancestor, Both),
            related(Sibling, Both),
        ]
    };

    pub fn as_str(self) -> &'static str {
        use Relation::{Ancestor, Child, Descendant, Parent, Sibling};
        let SpansetOp::Related { relation, side } = self else {
            return if self == SpansetOp::And { "&&" } else { "||" };
        };
        let words = match relation {
            Child => [">", "!>", "&>"],
            Parent => ["<", "!<", "&<"],
            Descendant => [">>", "!>>", "&>>"],
            Ancestor => ["<<", "!<<", "&<<"],
            Sibling => ["~", "!~", "&~"],
        };
        let [right, not, both] = words;
        match side {
            Side::Right => right,
            Side::NotRight => not,
            Side::Both => both,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CompareOp {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl CompareOp {
    pub const ALL: [CompareOp; 6] = [
        CompareOp::Equal,
        CompareOp::NotEqual,
        CompareOp::Less,
        CompareOp::LessEqual,
        CompareOp::Greater,
        CompareOp::GreaterEqual,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            CompareOp::Equal => "=",
            CompareOp::NotEqual => "!=",
            CompareOp::Less => "<",
            CompareOp::LessEqual => "<=",
            CompareOp::Greater => ">",
            CompareOp::GreaterEqual => ">=",
        }
    }

    /// What holds of `b op a` where this holds of `a op b`.
    pub fn flipped(self) -> Self {
        match self {
            CompareOp::Less => CompareOp::Greater,
            CompareOp::LessEqual => CompareOp::GreaterEqual,
            CompareOp::Greater => CompareOp::Less,
            CompareOp::GreaterEqual => CompareOp::LessEqual,
            same => same,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ArithmeticOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
}

impl ArithmeticOp {
    pub const ALL: [ArithmeticOp; 6] = [
        ArithmeticOp::Add,
        ArithmeticOp::Sub,
        ArithmeticOp::Mul,
        ArithmeticOp::Div,
        ArithmeticOp::Mod,
        ArithmeticOp::Pow,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            ArithmeticOp::Add => "+",
            ArithmeticOp::Sub => "-",
            ArithmeticOp::Mul => "*",
            ArithmeticOp::Div => "/",
            ArithmeticOp::Mod => "%",
            ArithmeticOp::Pow => "^",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    And,
    Or,
    Compare(CompareOp),
    Arithmetic(ArithmeticOp),
}

impl BinaryOp {
    pub fn as_str(self) -> &'static str {
        match self {
            BinaryOp::And => "&&",
            BinaryOp::Or => "||",
            BinaryOp::Compare(op) => op.as_str(),
            BinaryOp::Arithmetic(op) => op.as_str(),
        }
    }
}

/// What is asked of one span.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldExpr {
    Literal(Value<'static>),
    Field(Field),
    Not(Box<FieldExpr>),
    Negate(Box<FieldExpr>),
    Paren(Box<FieldExpr>),
    Binary {
        op: BinaryOp,
        left: Box<FieldExpr>,
        right: Box<FieldExpr>,
    },
    /// `=~`, `!~`
    Match {
        left: Box<FieldExpr>,
        pattern: Pattern,
    },
}

/// A regular expression, anchored at both ends, and whether it must match or must not.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern(Matcher);

impl Pattern {
    /// The reason why it is none where it is none.
    pub fn new(text: &str, negated: bool) -> Result<Self, String> {
        let op = if negated { MatchOp::NotRegex } else { MatchOp::Regex };
        Matcher::new("", op, text).map(Pattern).map_err(|e| e.reason)
    }

    pub fn text(&self) -> &str {
        &self.0.value
    }

    pub fn is_negated(&self) -> bool {
        self.0.op == MatchOp::NotRegex
    }

    /// Whether a text passes: matches, or does not where the pattern is negated.
    pub fn passes(&self, text: &str) -> bool {
        self.0.matches(text)
    }
}

/// Aggregates of a spanset, compared with each other or with numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct ScalarFilter {
    pub op: CompareOp,
    pub left: ScalarExpr,
    pub right: ScalarExpr,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ScalarExpr {
    /// A number or a duration.
    Literal(Value<'static>),
    Aggregate(Aggregate),
    Negate(Box<ScalarExpr>),
    Paren(Box<ScalarExpr>),
    Binary {
        op: ArithmeticOp,
        left: Box<ScalarExpr>,
        right: Box<ScalarExpr>,
    },
    /// `( ... | count() )`
    Pipeline(Pipeline, Aggregate),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    pub op: AggregateOp,
    /// `None` exactly for `count()`.
    pub of: Option<FieldExpr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AggregateOp {
    Count,
    Avg,
    Max,
    Min,
    Sum,
}

impl AggregateOp {
    pub const ALL: [AggregateOp; 5] =
        [AggregateOp::Count, AggregateOp::Avg, AggregateOp::Max, AggregateOp::Min, AggregateOp::Sum];

    pub fn as_str(self) -> &'static str {
        match self {
            AggregateOp::Count => "count",
            AggregateOp::Avg => "avg",
            AggregateOp::Max => "max",
            AggregateOp::Min => "min",
            AggregateOp::Sum => "sum",
        }
    }
}

/// Series of numbers over time.
#[derive(Debug, Clone, PartialEq)]
pub enum MetricsExpr {
    Query {
        pipeline: Pipeline,
        function: Function,
    },
    Then {
        inner: Box<MetricsExpr>,
        stage: SecondStage,
    },
    /// Between series that have the same labels.
    Binary {
        op: ArithmeticOp,
        left: Box<MetricsExpr>,
        right: Box<MetricsExpr>,
    },
    /// Of series and a number.
    Number {
        op: ArithmeticOp,
        inner: Box<MetricsExpr>,
        number: f64,
        number_first: bool,
    },
    Paren(Box<MetricsExpr>),
}

/// What is made of series.
#[derive(Debug, Clone, PartialEq)]
pub enum SecondStage {
    TopK(u64),
    BottomK(u64),
    /// Samples for which this does not hold go.
    Filter(CompareOp, f64),
}

/// What makes series of spans.
#[derive(Debug, Clone, PartialEq)]
pub enum Function {
    Rate { by: Vec<Field> },
    CountOverTime { by: Vec<Field> },
    OverTime { op: OverTimeOp, of: Field, by: Vec<Field> },
    QuantileOverTime { of: Field, quantiles: Vec<f64>, by: Vec<Field> },
    HistogramOverTime { of: Field, by: Vec<Field> },
    Compare(Comparison),
}

impl Function {
    pub fn name(&self) -> &'static str {
        match self {
            Function::Rate { .. } => "rate",
            Function::CountOverTime { .. } => "count_over_time",
            Function::OverTime { op, .. } => op.as_str(),
            Function::QuantileOverTime { .. } => "quantile_over_time",
            Function::HistogramOverTime { .. } => "histogram_over_time",
            Function::Compare(_) => "compare",
        }
    }

    pub fn by(&self) -> &[Field] {
        match self {
            Function::Rate { by }
            | Function::CountOverTime { by }
            | Function::OverTime { by, .. }
            | Function::QuantileOverTime { by, .. }
            | Function::HistogramOverTime { by, .. } => by,
            Function::Compare(_) => &[],
        }
    }

    /// What is measured, where it is not the spans themselves.
    pub fn of(&self) -> Option<&Field> {
        match self {
            Function::OverTime { of, .. }
            | Function::QuantileOverTime { of, .. }
            | Function::HistogramOverTime { of, .. } => Some(of),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OverTimeOp {
    Min,
    Max,
    Avg,
    Sum,
}

impl OverTimeOp {
    pub fn as_str(self) -> &'static str {
        match self {
            OverTimeOp::Min => "min_over_time",
            OverTimeOp::Max => "max_over_time",
            OverTimeOp::Avg => "avg_over_time",
            OverTimeOp::Sum => "sum_over_time",
        }
    }
}

/// `compare({ ... }, top, start, end)`: which attributes spans inside of a selection have and others have not.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// `None` for `{}`.
    pub selection: Option<FieldExpr>,
    /// Values shown of each attribute; 10 where the query says nothing.
    pub top: Option<u64>,
    /// Nanoseconds: only spans that start after the first and not after the second can be inside.
    pub between: Option<(i64, i64)>,
}

impl Query {
    /// Whether it asks for series rather than traces.
    pub fn is_metrics(&self) -> bool {
        matches!(self.expr, Expr::Metrics(_))
    }

    /// The value of a hint: `with(exemplars=false)`.
    pub fn hint(&self, name: &str) -> Option<&Value<'static>> {
        self.hints.iter().find(|h| h.name == name).map(|h| &h.value)
    }
}
