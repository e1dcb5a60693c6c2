//! Spans: which are found, how much of each, and what stands in their fields.

use std::collections::BTreeSet;

use contract::{
    Comparison, Scope, Select, SpanCondition, SpanField, SpanFilter, SpanKeysRequest, SpanParts, SpanPattern,
    SpanScope, SpanTest, SpanValue, SpanValuesRequest, SpansRequest, Tenants,
};
use model::{AnyValue, Span, SpanKind, StatusCode, TenantId, TimeRange, span::SpanOrigin};

use super::holds;

fn condition(field: SpanField, test: SpanTest) -> SpanCondition {
    SpanCondition::new(field, test)
}

fn attribute(scope: SpanScope, key: &str) -> SpanField {
    SpanField::Attribute(scope, key.to_owned())
}

fn n() -> SpanField {
    attribute(SpanScope::Span, "n")
}

fn is(value: i64) -> SpanTest {
    SpanTest::Is(Comparison::Equal, SpanValue::Int(value))
}

fn some_parts() -> SpanParts {
    SpanParts { attributes: Some(["n".to_owned(), "tags".to_owned()].into()), events: false, links: true }
}

/// Of every kind of field and test one that tells the spans of [`super::units`] apart, alone and together.
fn alternatives() -> Vec<Vec<Vec<SpanCondition>>> {
    use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    let text = |t: &str| SpanValue::Text(t.to_owned());
    let test = |how, value| SpanTest::Is(how, value);
    let pattern = |p: &str| SpanPattern::new(p).expect("a constant");
    let scoped = |scope, key, how, value| condition(attribute(scope, key), test(how, value));
    let single = vec![
        scoped(SpanScope::Span, "n", Equal, SpanValue::Int(5)),
        scoped(SpanScope::Span, "n", GreaterOrEqual, SpanValue::Float(8.5)),
        scoped(SpanScope::Span, "n", NotEqual, SpanValue::Int(3)),
        scoped(SpanScope::Any, "n", Less, SpanValue::Int(2)),
        scoped(SpanScope::Span, "ratio", LessOrEqual, SpanValue::Int(1)),
        scoped(SpanScope::Span, "ratio", Equal, SpanValue::Float(0.5)),
        scoped(SpanScope::Span, "cached", Equal, SpanValue::Bool(true)),
        scoped(SpanScope::Span, "tags", Equal, text("t2")),
        scoped(SpanScope::Any, "tags", NotEqual, text("x")),
        scoped(SpanScope::Resource, "service.name", Equal, text("db")),
        scoped(SpanScope::Any, "service.name", NotEqual, text("db")),
        scoped(SpanScope::Span, "service.name", Equal, text("db")),
        scoped(SpanScope::Event, "exception.type", Equal, text("Timeout")),
        scoped(SpanScope::Link, "why", Equal, text("retry")),
        scoped(SpanScope::Any, "why", Equal, text("retry")),
        scoped(SpanScope::Instrumentation, "team", Greater, SpanValue::Int(0)),
        condition(attribute(SpanScope::Link, "why"), SpanTest::Absent),
        condition(attribute(SpanScope::Any, "team"), SpanTest::Exists),
        condition(SpanField::Name, SpanTest::Matches(pattern("GET [12]"))),
        condition(SpanField::Name, SpanTest::MatchesNot(pattern("GET .*"))),
        condition(SpanField::Name, test(Equal, text("SELECT 2"))),
        condition(SpanField::Kind, test(NotEqual, SpanValue::Kind(SpanKind::Server))),
        condition(SpanField::Status, test(Equal, SpanValue::Status(StatusCode::Error))),
        condition(SpanField::StatusMessage, test(Equal, text("m"))),
        condition(SpanField::Duration, test(Greater, SpanValue::Int(9_000_000))),
        condition(SpanField::SpanId, test(Equal, text("0202020202020202"))),
        condition(SpanField::TraceId, test(Less, text("05"))),
        condition(SpanField::ParentId, SpanTest::Exists),
        condition(SpanField::Root, test(Equal, SpanValue::Bool(true))),
        condition(SpanField::TraceState, SpanTest::Exists),
        condition(SpanField::ScopeName, test(Equal, text("lib.db"))),
        condition(SpanField::ScopeVersion, SpanTest::Absent),
        condition(SpanField::EventName, test(Equal, text("exception"))),
        condition(SpanField::EventOffset, test(Less, SpanValue::Int(5_000_000))),
        condition(SpanField::LinkTraceId, test(Equal, text(&"09".repeat(16)))),
        condition(SpanField::LinkSpanId, SpanTest::Exists),
    ];
    let error = condition(SpanField::Status, test(Equal, SpanValue::Status(StatusCode::Error)));
    let slow = condition(SpanField::Duration, test(GreaterOrEqual, SpanValue::Int(12_000_000)));
    let db = scoped(SpanScope::Resource, "service.name", Equal, text("db"));
    let nothing = scoped(SpanScope::Any, "nothing", Equal, text("x"));
    let together = [
        vec![vec![error.clone(), db.clone()]],
        vec![vec![error.clone()], vec![slow.clone()]],
        vec![vec![nothing.clone()], vec![db, slow], vec![nothing.clone(), error]],
        vec![vec![nothing]],
    ];
    single.into_iter().map(|c| vec![vec![c]]).chain(together).collect()
}

async fn all_spans(s: &impl Select, request: SpansRequest) -> Vec<(Span, SpanOrigin)> {
    let wanted = request.wanted.clone();
    let (pieces, _) = s.spans(request).await.expect("spans").collect().await.expect("spans");
    let mut out = Vec::new();
    for piece in pieces {
        for mut span in piece.spans {
            let origin = piece.origins[span.origin as usize].clone();
            // More may come than is wanted.
            wanted.trim(&mut span);
            span.origin = 0;
            out.push((span, origin));
        }
    }
    out.sort_by_cached_key(|(s, o)| (s.start_ns, s.trace_id, s.span_id, format!("{s:?}{o:?}")));
    out
}

pub(super) async fn same_spans(
    subject: &impl Select,
    oracle: &impl Select,
    tenant: &TenantId,
    range: TimeRange,
) {
    let base = |filters: Vec<SpanFilter>, max_traces| SpansRequest {
        filters,
        max_traces,
        ..SpansRequest::new(Scope::new(Tenants::one(tenant.clone()), range))
    };
    let mut requests = vec![
        base(vec![], None),
        base(vec![], Some(3)),
        base(vec![SpanFilter::Service("db".into())], Some(2)),
        base(vec![SpanFilter::Name("GET 1".into()), SpanFilter::Kind(SpanKind::Server)], None),
        base(vec![SpanFilter::MinDurationNs(9_000_000), SpanFilter::MaxDurationNs(14_000_000)], None),
        base(vec![SpanFilter::Error(true)], None),
        base(vec![SpanFilter::Error(false), SpanFilter::Attribute("n".into(), AnyValue::Int(5))], None),
        base(vec![SpanFilter::Attribute("n".into(), "6".into())], None),
        base(vec![SpanFilter::Attribute("exception.type".into(), "Timeout".into())], Some(1)),
        base(vec![SpanFilter::Attribute("service.name".into(), "web".into())], None),
    ];
    // Over everything all of them, elsewhere some.
    let step = if range == TimeRange::ALL { 1 } else { 5 };
    for (i, any_of) in alternatives().into_iter().enumerate().step_by(step) {
        let limited = [None, Some(2), None][i % 3];
        let wanted = if i % 4 == 3 { some_parts() } else { SpanParts::everything() };
        requests.push(SpansRequest { any_of, wanted, ..base(vec![], limited) });
    }
    let kept = vec![SpanFilter::Kind(SpanKind::Client)];
    requests.push(SpansRequest { any_of: vec![vec![condition(n(), is(5))], vec![]], ..base(kept, Some(3)) });
    let everything = all_spans(oracle, base(vec![], None)).await;
    let ids: BTreeSet<[u8; 16]> = everything.iter().step_by(3).map(|(s, _)| s.trace_id).collect();
    if !ids.is_empty() {
        let mut by_id = base(vec![], None);
        by_id.trace_ids = ids.into_iter().chain([[0xee; 16]]).collect();
        requests.push(by_id.clone());
        by_id.any_of =
            vec![vec![condition(SpanField::Root, SpanTest::Is(Comparison::Equal, SpanValue::Bool(true)))]];
        by_id.wanted = SpanParts::least();
        requests.push(by_id);
    }
    for request in requests {
        let want = all_spans(oracle, request.clone()).await;
        let got = all_spans(subject, request.clone()).await;
        let asked = (&request.filters, &request.any_of, &request.trace_ids, request.max_traces);
        assert_eq!(got, want, "spans {asked:?} of {tenant} in {range:?}");
    }
}

/// Asks both which attributes there are and what stands in fields.
pub(super) async fn same_fields(
    subject: &impl Select,
    oracle: &impl Select,
    tenant: &TenantId,
    range: TimeRange,
) {
    let scope = Scope::new(Tenants::one(tenant.clone()), range);
    for of in SpanScope::ALL {
        let request = SpanKeysRequest { scope: scope.clone(), of, limit: None };
        let want = oracle.span_keys(request.clone()).await.expect("keys").0;
        let got = subject.span_keys(request).await.expect("keys").0;
        holds(&got, &want, range, &format!("keys of {of:?} of {tenant} in {range:?}"));
    }
    let keys = ["n", "ratio", "cached", "tags", "service.name", "exception.type", "why", "team", "nothing"];
    let attributes = keys.iter().flat_map(|k| SpanScope::ALL.map(|s| attribute(s, k)));
    let fields = attributes.chain([
        SpanField::Name,
        SpanField::Kind,
        SpanField::Status,
        SpanField::Root,
        SpanField::StatusMessage,
        SpanField::ScopeName,
        SpanField::EventName,
        SpanField::LinkTraceId,
    ]);
    let step = if range == TimeRange::ALL { 1 } else { 9 };
    for field in fields.step_by(step) {
        let several = [vec![], vec![vec![condition(n(), SpanTest::Is(Comparison::Less, SpanValue::Int(4)))]]];
        for any_of in several {
            let request =
                SpanValuesRequest { scope: scope.clone(), field: field.clone(), any_of, limit: None };
            let what = format!("values of {field:?} of {tenant} in {range:?}, {:?}", request.any_of);
            let want = oracle.span_values(request.clone()).await.expect("values").0;
            let got = subject.span_values(request).await.expect("values").0;
            holds(&got, &want, range, &what);
        }
    }
}
