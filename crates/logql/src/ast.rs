//! What a query is, as a tree. Everything is plain data; [`std::fmt::Display`] prints it back as LogQL, and
//! parsing what was printed gives the same tree.
//!
//! The source is Loki's grammar (`pkg/logql/syntax`) and the LogQL reference of Loki 3.

use model::{MatchOp, Matcher};

mod display;

#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    Log(LogExpr),
    Metric(MetricExpr),
}

/// A stream selector and what happens to its lines.
#[derive(Debug, Clone, PartialEq)]
pub struct LogExpr {
    pub matchers: Vec<Matcher>,
    pub stages: Vec<Stage>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    Line(LineFilter),
    /// Everything, or only what the expressions name.
    Json(Vec<Extraction>),
    Logfmt {
        strict: bool,
        keep_empty: bool,
        extractions: Vec<Extraction>,
    },
    Regexp(String),
    Pattern(String),
    Unpack,
    Decolorize,
    LineFormat(String),
    LabelFormat(Vec<LabelFormat>),
    Label(LabelFilter),
    Drop(Vec<LabelChoice>),
    Keep(Vec<LabelChoice>),
}

/// `label="path"`; a bare `label` means `label="label"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extraction {
    pub label: String,
    pub path: String,
}

/// A filter on the line. A line passes a positive filter when any alternative fits, a negative one when
/// none does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineFilter {
    pub op: LineOp,
    /// Never empty.
    pub alternatives: Vec<LinePattern>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineOp {
    Contains,
    NotContains,
    Regex,
    NotRegex,
    Pattern,
    NotPattern,
}

impl LineOp {
    pub fn as_str(self) -> &'static str {
        match self {
            LineOp::Contains => "|=",
            LineOp::NotContains => "!=",
            LineOp::Regex => "|~",
            LineOp::NotRegex => "!~",
            LineOp::Pattern => "|>",
            LineOp::NotPattern => "!>",
        }
    }

    pub fn is_negative(self) -> bool {
        matches!(self, LineOp::NotContains | LineOp::NotRegex | LineOp::NotPattern)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinePattern {
    Text(String),
    /// `ip("...")`: an address, a range `a-b` or a prefix.
    Ip(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelFormat {
    pub label: String,
    pub source: FormatSource,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FormatSource {
    /// The other label is renamed.
    Label(String),
    Template(String),
}

/// A condition on labels.
#[derive(Debug, Clone, PartialEq)]
pub enum LabelFilter {
    Text(Matcher),
    Number {
        label: String,
        op: CompareOp,
        value: f64,
    },
    /// Nanoseconds.
    Duration {
        label: String,
        op: CompareOp,
        value_ns: i64,
    },
    Bytes {
        label: String,
        op: CompareOp,
        value: u64,
    },
    /// `label=ip("...")`, or `!=` where `negative`.
    Ip {
        label: String,
        negative: bool,
        pattern: String,
    },
    And(Box<LabelFilter>, Box<LabelFilter>),
    Or(Box<LabelFilter>, Box<LabelFilter>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompareOp {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl CompareOp {
    pub fn as_str(self) -> &'static str {
        match self {
            CompareOp::Equal => "==",
            CompareOp::NotEqual => "!=",
            CompareOp::Less => "<",
            CompareOp::LessEqual => "<=",
            CompareOp::Greater => ">",
            CompareOp::GreaterEqual => ">=",
        }
    }

    pub fn holds<T: PartialOrd>(self, a: &T, b: &T) -> bool {
        match self {
            CompareOp::Equal => a == b,
            CompareOp::NotEqual => a != b,
            CompareOp::Less => a < b,
            CompareOp::LessEqual => a <= b,
            CompareOp::Greater => a > b,
            CompareOp::GreaterEqual => a >= b,
        }
    }
}

/// What `drop` and `keep` name: a label, or a label with a value.
#[derive(Debug, Clone, PartialEq)]
pub enum LabelChoice {
    Name(String),
    Matching(Matcher),
}

impl LabelChoice {
    pub fn name(&self) -> &str {
        match self {
            LabelChoice::Name(n) => n,
            LabelChoice::Matching(m) => &m.name,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum MetricExpr {
    Literal(f64),
    /// `vector(n)`: one sample without labels.
    Vector(f64),
    Range(Box<RangeAggregation>),
    Aggregate(Box<VectorAggregation>),
    Binary(Box<Binary>),
    LabelReplace(Box<LabelReplace>),
    Variants(Box<Variants>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct RangeAggregation {
    pub op: RangeOp,
    /// The quantile of `quantile_over_time`.
    pub parameter: Option<f64>,
    pub range: LogRange,
    pub grouping: Option<Grouping>,
}

/// Lines of the window `(t - offset - range, t - offset]`.
#[derive(Debug, Clone, PartialEq)]
pub struct LogRange {
    pub log: LogExpr,
    pub unwrap: Option<Unwrap>,
    pub range_ns: i64,
    pub offset_ns: i64,
}

/// Which label becomes the value, and what must hold of it afterwards.
#[derive(Debug, Clone, PartialEq)]
pub struct Unwrap {
    pub label: String,
    pub conversion: Option<Conversion>,
    pub filters: Vec<LabelFilter>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conversion {
    /// To seconds.
    Duration,
    DurationSeconds,
    Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grouping {
    pub without: bool,
    pub labels: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct VectorAggregation {
    pub op: VectorOp,
    /// How many, for `topk`, `bottomk` and `approx_topk`.
    pub parameter: Option<i64>,
    pub grouping: Option<Grouping>,
    pub inner: MetricExpr,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Binary {
    pub op: BinaryOp,
    pub left: MetricExpr,
    pub right: MetricExpr,
    pub return_bool: bool,
    /// `None` matches on all labels.
    pub matching: Option<Matching>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matching {
    /// `on (labels)`; otherwise `ignoring (labels)`.
    pub on: bool,
    pub labels: Vec<String>,
    pub group: Group,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Group {
    None,
    /// `group_left (labels)`: many on the left match one on the right.
    Left(Vec<String>),
    Right(Vec<String>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct LabelReplace {
    pub inner: MetricExpr,
    pub target: String,
    pub replacement: String,
    pub source: String,
    pub pattern: String,
}

/// `variants(a, b) of (range)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Variants {
    pub variants: Vec<MetricExpr>,
    pub of: LogRange,
}

/// An operator given by its name; the table is both how it is parsed and how it is printed.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($variant),+ }

        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }

            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|x| x.as_str() == name)
            }
        }
    };
}

named! {
    RangeOp {
        CountOverTime = "count_over_time",
        Rate = "rate",
        RateCounter = "rate_counter",
        BytesOverTime = "bytes_over_time",
        BytesRate = "bytes_rate",
        SumOverTime = "sum_over_time",
        AvgOverTime = "avg_over_time",
        MinOverTime = "min_over_time",
        MaxOverTime = "max_over_time",
        StddevOverTime = "stddev_over_time",
        StdvarOverTime = "stdvar_over_time",
        QuantileOverTime = "quantile_over_time",
        FirstOverTime = "first_over_time",
        LastOverTime = "last_over_time",
        AbsentOverTime = "absent_over_time",
    }
}

named! {
    VectorOp {
        Sum = "sum",
        Avg = "avg",
        Min = "min",
        Max = "max",
        Count = "count",
        Stddev = "stddev",
        Stdvar = "stdvar",
        Topk = "topk",
        Bottomk = "bottomk",
        ApproxTopk = "approx_topk",
        Sort = "sort",
        SortDesc = "sort_desc",
    }
}

impl VectorOp {
    pub fn takes_parameter(self) -> bool {
        matches!(self, VectorOp::Topk | VectorOp::Bottomk | VectorOp::ApproxTopk)
    }
}

named! {
    BinaryOp {
        Or = "or",
        And = "and",
        Unless = "unless",
        Add = "+",
        Sub = "-",
        Mul = "*",
        Div = "/",
        Mod = "%",
        Pow = "^",
        Equal = "==",
        NotEqual = "!=",
        Greater = ">",
        GreaterEqual = ">=",
        Less = "<",
        LessEqual = "<=",
    }
}

impl BinaryOp {
    pub fn is_set(self) -> bool {
        matches!(self, BinaryOp::Or | BinaryOp::And | BinaryOp::Unless)
    }

    pub fn is_comparison(self) -> bool {
        matches!(
            self,
            BinaryOp::Equal
                | BinaryOp::NotEqual
                | BinaryOp::Greater
                | BinaryOp::GreaterEqual
                | BinaryOp::Less
                | BinaryOp::LessEqual
        )
    }

    /// Larger binds tighter.
    pub fn precedence(self) -> u8 {
        match self {
            BinaryOp::Or => 1,
            BinaryOp::And | BinaryOp::Unless => 2,
            op if op.is_comparison() => 3,
            BinaryOp::Add | BinaryOp::Sub => 4,
            BinaryOp::Pow => 6,
            _ => 5,
        }
    }
}

impl LogExpr {
    /// The selector alone.
    pub fn selector(matchers: Vec<Matcher>) -> Self {
        LogExpr { matchers, stages: Vec::new() }
    }
}

impl LabelFilter {
    /// Calls `f` with the name of every label the filter reads.
    pub fn each_label<'a>(&'a self, f: &mut impl FnMut(&'a str)) {
        match self {
            LabelFilter::Text(m) => f(&m.name),
            LabelFilter::Number { label, .. }
            | LabelFilter::Duration { label, .. }
            | LabelFilter::Bytes { label, .. }
            | LabelFilter::Ip { label, .. } => f(label),
            LabelFilter::And(a, b) | LabelFilter::Or(a, b) => {
                a.each_label(f);
                b.each_label(f);
            }
        }
    }
}

impl MetricExpr {
    /// Calls `f` with every range aggregation below, from left to right.
    pub fn each_range<'a>(&'a self, f: &mut impl FnMut(&'a RangeAggregation)) {
        match self {
            MetricExpr::Literal(_) | MetricExpr::Vector(_) => {}
            MetricExpr::Range(r) => f(r),
            MetricExpr::Aggregate(a) => a.inner.each_range(f),
            MetricExpr::Binary(b) => {
                b.left.each_range(f);
                b.right.each_range(f);
            }
            MetricExpr::LabelReplace(l) => l.inner.each_range(f),
            MetricExpr::Variants(v) => v.variants.iter().for_each(|x| x.each_range(f)),
        }
    }

    /// The same, to change them.
    pub fn each_range_mut(&mut self, f: &mut impl FnMut(&mut RangeAggregation)) {
        match self {
            MetricExpr::Literal(_) | MetricExpr::Vector(_) => {}
            MetricExpr::Range(r) => f(r),
            MetricExpr::Aggregate(a) => a.inner.each_range_mut(f),
            MetricExpr::Binary(b) => {
                b.left.each_range_mut(f);
                b.right.each_range_mut(f);
            }
            MetricExpr::LabelReplace(l) => l.inner.each_range_mut(f),
            MetricExpr::Variants(v) => v.variants.iter_mut().for_each(|x| x.each_range_mut(f)),
        }
    }
}

/// Whether the matcher is a text condition that could also be read as an empty-compatible one.
pub(crate) fn accepts_empty(matchers: &[Matcher]) -> bool {
    matchers.iter().all(|m| match m.op {
        MatchOp::Equal | MatchOp::Regex => m.matches_empty(),
        MatchOp::NotEqual | MatchOp::NotRegex => true,
    })
}
