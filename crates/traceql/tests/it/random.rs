//! Random small traces and random queries about them.

use model::{
    AnyValue, Attributes, Span, SpanBatch, SpanEvent, SpanKind, SpanStatus, StatusCode, span::SpanOrigin,
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use traceql::{Field, Intrinsic, Scope, Value, ast::*};

const S: i64 = 1_000_000_000;

fn any_value() -> impl Strategy<Value = AnyValue> {
    let one = prop_oneof![
        (0i64..4).prop_map(AnyValue::Int),
        (0i64..6).prop_map(|n| AnyValue::Double(n as f64 / 2.0)),
        select(vec!["a", "b"]).prop_map(AnyValue::from),
        any::<bool>().prop_map(AnyValue::Bool),
    ];
    prop_oneof![
        6 => one.clone(),
        1 => vec(one, 0..3).prop_map(AnyValue::Array),
        1 => Just(AnyValue::Empty),
        1 => Just(AnyValue::Bytes(vec![1])),
    ]
}

fn attributes() -> impl Strategy<Value = Attributes> {
    (option::of(any_value()), option::of(any_value())).prop_map(|(p, q)| {
        let named = [("p", p), ("q", q)].into_iter().filter_map(|(k, v)| Some((k.to_owned(), v?)));
        Attributes(named.collect())
    })
}

fn event() -> impl Strategy<Value = SpanEvent> {
    let name = select(vec!["a", "b"]);
    (name, 0..3i64, attributes()).prop_map(|(name, after, attributes)| SpanEvent {
        timestamp_ns: after * S,
        name: name.to_owned(),
        attributes,
        dropped_attributes: 0,
    })
}

prop_compose! {
    /// The `i`th span of a trace of `n`: its parent is none, another one, or lost.
    fn span(i: usize, n: usize)(
        parent in prop_oneof![1 => Just(0), 5 => 1..=n as u64, 1 => Just(99)],
        start in 0..20i64,
        duration in 0..5i64,
        name in select(vec!["a", "b"]),
        kind in 0..4i32,
        status in 0..3usize,
        service in option::of(select(vec!["a", "b"])),
        (own, of_resource, of_scope) in (attributes(), attributes(), attributes()),
        events in vec(event(), 0..3),
    ) -> (Span, SpanOrigin) {
        let mut origin = SpanOrigin::default();
        origin.resource.attributes = of_resource;
        if let Some(s) = service {
            origin.resource.attributes.push("service.name", s);
        }
        origin.scope.attributes = of_scope;
        let at = |e: SpanEvent| SpanEvent { timestamp_ns: e.timestamp_ns + start * S, ..e };
        let span = Span {
            span_id: (i as u64 + 1).to_be_bytes(),
            parent_span_id: parent.to_be_bytes(),
            name: name.to_owned(),
            kind: SpanKind::from_number(kind),
            start_ns: start * S,
            end_ns: (start + duration) * S,
            attributes: own,
            events: events.into_iter().map(at).collect(),
            status: SpanStatus {
                code: [StatusCode::Unset, StatusCode::Ok, StatusCode::Error][status],
                message: String::new(),
            },
            ..Span::default()
        };
        (span, origin)
    }
}

fn trace() -> impl Strategy<Value = Vec<(Span, SpanOrigin)>> {
    (1..7usize).prop_flat_map(|n| (0..n).map(|i| span(i, n)).collect::<Vec<_>>())
}

/// Up to three traces, with ids from 1.
pub fn traces() -> impl Strategy<Value = SpanBatch> {
    vec(trace(), 1..4).prop_map(|traces| {
        let mut batch = SpanBatch::default();
        for (i, trace) in traces.into_iter().enumerate() {
            for (span, origin) in trace {
                let trace_id = (i as u128 + 1).to_be_bytes();
                batch.spans.push(Span { trace_id, origin: batch.origins.len() as u32, ..span });
                batch.origins.push(origin);
            }
        }
        batch
    })
}

fn any_attribute() -> impl Strategy<Value = Field> {
    let scope = prop_oneof![6 => select(Scope::ALL.to_vec()), 4 => select(vec![Scope::Any, Scope::Span])];
    (scope, select(vec!["p", "q"]), prop::bool::weighted(0.15))
        .prop_map(|(scope, name, parent)| Field::Attribute { scope, parent, name: name.to_owned() })
}

pub fn numeric_field() -> impl Strategy<Value = Field> {
    prop_oneof![
        2 => any_attribute(),
        3 => select(vec![
            Intrinsic::Duration,
            Intrinsic::TraceDuration,
            Intrinsic::ChildCount,
            Intrinsic::NestedSetLeft,
            Intrinsic::NestedSetRight,
            Intrinsic::NestedSetParent,
            Intrinsic::EventTimeSinceStart,
        ])
        .prop_map(Field::Intrinsic),
    ]
}

fn text_field() -> impl Strategy<Value = Field> {
    prop_oneof![
        any_attribute(),
        Just(Field::attribute(Scope::Resource, "service.name")),
        select(vec![
            Intrinsic::Name,
            Intrinsic::RootName,
            Intrinsic::RootServiceName,
            Intrinsic::EventName,
            Intrinsic::StatusMessage,
        ])
        .prop_map(Field::Intrinsic),
    ]
}

pub fn any_field() -> impl Strategy<Value = Field> {
    prop_oneof![
        numeric_field(),
        text_field(),
        select(vec![Intrinsic::Kind, Intrinsic::Status]).prop_map(Field::Intrinsic)
    ]
}

fn literal(v: Value<'static>) -> FieldExpr {
    FieldExpr::Literal(v)
}

fn boxed(e: FieldExpr) -> Box<FieldExpr> {
    Box::new(FieldExpr::Paren(Box::new(e)))
}

fn number() -> impl Strategy<Value = Value<'static>> {
    prop_oneof![
        (0i64..5).prop_map(Value::Int),
        (0i64..6).prop_map(|n| Value::Float(n as f64 / 2.0)),
        (0i64..5).prop_map(|n| Value::Duration(n * S)),
    ]
}

fn numeric() -> impl Strategy<Value = FieldExpr> {
    let leaf = prop_oneof![
        3 => numeric_field().prop_map(FieldExpr::Field),
        2 => number().prop_map(literal),
    ];
    leaf.prop_recursive(2, 4, 2, |inner| {
        let op = select(vec![
            ArithmeticOp::Add,
            ArithmeticOp::Sub,
            ArithmeticOp::Mul,
            ArithmeticOp::Div,
            ArithmeticOp::Mod,
        ]);
        prop_oneof![
            (op, inner.clone(), inner.clone()).prop_map(|(op, l, r)| FieldExpr::Binary {
                op: BinaryOp::Arithmetic(op),
                left: boxed(l),
                right: boxed(r)
            }),
            inner.prop_map(|e| FieldExpr::Negate(boxed(e))),
        ]
    })
}

fn compare(op: CompareOp, left: FieldExpr, right: FieldExpr) -> FieldExpr {
    FieldExpr::Binary { op: BinaryOp::Compare(op), left: boxed(left), right: boxed(right) }
}

fn test() -> impl Strategy<Value = FieldExpr> {
    let all = select(CompareOp::ALL.to_vec());
    let equality = select(vec![CompareOp::Equal, CompareOp::NotEqual]);
    let text = select(vec!["a", "b", ""]).prop_map(|s| literal(Value::text(s)));
    let pattern = (select(vec!["a", "a|b", ".*", "[^a]?"]), any::<bool>());
    prop_oneof![
        4 => (all.clone(), numeric(), numeric()).prop_map(|(op, l, r)| compare(op, l, r)),
        3 => (all.clone(), text_field(), text).prop_map(|(op, f, t)| compare(op, FieldExpr::Field(f), t)),
        1 => (all, any_attribute(), any_attribute())
            .prop_map(|(op, l, r)| compare(op, FieldExpr::Field(l), FieldExpr::Field(r))),
        2 => (text_field(), pattern).prop_map(|(f, (p, negated))| FieldExpr::Match {
            left: Box::new(FieldExpr::Field(f)),
            pattern: Pattern::new(p, negated).unwrap()
        }),
        1 => (equality.clone(), 0..4i32).prop_map(|(op, k)| compare(
            op,
            FieldExpr::Field(Field::Intrinsic(Intrinsic::Kind)),
            literal(Value::Kind(SpanKind::from_number(k)))
        )),
        1 => equality.clone().prop_map(|op| compare(
            op,
            FieldExpr::Field(Field::Intrinsic(Intrinsic::Status)),
            literal(Value::Status(StatusCode::Error))
        )),
        1 => (equality, any_attribute())
            .prop_map(|(op, f)| compare(op, FieldExpr::Field(f), literal(Value::Nil))),
        1 => any_attribute().prop_map(FieldExpr::Field),
        1 => Just(compare(
            CompareOp::Less,
            FieldExpr::Field(Field::Intrinsic(Intrinsic::NestedSetParent)),
            literal(Value::Int(0))
        )),
    ]
}

pub fn condition() -> impl Strategy<Value = FieldExpr> {
    test().prop_recursive(2, 4, 2, |inner| {
        let op = select(vec![BinaryOp::And, BinaryOp::Or]);
        prop_oneof![
            3 => (op, inner.clone(), inner.clone()).prop_map(|(op, l, r)| FieldExpr::Binary {
                op,
                left: boxed(l),
                right: boxed(r)
            }),
            1 => inner.prop_map(|e| FieldExpr::Not(boxed(e))),
        ]
    })
}

fn spansets() -> impl Strategy<Value = SpansetExpr> {
    let filter = prop_oneof![
        1 => Just(SpansetExpr::Filter(None)),
        6 => condition().prop_map(|e| SpansetExpr::Filter(Some(e))),
    ];
    filter.prop_recursive(2, 4, 2, |inner| {
        let pair = (select(SpansetOp::ALL.to_vec()), inner.clone(), inner.clone());
        prop_oneof![
            4 => pair.prop_map(|(op, l, r)| SpansetExpr::Operation {
                op,
                left: Box::new(SpansetExpr::Paren(Box::new(l))),
                right: Box::new(SpansetExpr::Paren(Box::new(r)))
            }),
            1 => (inner, stage())
                .prop_map(|(e, s)| SpansetExpr::Pipeline(Pipeline(vec![Stage::Spans(e), s]))),
        ]
    })
}

fn aggregate() -> impl Strategy<Value = Aggregate> {
    let of = select(vec![AggregateOp::Avg, AggregateOp::Max, AggregateOp::Min, AggregateOp::Sum]);
    prop_oneof![
        Just(Aggregate { op: AggregateOp::Count, of: None }),
        (of, numeric_field()).prop_map(|(op, f)| Aggregate { op, of: Some(FieldExpr::Field(f)) }),
    ]
}

fn stage() -> impl Strategy<Value = Stage> {
    let scalar = (select(CompareOp::ALL.to_vec()), aggregate(), number());
    prop_oneof![
        2 => condition().prop_map(|e| Stage::Spans(SpansetExpr::Filter(Some(e)))),
        2 => scalar.prop_map(|(op, a, n)| Stage::Scalar(ScalarFilter {
            op,
            left: ScalarExpr::Aggregate(a),
            right: ScalarExpr::Literal(n)
        })),
        2 => any_field().prop_map(|f| Stage::By(FieldExpr::Field(f))),
        1 => Just(Stage::Coalesce),
        1 => any_field().prop_map(|f| Stage::Select(vec![f])),
    ]
}

pub fn pipeline() -> impl Strategy<Value = Pipeline> {
    (spansets(), vec(stage(), 0..3)).prop_map(|(first, rest)| {
        let mut stages = vec![Stage::Spans(first)];
        stages.extend(rest);
        Pipeline(stages)
    })
}

pub fn function() -> impl Strategy<Value = Function> {
    let by = || vec(any_field(), 0..3);
    let op = select(vec![OverTimeOp::Min, OverTimeOp::Max, OverTimeOp::Avg, OverTimeOp::Sum]);
    prop_oneof![
        by().prop_map(|by| Function::Rate { by }),
        by().prop_map(|by| Function::CountOverTime { by }),
        (op, numeric_field(), by()).prop_map(|(op, of, by)| Function::OverTime { op, of, by }),
        (numeric_field(), by()).prop_map(|(of, by)| Function::HistogramOverTime { of, by }),
    ]
}
