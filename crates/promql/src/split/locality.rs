//! Which nodes of a query a part can compute by itself.
//!
//! A node is local when the rows it comes to over the whole are those it comes to over each part, one after the
//! other. For that no operator in it may bring together series of two parts; and none does whose rows are brought
//! together by labels that tell the parts apart. So what has to be known of each node is which labels its rows
//! still carry as their series did.

use eval::{AggregateOp, Apart, Cardinality, Grouping, Kept, Matching};

use crate::{
    ValueType,
    ast::{Aggregate, Binary, Call, Expr, NodeId, NodeKind},
    functions::FunctionId,
};

/// What functions may take off without being asked: nothing is told apart by it.
const METADATA: [&str; 3] = ["__name__", "__type__", "__unit__"];

/// Where a node can be computed.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Class {
    /// It comes to the same anywhere and looks at no series.
    Constant,
    /// In each part by itself; its rows still carry these labels as the series did.
    Local(Kept),
    /// Only where all parts are seen.
    Hub,
}

/// Classes by node. `ordered` is the node whose order is that of the answer, if there is one.
pub(super) fn classes(expr: &Expr, apart: &Apart, ordered: Option<NodeId>) -> Vec<Class> {
    let mut made = Classes { expr, apart, ordered, of: Vec::with_capacity(expr.nodes.len()) };
    for (id, node) in expr.nodes() {
        let class = match made.class(id, &node.kind) {
            Class::Local(kept) if !apart.told(|n| kept.has(n)) => Class::Hub,
            class => class,
        };
        made.of.push(class);
    }
    made.of
}

struct Classes<'a> {
    expr: &'a Expr,
    apart: &'a Apart,
    ordered: Option<NodeId>,
    of: Vec<Class>,
}

impl Classes<'_> {
    fn at(&self, id: NodeId) -> &Class {
        self.of.get(id.0 as usize).unwrap_or(&Class::Hub)
    }

    fn class(&self, id: NodeId, kind: &NodeKind) -> Class {
        match kind {
            NodeKind::Number(_) | NodeKind::String(_) => Class::Constant,
            NodeKind::Selector(_) => Class::Local(Kept::all_but(METADATA)),
            NodeKind::Matrix { selector, .. } => self.at(*selector).clone(),
            NodeKind::Paren(inner) | NodeKind::Unary { expr: inner, .. } => self.at(*inner).clone(),
            // Numbers over time are no vector of any part.
            NodeKind::Subquery(s) => match self.at(s.expr) {
                Class::Local(kept) => Class::Local(kept.clone()),
                _ => Class::Hub,
            },
            NodeKind::Binary(b) => self.binary(b),
            NodeKind::Aggregate(a) => self.aggregate(id, a),
            NodeKind::Call(c) => self.call(c),
        }
    }

    fn binary(&self, b: &Binary) -> Class {
        match (self.at(b.lhs), self.at(b.rhs), &b.matching) {
            (Class::Constant, Class::Constant, None) => Class::Constant,
            (Class::Local(kept), Class::Constant, None) | (Class::Constant, Class::Local(kept), None) => {
                Class::Local(kept.clone())
            }
            (Class::Local(l), Class::Local(r), Some(m)) => self.matched(b, m, l, r),
            _ => Class::Hub,
        }
    }

    /// Two rows find each other by labels that tell the parts apart, or they might come from two of them.
    fn matched(&self, b: &Binary, m: &Matching, l: &Kept, r: &Kept) -> Class {
        let compared = |name: &str| m.labels.iter().any(|n| n == name) == m.on;
        let fills = m.fill_left.is_some() || m.fill_right.is_some();
        if fills || !self.apart.told(|n| compared(n) && l.has(n) && r.has(n)) {
            return Class::Hub;
        }
        let kept = match (b.op, m.cardinality) {
            (eval::BinaryOp::Or, _) => l.and(r),
            (op, _) if op.is_set() => l.clone(),
            (_, Cardinality::ManyToOne) => l.minus(&m.include),
            (_, Cardinality::OneToMany) => r.minus(&m.include),
            _ if m.on => l.only(&m.labels),
            _ => l.minus(&m.labels),
        };
        Class::Local(kept)
    }

    fn aggregate(&self, id: NodeId, a: &Aggregate) -> Class {
        let Class::Local(kept) = self.at(a.expr) else { return Class::Hub };
        if a.parameter.is_some_and(|p| *self.at(p) != Class::Constant) {
            return Class::Hub;
        }
        let groups = match &a.grouping {
            Grouping::By(names) => kept.only(names),
            Grouping::Without(names) => kept.minus(names),
        };
        let together = self.apart.told(|n| groups.has(n));
        let several = self.apart.are_several();
        match a.op {
            // Whether a series is picked is seen from its labels.
            AggregateOp::LimitRatio => Class::Local(kept.clone()),
            _ if !together => Class::Hub,
            // The order of groups is that of all their series, of which parts know only their own.
            AggregateOp::Topk | AggregateOp::Bottomk if several && self.ordered == Some(id) => Class::Hub,
            AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk => Class::Local(kept.clone()),
            AggregateOp::CountValues => match a.parameter.and_then(|p| self.text(p)) {
                Some(label) => Class::Local(groups.minus([label])),
                None => Class::Hub,
            },
            _ => Class::Local(groups),
        }
    }

    fn text(&self, id: NodeId) -> Option<&String> {
        match self.expr.kind(self.expr.unwrap_parens(id)) {
            NodeKind::String(s) => Some(s),
            _ => None,
        }
    }

    fn call(&self, c: &Call) -> Class {
        use FunctionId::*;
        let constant = c.args.iter().all(|a| *self.at(*a) == Class::Constant);
        match c.function.id {
            Time | Pi | MaxOf | MinOf | Start | End | Range | Step if constant => return Class::Constant,
            // What is absent, or the only one, or the first, is so over all parts; info joins what it likes.
            Absent | AbsentOverTime | Scalar | Vector | Sort | SortDesc | SortByLabel | SortByLabelDesc
            | Info => {
                return Class::Hub;
            }
            _ => {}
        }
        let series = |a: &NodeId| matches!(self.expr.type_of(*a), ValueType::Vector | ValueType::Matrix);
        let mut vectors = c.args.iter().filter(|a| series(a));
        let (Some(vector), None) = (vectors.next(), vectors.next()) else { return Class::Hub };
        let Class::Local(kept) = self.at(*vector) else { return Class::Hub };
        if c.args.iter().any(|a| a != vector && *self.at(*a) != Class::Constant) {
            return Class::Hub;
        }
        let le = "le".to_owned();
        let written = |i: usize| c.args.get(i).and_then(|a| self.text(*a));
        match c.function.id {
            LabelReplace | LabelJoin | HistogramQuantiles => match written(1) {
                Some(label) => Class::Local(kept.minus([label, &le])),
                None => Class::Hub,
            },
            HistogramQuantile | HistogramFraction => Class::Local(kept.minus([&le])),
            _ => Class::Local(kept.clone()),
        }
    }
}
