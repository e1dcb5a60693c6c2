//! The syntax tree: nodes in one array, children before parents.
//!
//! An array instead of boxes, because queries come from outside: a chain of a hundred thousand operators is a tree
//! as deep, and dropping, cloning or comparing boxes would recurse as deep. Here those are loops. Every loop over
//! `nodes` in order sees children before their parent.

use std::fmt;

use eval::{AggregateOp, BinaryOp, Grouping, Matching, Span};
use model::Matcher;

use crate::functions::Function;

/// Index of a node in its [`Expr`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(crate) u32);

#[derive(Debug, Clone)]
pub struct Node {
    pub kind: NodeKind,
    /// Byte offsets in the query text.
    pub span: Span,
}

/// A parsed, type-checked query. Equality ignores positions.
#[derive(Debug, Clone)]
pub struct Expr {
    pub(crate) nodes: Vec<Node>,
    pub(crate) root: NodeId,
    /// String literals that spell bytes which are no UTF-8, as they were written.
    pub(crate) broken: Vec<(NodeId, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueType {
    Scalar,
    String,
    Vector,
    Matrix,
}

impl ValueType {
    /// As the documentation and error messages call it.
    pub fn documented(self) -> &'static str {
        match self {
            ValueType::Scalar => "scalar",
            ValueType::String => "string",
            ValueType::Vector => "instant vector",
            ValueType::Matrix => "range vector",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum NodeKind {
    Number(Number),
    String(String),
    Selector(Selector),
    /// `selector[range]`; the child is a [`NodeKind::Selector`].
    Matrix {
        selector: NodeId,
        range: Duration,
    },
    Subquery(Subquery),
    Paren(NodeId),
    Unary {
        negate: bool,
        expr: NodeId,
    },
    Binary(Binary),
    Aggregate(Aggregate),
    Call(Call),
}

#[derive(Debug, Clone, Copy)]
pub struct Number {
    pub value: f64,
    /// Written as a duration (`5m`); the value is in seconds.
    pub is_duration: bool,
}

impl PartialEq for Number {
    fn eq(&self, o: &Self) -> bool {
        self.is_duration == o.is_duration
            && (self.value.to_bits() == o.value.to_bits() || (self.value.is_nan() && o.value.is_nan()))
    }
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Selector {
    /// The metric name where it stands before the braces; its matcher is in `matchers` too.
    pub name: Option<String>,
    /// In canonical (printed) order.
    pub matchers: Vec<Matcher>,
    pub modifiers: Modifiers,
    pub extent: Extent,
}

/// `@` and `offset`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Modifiers {
    /// Zero where there is none.
    pub offset: Duration,
    pub at: Option<At>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// Milliseconds since 1970.
    Time(i64),
    Start,
    End,
}

/// What a range selector takes from beyond its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Extent {
    #[default]
    None,
    /// The last sample before the window stands at its start.
    Anchored,
    /// Values at both edges are interpolated.
    Smoothed,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Subquery {
    pub expr: NodeId,
    pub range: Duration,
    pub step: Option<Duration>,
    pub modifiers: Modifiers,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Binary {
    pub op: BinaryOp,
    pub return_bool: bool,
    pub lhs: NodeId,
    pub rhs: NodeId,
    /// Present exactly when both sides are instant vectors.
    pub matching: Option<Matching>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    pub op: AggregateOp,
    pub grouping: Grouping,
    pub parameter: Option<NodeId>,
    pub expr: NodeId,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    pub function: &'static Function,
    pub args: Vec<NodeId>,
}

/// A length of time: known, or to be computed from the step and range of the query.
#[derive(Debug, Clone, PartialEq)]
pub enum Duration {
    Millis(i64),
    Expr(Box<DurationExpr>),
}

impl Default for Duration {
    fn default() -> Self {
        Duration::Millis(0)
    }
}

impl Duration {
    pub fn is_zero(&self) -> bool {
        *self == Duration::Millis(0)
    }

    /// The milliseconds; 0 for an expression that was not resolved yet.
    pub fn millis(&self) -> i64 {
        match self {
            Duration::Millis(ms) => *ms,
            Duration::Expr(_) => 0,
        }
    }
}

/// Duration arithmetic, in seconds.
#[derive(Debug, Clone, PartialEq)]
pub enum DurationExpr {
    Number(Number),
    Step,
    Range,
    Negate(Box<DurationExpr>),
    Paren(Box<DurationExpr>),
    MinOf(Box<DurationExpr>, Box<DurationExpr>),
    MaxOf(Box<DurationExpr>, Box<DurationExpr>),
    Binary(BinaryOp, Box<DurationExpr>, Box<DurationExpr>),
}

impl Expr {
    pub fn root(&self) -> NodeId {
        self.root
    }

    /// How a string literal was written, if what it spells is not UTF-8 and so names no label.
    pub(crate) fn broken_string(&self, id: NodeId) -> Option<&str> {
        self.broken.iter().find(|(n, _)| *n == id).map(|(_, written)| written.as_str())
    }

    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    pub fn kind(&self, id: NodeId) -> &NodeKind {
        &self.node(id).kind
    }

    pub fn span(&self, id: NodeId) -> &Span {
        &self.node(id).span
    }

    /// All nodes, children before parents.
    pub fn nodes(&self) -> impl DoubleEndedIterator<Item = (NodeId, &Node)> {
        self.nodes.iter().enumerate().map(|(i, n)| (NodeId(i as u32), n))
    }

    /// Every series selector of the query, in order of appearance.
    pub fn selectors(&self) -> Vec<&Selector> {
        self.nodes
            .iter()
            .filter_map(|n| match &n.kind {
                NodeKind::Selector(s) => Some(s),
                _ => None,
            })
            .collect()
    }

    /// The node itself without the parentheses around it.
    pub fn unwrap_parens(&self, mut id: NodeId) -> NodeId {
        while let NodeKind::Paren(inner) = self.kind(id) {
            id = *inner;
        }
        id
    }

    /// Type of the whole query.
    pub fn value_type(&self) -> ValueType {
        self.type_of(self.root)
    }

    /// The type a node evaluates to.
    pub fn type_of(&self, id: NodeId) -> ValueType {
        // Walks down operators and parentheses until a node knows its type. A scalar left side of a chain says
        // nothing, so the right side is asked only where the left one is a scalar.
        let mut id = id;
        loop {
            match self.kind(id) {
                NodeKind::Number(_) => return ValueType::Scalar,
                NodeKind::String(_) => return ValueType::String,
                NodeKind::Selector(_) | NodeKind::Aggregate(_) => return ValueType::Vector,
                NodeKind::Matrix { .. } | NodeKind::Subquery(_) => return ValueType::Matrix,
                NodeKind::Call(c) => return c.function.returns,
                NodeKind::Paren(e) | NodeKind::Unary { expr: e, .. } => id = *e,
                NodeKind::Binary(b) if b.matching.is_some() => return ValueType::Vector,
                NodeKind::Binary(b) => return self.scalar_chain_type(b),
            }
        }
    }

    /// Of an operator that has a scalar on at least one side: a vector if anything below is one.
    fn scalar_chain_type(&self, top: &Binary) -> ValueType {
        let mut stack = vec![top.lhs, top.rhs];
        while let Some(id) = stack.pop() {
            match self.kind(id) {
                NodeKind::Paren(e) | NodeKind::Unary { expr: e, .. } => stack.push(*e),
                NodeKind::Binary(b) if b.matching.is_none() => stack.extend([b.lhs, b.rhs]),
                NodeKind::Number(_) => {}
                NodeKind::Call(c) if c.function.returns == ValueType::Scalar => {}
                _ => return ValueType::Vector,
            }
        }
        ValueType::Scalar
    }

    /// Children of a node, left to right.
    pub fn children(&self, id: NodeId) -> Vec<NodeId> {
        match self.kind(id) {
            NodeKind::Number(_) | NodeKind::String(_) | NodeKind::Selector(_) => Vec::new(),
            NodeKind::Matrix { selector, .. } => vec![*selector],
            NodeKind::Subquery(s) => vec![s.expr],
            NodeKind::Paren(e) | NodeKind::Unary { expr: e, .. } => vec![*e],
            NodeKind::Binary(b) => vec![b.lhs, b.rhs],
            NodeKind::Aggregate(a) => a.parameter.into_iter().chain([a.expr]).collect(),
            NodeKind::Call(c) => c.args.clone(),
        }
    }
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.root == other.root
            && self.nodes.len() == other.nodes.len()
            && self.nodes.iter().zip(&other.nodes).all(|(a, b)| a.kind == b.kind)
    }
}

impl fmt::Display for Expr {
    /// The canonical text, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::print::print(self, self.root))
    }
}
