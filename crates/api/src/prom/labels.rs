//! `series`, `labels`, `label/…/values`, `metadata`.

use axum::extract::Path;
use base::{MemoryBudget, memory::Use};
use contract::{
    Coverage, LabelNamesRequest, LabelValuesRequest, MetadataRequest, NamedField, QueryLimits, Scope,
};
use model::{Signal, TimeRange};

use super::{Answered, Ask, PromError, TRUNCATED, json::Writer, selectors};
use crate::{Error, params::bad};

pub async fn series(ask: Ask) -> Result<Answered, PromError> {
    let selectors = selectors(&ask, "match[]")?;
    if selectors.is_empty() {
        return Err(Error::invalid("no match[] parameter provided").into());
    }
    let (range, limit) = (time_range(&ask)?, ask.params.limit("limit")?);
    let (select, tenants) = (ask.reads.select.clone(), ask.tenants.clone());
    let run = |limits: QueryLimits| async move {
        let budget = limits.memory.clone();
        let scope = Scope { tenants, range, limits };
        let request = LabelNamesRequest { scope, signal: Signal::METRICS, selectors, limit: one_more(limit) };
        let (mut found, coverage) = select.label_sets(request).await?;
        let warnings = cut(&mut found, limit);
        let expected = found.iter().map(|l| 64 + 3 * l.packed_len() as u64).sum();
        let memory = Some(budget.reserve(Use::Query, expected)?);
        let mut w = Writer::default();
        w.list(&found, |w, l| {
            w.labels(l);
        });
        Ok(Answered { data: w.0, warnings, infos: Vec::new(), coverage: Some(coverage), memory })
    };
    Ok(ask.run(run).await?)
}

pub async fn names(ask: Ask) -> Result<Answered, PromError> {
    let selectors = selectors(&ask, "match[]")?;
    let (range, limit) = (time_range(&ask)?, ask.params.limit("limit")?);
    let (select, tenants) = (ask.reads.select.clone(), ask.tenants.clone());
    let run = |limits: QueryLimits| async move {
        let budget = limits.memory.clone();
        let scope = Scope { tenants, range, limits };
        let request = LabelNamesRequest { scope, signal: Signal::METRICS, selectors, limit: one_more(limit) };
        let (found, coverage) = select.label_names(request).await?;
        strings(found, limit, coverage, &budget)
    };
    Ok(ask.run(run).await?)
}

pub async fn values(Path(name): Path<String>, ask: Ask) -> Result<Answered, PromError> {
    let name = unescape(&name);
    if name.is_empty() {
        return Err(Error::invalid(format!("invalid label name: {name:?}")).into());
    }
    let selectors = selectors(&ask, "match[]")?;
    let (range, limit) = (time_range(&ask)?, ask.params.limit("limit")?);
    let (select, tenants) = (ask.reads.select.clone(), ask.tenants.clone());
    let run = |limits: QueryLimits| async move {
        let budget = limits.memory.clone();
        let scope = Scope { tenants, range, limits };
        let field = NamedField::Label(name);
        let request =
            LabelValuesRequest { scope, signal: Signal::METRICS, field, selectors, limit: one_more(limit) };
        let (found, coverage) = select.label_values(request).await?;
        strings(found, limit, coverage, &budget)
    };
    Ok(ask.run(run).await?)
}

pub async fn metadata(ask: Ask) -> Result<Answered, PromError> {
    let limit = count(&ask, "limit")?;
    let per_metric = ask.params.limit("limit_per_metric")?;
    let family = ask.params.get("metric").map(str::to_owned);
    let (select, tenants) = (ask.reads.select.clone(), ask.tenants.clone());
    let run = |limits| async move {
        let scope = Scope { tenants, range: TimeRange::ALL, limits };
        let (found, coverage) = select.metadata(MetadataRequest { scope, family, limit }).await?;
        let mut w = Writer::default();
        w.raw("{");
        // Sorted by family, so that equal ones (of several clusters) stand together.
        for (i, same) in found.chunk_by(|a, b| a.family == b.family).enumerate() {
            let Some(first) = same.first() else { continue };
            if i > 0 {
                w.raw(",");
            }
            let shown = same.get(..per_metric.unwrap_or(same.len()).min(same.len())).unwrap_or(same);
            w.string(&first.family).raw(":").list(shown, |w, m| {
                w.raw("{\"type\":").string(m.kind.as_str()).raw(",\"help\":").string(&m.help);
                w.raw(",\"unit\":").string(&m.unit).raw("}");
            });
        }
        w.raw("}");
        Ok(Answered { data: w.0, coverage: Some(coverage), ..Answered::default() })
    };
    Ok(ask.run(run).await?)
}

fn strings(
    mut found: Vec<String>,
    limit: Option<usize>,
    coverage: Coverage,
    budget: &MemoryBudget,
) -> Result<Answered, Error> {
    let warnings = cut(&mut found, limit);
    let expected = found.iter().map(|s| 32 + 2 * s.len() as u64).sum();
    let memory = Some(budget.reserve(Use::Query, expected)?);
    let mut w = Writer::default();
    w.strings(&found);
    Ok(Answered { data: w.0, warnings, infos: Vec::new(), coverage: Some(coverage), memory })
}

/// `start` and `end`, both included; all of time where absent.
pub(super) fn time_range(ask: &Ask) -> Result<TimeRange, Error> {
    let (start, end) = (ask.params.bound_ms("start")?, ask.params.bound_ms("end")?);
    if let (Some(s), Some(e)) = (start, end)
        && e < s
    {
        let text = ask.params.get("end").unwrap_or_default();
        return Err(bad("end", text, "end timestamp must not be before start timestamp"));
    }
    let all = TimeRange::ALL;
    let asked = TimeRange::from_ms_inclusive(start.unwrap_or(i64::MIN), end.unwrap_or(i64::MAX));
    Ok(TimeRange::new(
        if start.is_some() { asked.start } else { all.start },
        if end.is_some() { asked.end } else { all.end },
    ))
}

/// A limit that 0 keeps nothing of; negative ones are none. Only metadata has it so.
pub(super) fn count(ask: &Ask, name: &str) -> Result<Option<usize>, Error> {
    let Some(text) = ask.params.get(name) else { return Ok(None) };
    match text.parse::<i64>() {
        Ok(n) => Ok(usize::try_from(n).ok()),
        Err(_) => Err(bad(name, text, "it must be a number")),
    }
}

/// One more than asked for shows whether the list was cut.
fn one_more(limit: Option<usize>) -> Option<usize> {
    limit.map(|n| n.saturating_add(1))
}

fn cut<T>(found: &mut Vec<T>, limit: Option<usize>) -> Vec<String> {
    match limit {
        Some(n) if found.len() > n => {
            found.truncate(n);
            vec![TRUNCATED.to_owned()]
        }
        _ => Vec::new(),
    }
}

/// Undoes the escaping by which names with any characters travel in a path: `U__` before the name, `__` for
/// an underscore, `_2e_` for the code point in hex (`prometheus/common`, "values escaping").
fn unescape(name: &str) -> String {
    let Some(mut rest) = name.strip_prefix("U__") else { return name.to_owned() };
    let mut out = String::with_capacity(rest.len());
    while let Some(at) = rest.find('_') {
        let (plain, tail) = rest.split_at(at);
        out.push_str(plain);
        let tail = &tail[1..];
        let Some(end) = tail.find('_') else { return name.to_owned() };
        let code = &tail[..end];
        match (code.is_empty(), u32::from_str_radix(code, 16).ok().and_then(char::from_u32)) {
            (true, _) => out.push('_'),
            (false, Some(c)) => out.push(c),
            (false, None) => return name.to_owned(),
        }
        rest = &tail[end + 1..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escaped_names_are_read_and_broken_ones_taken_as_they_are() {
        assert_eq!(unescape("service"), "service");
        assert_eq!(unescape("U__service_2e_name"), "service.name");
        assert_eq!(unescape("U__a__b"), "a_b");
        assert_eq!(unescape("U__a_zz_b"), "U__a_zz_b");
        assert_eq!(unescape("U__a_2e"), "U__a_2e");
    }

    proptest! {
        #[test]
        fn no_name_makes_unescaping_panic(name in "(U__)?\\PC{0,20}") {
            let _ = unescape(&name);
        }
    }
}
