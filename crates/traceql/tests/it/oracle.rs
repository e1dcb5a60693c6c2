//! What queries mean, written as plainly as can be: every span of every trace is looked at, and every pair of them.

use std::collections::BTreeMap;

use model::{AnyValue, Attributes, Span, SpanBatch, span::SpanOrigin};
use traceql::{Field, Intrinsic, Scope, Value, ast::*};

#[derive(Debug, Clone, PartialEq)]
pub enum V {
    Nil,
    Int(i64),
    Float(f64),
    Duration(i64),
    Text(String),
    Bool(bool),
    /// Status or kind, by its word.
    Word(&'static str, String),
    Bytes,
    List(Vec<V>),
    /// Of events, in order.
    Events(Vec<V>),
}

impl V {
    fn of(v: &AnyValue) -> V {
        match v {
            AnyValue::Empty => V::Nil,
            AnyValue::String(s) => V::Text(s.clone()),
            AnyValue::Bool(b) => V::Bool(*b),
            AnyValue::Int(i) => V::Int(*i),
            AnyValue::Double(d) => V::Float(*d),
            AnyValue::Array(a) => V::List(a.iter().map(V::of).collect()),
            _ => V::Bytes,
        }
    }

    fn literal(v: &Value<'_>) -> V {
        match v {
            Value::Int(i) => V::Int(*i),
            Value::Float(f) => V::Float(*f),
            Value::Duration(d) => V::Duration(*d),
            Value::Str(s) => V::Text(s.to_string()),
            Value::Bool(b) => V::Bool(*b),
            Value::Status(_) => V::Word("status", v.to_string()),
            Value::Kind(_) => V::Word("kind", v.to_string()),
            _ => V::Nil,
        }
    }

    /// What one of a kind stands for: several events are no single number or boolean.
    fn single(&self) -> V {
        match self {
            V::Events(all) if all.len() == 1 => all[0].clone(),
            other => other.clone(),
        }
    }

    fn number(&self) -> Option<f64> {
        match self.single() {
            V::Int(i) | V::Duration(i) => Some(i as f64),
            V::Float(f) => Some(f),
            _ => None,
        }
    }

    fn several(&self) -> Option<&[V]> {
        match self {
            V::List(all) | V::Events(all) => Some(all),
            _ => None,
        }
    }

    pub fn show(&self) -> String {
        match self {
            V::Nil => "nil".to_owned(),
            V::Int(i) => i.to_string(),
            V::Float(f) => f.to_string(),
            V::Duration(d) => traceql::units::format_duration(*d),
            V::Text(s) | V::Word(_, s) => s.clone(),
            V::Bool(b) => b.to_string(),
            V::Bytes => "\"01\"".to_owned(),
            V::Events(all) if all.len() == 1 => all[0].show(),
            V::List(all) | V::Events(all) => {
                let quoted = |v: &V| match v {
                    V::Text(_) | V::Word(..) | V::Duration(_) => format!("{:?}", v.show()),
                    V::Nil => "\"nil\"".to_owned(),
                    v => v.show(),
                };
                format!("[{}]", all.iter().map(quoted).collect::<Vec<_>>().join(","))
            }
        }
    }
}

/// A whole trace, spans in order of their start and id.
pub struct Trace {
    pub id: [u8; 16],
    pub spans: Vec<(Span, SpanOrigin)>,
    /// By span: left, right, left of the parent.
    nested: Vec<(i64, i64, i64)>,
}

pub fn traces(batch: &SpanBatch) -> Vec<Trace> {
    let mut by_id: BTreeMap<[u8; 16], Vec<(Span, SpanOrigin)>> = BTreeMap::new();
    for s in &batch.spans {
        by_id.entry(s.trace_id).or_default().push((s.clone(), batch.origins[s.origin as usize].clone()));
    }
    let whole = |(id, mut spans): ([u8; 16], Vec<(Span, SpanOrigin)>)| {
        spans.sort_by_key(|(s, _)| (s.start_ns, s.span_id));
        let nested = vec![(0, 0, 0); spans.len()];
        let mut t = Trace { id, spans, nested };
        let mut next = 1;
        for root in (0..t.spans.len()).filter(|i| t.is_root(*i)).collect::<Vec<_>>() {
            t.number(root, -1, &mut next);
        }
        t
    };
    by_id.into_iter().map(whole).collect()
}

impl Trace {
    fn is_root(&self, i: usize) -> bool {
        self.spans[i].0.parent_span_id == [0; 8]
    }

    fn number(&mut self, i: usize, parent: i64, next: &mut i64) {
        let left = *next;
        *next += 1;
        for child in (0..self.spans.len()).filter(|c| self.parent(*c) == Some(i)).collect::<Vec<_>>() {
            self.number(child, left, next);
        }
        self.nested[i] = (left, *next, parent);
        *next += 1;
    }

    fn parent(&self, i: usize) -> Option<usize> {
        let id = self.spans[i].0.parent_span_id;
        (0..self.spans.len()).find(|p| *p != i && self.spans[*p].0.span_id == id)
    }

    fn placed(&self, i: usize) -> bool {
        self.nested[i].0 != 0
    }

    fn is_ancestor(&self, above: usize, below: usize) -> bool {
        let mut at = below;
        while let Some(p) = self.parent(at) {
            if p == above {
                return true;
            }
            at = p;
        }
        false
    }

    /// Whether `r` is child, parent, ... of `l`.
    fn related(&self, relation: Relation, l: usize, r: usize) -> bool {
        if !self.placed(l) || !self.placed(r) {
            return false;
        }
        match relation {
            Relation::Child => self.parent(r) == Some(l),
            Relation::Parent => self.parent(l) == Some(r),
            Relation::Descendant => self.is_ancestor(l, r),
            Relation::Ancestor => self.is_ancestor(r, l),
            Relation::Sibling => l != r && self.parent(l) == self.parent(r),
        }
    }

    fn attribute(&self, i: usize, scope: Scope, name: &str) -> V {
        let (span, origin) = &self.spans[i];
        let get = |a: &Attributes| a.get(name).map_or(V::Nil, V::of);
        match scope {
            Scope::Span => get(&span.attributes),
            Scope::Resource => get(&origin.resource.attributes),
            Scope::Instrumentation => get(&origin.scope.attributes),
            Scope::Event => events(span.events.iter().map(|e| get(&e.attributes))),
            Scope::Link => V::Nil,
            Scope::Any => [Scope::Span, Scope::Resource, Scope::Event, Scope::Instrumentation]
                .into_iter()
                .map(|s| self.attribute(i, s, name))
                .find(|v| *v != V::Nil)
                .unwrap_or(V::Nil),
        }
    }

    pub fn get(&self, i: usize, f: &Field) -> V {
        let (span, _) = &self.spans[i];
        let root = (0..self.spans.len()).find(|r| self.is_root(*r)).map(|r| &self.spans[r]);
        match f {
            Field::Attribute { scope, parent: false, name } => self.attribute(i, *scope, name),
            Field::Attribute { scope, name, .. } => {
                self.parent(i).map_or(V::Nil, |p| self.attribute(p, *scope, name))
            }
            Field::Parent => V::Nil,
            Field::Intrinsic(which) => match which {
                Intrinsic::Duration => V::Duration(span.end_ns - span.start_ns),
                Intrinsic::Name => V::Text(span.name.clone()),
                Intrinsic::StatusMessage => V::Text(span.status.message.clone()),
                Intrinsic::Status => V::Word("status", format!("{:?}", span.status.code).to_lowercase()),
                Intrinsic::Kind => V::Word("kind", span.kind.as_str().to_owned()),
                Intrinsic::TraceDuration => {
                    let start = self.spans.iter().map(|(s, _)| s.start_ns).min().unwrap();
                    V::Duration(self.spans.iter().map(|(s, _)| s.end_ns).max().unwrap() - start)
                }
                Intrinsic::RootName => V::Text(root.map_or(String::new(), |(s, _)| s.name.clone())),
                Intrinsic::RootServiceName => {
                    V::Text(root.map_or(String::new(), |(_, o)| o.service_name().to_owned()))
                }
                Intrinsic::ChildCount => {
                    V::Int((0..self.spans.len()).filter(|c| self.parent(*c) == Some(i)).count() as i64)
                }
                Intrinsic::NestedSetLeft => V::Int(self.nested[i].0),
                Intrinsic::NestedSetRight => V::Int(self.nested[i].1),
                Intrinsic::NestedSetParent => V::Int(self.nested[i].2),
                Intrinsic::EventName => events(span.events.iter().map(|e| V::Text(e.name.clone()))),
                Intrinsic::EventTimeSinceStart => {
                    events(span.events.iter().map(|e| V::Duration(e.timestamp_ns - span.start_ns)))
                }
                other => panic!("{other:?} is not asked for"),
            },
        }
    }

    pub fn value(&self, i: usize, e: &FieldExpr) -> V {
        match e {
            FieldExpr::Literal(v) => V::literal(v),
            FieldExpr::Field(f) => self.get(i, f),
            FieldExpr::Paren(e) => self.value(i, e),
            FieldExpr::Not(e) => match self.value(i, e).single() {
                V::Bool(b) => V::Bool(!b),
                _ => V::Nil,
            },
            FieldExpr::Negate(e) => match self.value(i, e).single() {
                V::Int(n) => V::Int(-n),
                V::Float(n) => V::Float(-n),
                V::Duration(n) => V::Duration(-n),
                _ => V::Nil,
            },
            FieldExpr::Match { left, pattern } => V::Bool(matches(&self.value(i, left), pattern)),
            FieldExpr::Binary { op, left, right } => match op {
                BinaryOp::And => V::Bool(self.holds(i, left) && self.holds(i, right)),
                BinaryOp::Or => V::Bool(self.holds(i, left) || self.holds(i, right)),
                BinaryOp::Compare(op) => V::Bool(self.compared(i, *op, left, right)),
                BinaryOp::Arithmetic(op) => computed(*op, self.value(i, left), self.value(i, right)),
            },
        }
    }

    fn compared(&self, i: usize, op: CompareOp, left: &FieldExpr, right: &FieldExpr) -> bool {
        let nil = |e: &FieldExpr| *e.bare() == FieldExpr::Literal(Value::Nil);
        let (l, r) = (self.value(i, left), self.value(i, right));
        match (nil(left), nil(right)) {
            (true, true) => false,
            (true, false) => (r == V::Nil) == (op == CompareOp::Equal),
            (false, true) => (l == V::Nil) == (op == CompareOp::Equal),
            (false, false) => compares(&l, op, &r),
        }
    }

    pub fn holds(&self, i: usize, e: &FieldExpr) -> bool {
        match self.value(i, e) {
            V::Bool(b) => b,
            V::List(all) | V::Events(all) => all.iter().any(deep_true),
            _ => false,
        }
    }
}

fn deep_true(v: &V) -> bool {
    match v {
        V::Bool(b) => *b,
        V::List(all) | V::Events(all) => all.iter().any(deep_true),
        _ => false,
    }
}

fn events(all: impl Iterator<Item = V>) -> V {
    let all: Vec<V> = all.filter(|v| *v != V::Nil).collect();
    if all.is_empty() { V::Nil } else { V::Events(all) }
}

fn matches(v: &V, p: &Pattern) -> bool {
    match v {
        V::Text(s) => p.passes(s),
        V::List(all) | V::Events(all) if p.is_negated() => all.iter().all(|v| matches(v, p)),
        V::List(all) | V::Events(all) => all.iter().any(|v| matches(v, p)),
        _ => false,
    }
}

fn compares(l: &V, op: CompareOp, r: &V) -> bool {
    let every = op == CompareOp::NotEqual;
    if let Some(all) = l.several() {
        let one = |v: &V| compares(v, op, r);
        return if every { all.iter().all(one) } else { all.iter().any(one) };
    }
    if let Some(all) = r.several() {
        let one = |v: &V| compares(l, op, v);
        return if every { all.iter().all(one) } else { all.iter().any(one) };
    }
    match (l, r) {
        (V::Text(a), V::Text(b)) => ordered(op, a.cmp(b)),
        (V::Bool(a), V::Bool(b)) => (op == CompareOp::Equal && a == b) || (every && a != b),
        (V::Word(t, a), V::Word(u, b)) if t == u => (op == CompareOp::Equal && a == b) || (every && a != b),
        _ => match (l.number(), r.number()) {
            (Some(a), Some(b)) => a.partial_cmp(&b).map_or(every, |o| ordered(op, o)),
            _ => false,
        },
    }
}

fn ordered(op: CompareOp, o: std::cmp::Ordering) -> bool {
    match op {
        CompareOp::Equal => o.is_eq(),
        CompareOp::NotEqual => o.is_ne(),
        CompareOp::Less => o.is_lt(),
        CompareOp::LessEqual => o.is_le(),
        CompareOp::Greater => o.is_gt(),
        CompareOp::GreaterEqual => o.is_ge(),
    }
}

fn computed(op: ArithmeticOp, l: V, r: V) -> V {
    if let (V::Int(a), V::Int(b)) = (&l, &r) {
        return match op {
            ArithmeticOp::Add => V::Int(a + b),
            ArithmeticOp::Sub => V::Int(a - b),
            ArithmeticOp::Mul => V::Int(a * b),
            ArithmeticOp::Div => a.checked_div(*b).map_or(V::Nil, V::Int),
            ArithmeticOp::Mod => a.checked_rem(*b).map_or(V::Nil, V::Int),
            ArithmeticOp::Pow => panic!("powers are not generated"),
        };
    }
    let (Some(a), Some(b)) = (l.number(), r.number()) else { return V::Nil };
    V::Float(match op {
        ArithmeticOp::Add => a + b,
        ArithmeticOp::Sub => a - b,
        ArithmeticOp::Mul => a * b,
        ArithmeticOp::Div => a / b,
        ArithmeticOp::Mod => a % b,
        ArithmeticOp::Pow => a.powf(b),
    })
}

/// Attributes as they are told, and spans.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Set {
    pub attributes: Vec<(String, String)>,
    pub spans: Vec<usize>,
}

/// `None`: structural operators between several spansets.
pub fn run(t: &Trace, p: &Pipeline, input: Vec<Set>) -> Option<Vec<Set>> {
    let mut sets = input;
    for stage in &p.0 {
        sets.retain(|s| !s.spans.is_empty());
        let mut next = Vec::new();
        match stage {
            Stage::Select(_) => next = sets,
            Stage::Coalesce => {
                let mut spans: Vec<usize> = sets.into_iter().flat_map(|s| s.spans).collect();
                spans.sort_unstable();
                spans.dedup();
                next.push(Set { attributes: Vec::new(), spans });
            }
            Stage::Spans(e) => {
                for set in sets {
                    next.extend(spansets(t, e, set)?);
                }
            }
            Stage::By(e) => {
                for set in sets {
                    next.extend(groups(t, e, set));
                }
            }
            Stage::Scalar(f) => next.extend(sets.into_iter().filter_map(|s| scalar(t, f, s))),
        }
        sets = next;
    }
    sets.retain(|s| !s.spans.is_empty());
    Some(sets)
}

pub fn everything(t: &Trace) -> Vec<Set> {
    vec![Set { attributes: Vec::new(), spans: (0..t.spans.len()).collect() }]
}

fn groups(t: &Trace, e: &FieldExpr, set: Set) -> Vec<Set> {
    let mut groups: Vec<(V, Set)> = Vec::new();
    for i in set.spans {
        let key = key(t.value(i, e));
        if let Some((_, g)) = groups.iter_mut().find(|(k, _)| *k == key) {
            g.spans.push(i);
            continue;
        }
        let mut attributes = set.attributes.clone();
        attributes.push((format!("by({e})"), key.show()));
        groups.push((key, Set { attributes, spans: vec![i] }));
    }
    groups.into_iter().map(|(_, s)| s).collect()
}

/// What spans are grouped by: the first of several events.
pub fn key(v: V) -> V {
    match v {
        V::Events(all) => all[0].clone(),
        v => v,
    }
}

fn spansets(t: &Trace, e: &SpansetExpr, set: Set) -> Option<Vec<Set>> {
    Some(match e {
        SpansetExpr::Filter(None) => vec![set],
        SpansetExpr::Filter(Some(e)) => {
            vec![Set { spans: set.spans.into_iter().filter(|i| t.holds(*i, e)).collect(), ..set }]
        }
        SpansetExpr::Paren(e) => spansets(t, e, set)?,
        SpansetExpr::Pipeline(p) => run(t, p, vec![set])?,
        SpansetExpr::Operation { op, left, right } => {
            let (l, r) = (spansets(t, left, set.clone())?, spansets(t, right, set.clone())?);
            let several = l.len() > 1 || r.len() > 1;
            let spans = |sets: &[Set]| -> Vec<usize> { sets.iter().flat_map(|s| s.spans.clone()).collect() };
            let (ls, rs) = (spans(&l), spans(&r));
            let mut all: Vec<usize> = match op {
                SpansetOp::And if ls.is_empty() || rs.is_empty() => Vec::new(),
                SpansetOp::And | SpansetOp::Or => [ls, rs].concat(),
                SpansetOp::Related { .. } if several => return None,
                SpansetOp::Related { relation, side } => {
                    let r_has = |r: &usize| ls.iter().any(|l| t.related(*relation, *l, *r));
                    let l_has = |l: &usize| rs.iter().any(|r| t.related(*relation, *l, *r));
                    match side {
                        Side::Right => rs.iter().copied().filter(|r| r_has(r)).collect(),
                        Side::NotRight => rs.iter().copied().filter(|r| !r_has(r)).collect(),
                        Side::Both => {
                            let right = rs.iter().copied().filter(|r| r_has(r));
                            right.chain(ls.iter().copied().filter(|l| l_has(l))).collect()
                        }
                    }
                }
            };
            all.sort_unstable();
            all.dedup();
            vec![Set { spans: all, ..set }]
        }
    })
}

/// An aggregate compared with a number.
fn scalar(t: &Trace, f: &ScalarFilter, mut set: Set) -> Option<Set> {
    let (ScalarExpr::Aggregate(a), ScalarExpr::Literal(n)) = (&f.left, &f.right) else {
        panic!("not generated: {f}")
    };
    let value = aggregate(t, a, &set.spans);
    if !compares(&value, f.op, &V::literal(n)) {
        return None;
    }
    set.attributes.push((a.to_string(), value.show()));
    Some(set)
}

/// Everything that is a number among a value and its elements.
pub fn numbers(v: V) -> Vec<V> {
    match v {
        V::Int(_) | V::Float(_) | V::Duration(_) => vec![v],
        V::List(all) | V::Events(all) => {
            all.into_iter().filter(|v| matches!(v, V::Int(_) | V::Float(_) | V::Duration(_))).collect()
        }
        _ => Vec::new(),
    }
}

fn aggregate(t: &Trace, a: &Aggregate, spans: &[usize]) -> V {
    let Some(of) = &a.of else { return V::Int(spans.len() as i64) };
    let all: Vec<V> = spans.iter().flat_map(|i| numbers(t.value(*i, of))).collect();
    let by = |x: &&V, y: &&V| x.number().unwrap().total_cmp(&y.number().unwrap());
    let sum: f64 = all.iter().filter_map(V::number).sum();
    let (n, whole) = (all.len() as i64, sum as i64);
    let durations = all.iter().all(|v| matches!(v, V::Duration(_)));
    let ints = all.iter().all(|v| matches!(v, V::Int(_)));
    match a.op {
        _ if all.is_empty() => V::Nil,
        AggregateOp::Count => V::Int(n),
        AggregateOp::Min => all.iter().min_by(by).unwrap().clone(),
        // The first of equal ones, as for the least.
        AggregateOp::Max => all.iter().rev().max_by(by).unwrap().clone(),
        AggregateOp::Sum if durations => V::Duration(whole),
        AggregateOp::Sum if ints => V::Int(whole),
        AggregateOp::Sum => V::Float(sum),
        AggregateOp::Avg if durations => V::Duration(whole / n),
        AggregateOp::Avg => V::Float(sum / n as f64),
    }
}
