//! Types and what else must hold of a tree, checked bottom up in one loop over the nodes.

use eval::{Cardinality, Span};

use crate::{
    ParseError,
    ast::{Aggregate, Call, Expr, NodeId, NodeKind, ValueType},
    functions::FunctionId,
    literal::quote,
};

type Result<T, E = ParseError> = std::result::Result<T, E>;

/// Checks every node and drops the matching of operators that do not stand between two vectors.
pub(super) fn check(text: &str, expr: &mut Expr) -> Result<()> {
    let mut types: Vec<ValueType> = Vec::with_capacity(expr.nodes.len());
    // Selectors that stand as the second argument of info() may match everything.
    let free = info_selectors(expr);
    for (i, free) in free.into_iter().enumerate() {
        let id = NodeId(i as u32);
        let checker = Checker { text, expr, types: &types };
        let ty = match expr.kind(id) {
            NodeKind::Number(_) => ValueType::Scalar,
            NodeKind::String(_) => ValueType::String,
            NodeKind::Selector(_) => {
                if !free {
                    checker.selector(id)?;
                }
                ValueType::Vector
            }
            NodeKind::Matrix { .. } => ValueType::Matrix,
            NodeKind::Subquery(s) => checker.subquery(id, s.expr)?,
            NodeKind::Paren(e) => checker.of(*e),
            NodeKind::Unary { expr: e, .. } => checker.unary(id, *e)?,
            NodeKind::Aggregate(a) => checker.aggregate(a)?,
            NodeKind::Call(c) => checker.call(id, c)?,
            NodeKind::Binary(_) => checker.binary(id)?,
        };
        types.push(ty);
        finish_binary(expr, id, &types);
    }
    Ok(())
}

/// By node: whether it is such an argument.
fn info_selectors(expr: &Expr) -> Vec<bool> {
    let mut out = vec![false; expr.nodes.len()];
    for node in &expr.nodes {
        if let NodeKind::Call(c) = &node.kind
            && c.function.id == FunctionId::Info
            && let Some(arg) = c.args.get(1)
        {
            out[arg.0 as usize] = true;
        }
    }
    out
}

/// Between vectors set operators match many to many; elsewhere there is nothing to match.
fn finish_binary(expr: &mut Expr, id: NodeId, types: &[ValueType]) {
    if let NodeKind::Binary(b) = &mut expr.nodes[id.0 as usize].kind {
        let vectors = [b.lhs, b.rhs].iter().all(|c| types[c.0 as usize] == ValueType::Vector);
        if !vectors {
            b.matching = None;
        } else if b.op.is_set()
            && let Some(m) = &mut b.matching
        {
            m.cardinality = Cardinality::ManyToMany;
        }
    }
}

struct Checker<'a> {
    text: &'a str,
    expr: &'a Expr,
    types: &'a [ValueType],
}

impl Checker<'_> {
    fn of(&self, id: NodeId) -> ValueType {
        self.types[id.0 as usize]
    }

    fn fail<T>(&self, span: &Span, message: impl Into<String>) -> Result<T> {
        Err(ParseError::new(self.text, span.clone(), message))
    }

    fn expect(&self, id: NodeId, want: ValueType, context: &str) -> Result<()> {
        let got = self.of(id);
        if got == want {
            return Ok(());
        }
        let message = format!("expected type {} in {context}, got {}", want.documented(), got.documented());
        self.fail(self.expr.span(id), message)
    }

    fn selector(&self, id: NodeId) -> Result<()> {
        let NodeKind::Selector(s) = self.expr.kind(id) else { return Ok(()) };
        if s.name.is_none() && s.matchers.iter().all(|m| m.matches_empty()) {
            return self
                .fail(self.expr.span(id), "vector selector must contain at least one non-empty matcher");
        }
        Ok(())
    }

    fn subquery(&self, id: NodeId, inner: NodeId) -> Result<ValueType> {
        match self.of(inner) {
            ValueType::Vector => Ok(ValueType::Matrix),
            other => {
                let name = match other {
                    ValueType::Matrix => "matrix",
                    ValueType::Scalar => "scalar",
                    _ => "string",
                };
                let message = format!("subquery is only allowed on instant vector, got {name} instead");
                self.fail(self.expr.span(id), message)
            }
        }
    }

    fn unary(&self, id: NodeId, inner: NodeId) -> Result<ValueType> {
        match self.of(inner) {
            t @ (ValueType::Scalar | ValueType::Vector) => Ok(t),
            other => {
                let message = format!(
                    "unary expression only allowed on expressions of type scalar or instant vector, got {:?}",
                    other.documented()
                );
                self.fail(self.expr.span(id), message)
            }
        }
    }

    fn aggregate(&self, a: &Aggregate) -> Result<ValueType> {
        self.expect(a.expr, ValueType::Vector, "aggregation expression")?;
        if let Some(p) = a.parameter {
            let want =
                if a.op == eval::AggregateOp::CountValues { ValueType::String } else { ValueType::Scalar };
            self.expect(p, want, "aggregation parameter")?;
        }
        Ok(ValueType::Vector)
    }

    fn call(&self, id: NodeId, c: &Call) -> Result<ValueType> {
        let f = c.function;
        let span = self.expr.span(id);
        let (declared, given) = (f.args.len(), c.args.len());
        if f.variadic == 0 && declared != given {
            let message = format!("expected {declared} argument(s) in call to {:?}, got {given}", f.name);
            return self.fail(span, message);
        }
        if f.variadic != 0 {
            let least = declared.saturating_sub(1);
            if given < least {
                let message =
                    format!("expected at least {least} argument(s) in call to {:?}, got {given}", f.name);
                return self.fail(span, message);
            }
            if let Ok(more) = usize::try_from(f.variadic)
                && given > least + more
            {
                let message = format!(
                    "expected at most {} argument(s) in call to {:?}, got {given}",
                    least + more,
                    f.name
                );
                return self.fail(span, message);
            }
        }
        if f.id == FunctionId::Info
            && let Some(selector) = c.args.get(1)
        {
            self.info_argument(*selector)?;
        }
        for (i, arg) in c.args.iter().enumerate() {
            if let Some(want) = f.args.get(i).or(f.args.last()) {
                self.expect(*arg, *want, &format!("call to function {}", quote(f.name)))?;
            }
        }
        Ok(f.returns)
    }

    fn info_argument(&self, id: NodeId) -> Result<()> {
        match self.expr.kind(id) {
            NodeKind::Selector(s) if s.name.is_none() => Ok(()),
            NodeKind::Selector(_) => {
                self.fail(self.expr.span(id), "expected label selectors only, got vector selector instead")
            }
            _ if self.of(id) != ValueType::Vector => {
                self.expect(id, ValueType::Vector, "call to function \"info\"")
            }
            _ => self.fail(self.expr.span(id), "expected label selectors only"),
        }
    }

    fn binary(&self, id: NodeId) -> Result<ValueType> {
        let NodeKind::Binary(b) = self.expr.kind(id) else { return Ok(ValueType::Vector) };
        let (l, r) = (self.of(b.lhs), self.of(b.rhs));
        let span = self.expr.span(id);
        let operator = || self.operator_span(b.lhs, b.rhs);
        if b.return_bool && !b.op.is_comparison() {
            return self.fail(&operator(), "bool modifier can only be used on comparison operators");
        }
        let scalars = l == ValueType::Scalar && r == ValueType::Scalar;
        if scalars && b.op.is_comparison() && !b.return_bool {
            return self.fail(&operator(), "comparisons between scalars must use BOOL modifier");
        }
        let m = b.matching.clone().unwrap_or_default();
        if m.on
            && let Some(both) = m.labels.iter().find(|l| m.include.contains(l))
        {
            let message = format!("label {} must not occur in ON and GROUP clause at once", quote(both));
            return self.fail(&operator(), message);
        }
        for (side, ty) in [(b.lhs, l), (b.rhs, r)] {
            if !matches!(ty, ValueType::Scalar | ValueType::Vector) {
                let message = "binary expression must contain only scalar and instant vector types";
                return self.fail(self.expr.span(side), message);
            }
        }
        let filled = m.fill_left.is_some() || m.fill_right.is_some();
        if l == ValueType::Vector && r == ValueType::Vector {
            if b.op.is_set() && m.cardinality != Cardinality::OneToOne {
                let message = format!("no grouping allowed for {:?} operation", b.op.as_str());
                return self.fail(span, message);
            }
            if b.op.is_set() && filled {
                return self.fail(span, "filling in missing series not allowed for set operators");
            }
            return Ok(ValueType::Vector);
        }
        if !m.labels.is_empty() {
            return self.fail(span, "vector matching only allowed between instant vectors");
        }
        if filled {
            return self.fail(span, "filling in missing series only allowed between instant vectors");
        }
        if b.op.is_set() {
            let message = format!("set operator {:?} not allowed in binary scalar expression", b.op.as_str());
            return self.fail(span, message);
        }
        Ok(if scalars { ValueType::Scalar } else { ValueType::Vector })
    }

    /// The text between the operands without the blanks around it.
    fn operator_span(&self, lhs: NodeId, rhs: NodeId) -> Span {
        let (start, end) = (self.expr.span(lhs).end, self.expr.span(rhs).start);
        let between = self.text.get(start..end).unwrap_or_default();
        let lead = between.len() - between.trim_start().len();
        start + lead..start + lead + between.trim().len()
    }
}
