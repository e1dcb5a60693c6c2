//! Which spans are read: calls and what answers them, of the traces whose ids end in so many zero bits.
//!
//! The last seven bytes of a trace id are random (W3C Trace Context Level 2, random-trace-id flag; the ids of older
//! senders are random there too), so every node chooses the same traces without being told which.

use base::memory::{Reservation, Use};
use contract::{
    Comparison, Coverage, Scope, Select, SpanCondition, SpanField, SpanParts, SpanPattern, SpanTest,
    SpanValue, SpansRequest,
};
use futures::StreamExt;
use model::SpanKind;
use promql::{QueryContext, SampleValue, Value};

use super::paired::Halves;
use crate::Error;

/// Spans that are wanted at most; where more come, every second trace is let go of.
const WANTED: usize = 200_000;
/// One trace in 65,536.
const MOST_BITS: u32 = 16;

pub(super) struct Sampled {
    pub halves: Halves,
    /// Traces are one in 2^bits.
    pub bits: u32,
    pub coverage: Coverage,
    pub memory: Reservation,
}

pub(super) async fn read(
    select: &dyn Select,
    promql: &promql::Engine,
    scope: Scope,
) -> Result<Sampled, Error> {
    let mut memory = scope.limits.memory.reserve(Use::Query, 0)?;
    let (expected, mut coverage) = expected(promql, &scope).await?;
    let mut bits = 0;
    while bits < MOST_BITS && expected / f64::from(1u32 << bits) > WANTED as f64 / 2.0 {
        bits += 1;
    }
    let request =
        SpansRequest { any_of: alternatives(bits)?, wanted: SpanParts::least(), ..SpansRequest::new(scope) };
    let mut found = select.spans(request).await?;
    let mut halves = Halves::default();
    while let Some(batch) = found.items.next().await {
        halves.add(&batch?, |id| is_chosen(id, bits));
        while halves.len() > WANTED && bits < MOST_BITS {
            bits += 1;
            halves.keep(|id| is_chosen(id, bits));
        }
        let bytes = halves.bytes();
        if bytes > memory.bytes() {
            memory.grow(bytes - memory.bytes())?;
        }
    }
    coverage.merge(found.coverage());
    Ok(Sampled { halves, bits, coverage, memory })
}

/// Spans of calls in the range, as the metrics made of spans count them; 0 where there are none.
async fn expected(promql: &promql::Engine, scope: &Scope) -> Result<(f64, Coverage), Error> {
    let (start_ms, end_ms) = (scope.range.start.0 / 1_000_000, scope.range.end.0 / 1_000_000);
    let width_ms = end_ms.saturating_sub(start_ms).max(1);
    let kinds = "SPAN_KIND_(CLIENT|SERVER|PRODUCER|CONSUMER)";
    let query =
        format!("sum(increase(traces_spanmetrics_calls_total{{span_kind=~\"{kinds}\"}}[{width_ms}ms]))");
    let context = QueryContext { limits: scope.limits.clone(), ..QueryContext::new(scope.tenants.clone()) };
    let answer = promql.instant(&query, end_ms, &context).await?;
    let Value::Vector(found) = answer.value else { return Ok((0.0, answer.coverage)) };
    let count = found.first().map_or(0.0, |s| if let SampleValue::Float(v) = s.value { v } else { 0.0 });
    Ok((count, answer.coverage))
}

fn alternatives(bits: u32) -> Result<Vec<Vec<SpanCondition>>, Error> {
    let sample = match bits {
        0 => None,
        _ => {
            Some(SpanCondition::new(SpanField::TraceId, SpanTest::Matches(SpanPattern::new(pattern(bits))?)))
        }
    };
    let of_kind = |kind| {
        let is = SpanTest::Is(Comparison::Equal, SpanValue::Kind(kind));
        [SpanCondition::new(SpanField::Kind, is)].into_iter().chain(sample.clone()).collect()
    };
    Ok([SpanKind::Client, SpanKind::Server, SpanKind::Producer, SpanKind::Consumer].map(of_kind).into())
}

/// Ids in hexadecimal whose last `bits` bits are zero.
fn pattern(bits: u32) -> String {
    let digits = ["", "[02468ace]", "[048c]", "[08]"].get((bits % 4) as usize).copied().unwrap_or_default();
    format!(".*{digits}{}", "0".repeat((bits / 4) as usize))
}

fn is_chosen(id: &[u8; 16], bits: u32) -> bool {
    u128::from_be_bytes(*id) & ((1 << bits) - 1) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_chooses_what_is_chosen_and_one_in_so_many() {
        for bits in 0..=MOST_BITS {
            let pattern = SpanPattern::new(pattern(bits)).unwrap();
            let mut chosen = 0;
            for n in 0..1u128 << 16 {
                // Beginnings that are no chance at all, as with ids that begin with a time.
                let id = (0x6736_0000_u128 << 96 | n).to_be_bytes();
                let text: String = id.iter().map(|b| format!("{b:02x}")).collect();
                assert_eq!(pattern.matches(&text), is_chosen(&id, bits), "{text} {bits}");
                chosen += u32::from(is_chosen(&id, bits));
            }
            assert_eq!(chosen, 1 << (16 - bits));
        }
    }
}
