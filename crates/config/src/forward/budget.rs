//! `budget`: how much a link carries, and what is done to what does not fit.

use forward::budget::{Budget, Ladder, Shares};

use super::kinds::positive;
use crate::{check::Checker, prometheus::section::Section};

/// The budget of a destination, if it has one.
pub(super) fn budget(s: &mut Section<'_>, c: &mut Checker<'_>) -> Option<Budget> {
    let mut q = s.section("budget", c)?;
    let rate = q.size("bytes_per_second", c);
    let Some(rate) = rate.filter(|r| *r > 0) else {
        q.wrong(c, "needs bytes_per_second, as 32KB for a link of 256 kbit/s");
        return None;
    };
    let d = Budget::new(rate);
    let link = q.text("link", c).unwrap_or(d.link);
    let quantum = positive(&mut q, "quantum", c).unwrap_or(d.quantum);
    let guaranteed = q.section("guaranteed", c).map_or(d.guaranteed, |g| shares(g, c));
    let Ladder { thin_after, drop_after, sample_traces, sample_logs, max_steps, .. } = d.ladder.clone();
    // Zero leaves metrics as they are.
    let aggregate = match q.duration("aggregate", c) {
        None => d.ladder.aggregate,
        Some(every) => Some(every).filter(|e| !e.is_zero()),
    };
    let ladder = Ladder {
        thin_after: positive(&mut q, "thin_after", c).unwrap_or(thin_after),
        aggregate,
        sample_traces: q.flag("sample_traces", c).unwrap_or(sample_traces),
        sample_logs: q.flag("sample_logs", c).unwrap_or(sample_logs),
        max_steps: q.count("max_steps", c).map_or(max_steps, |n| u8::try_from(n).unwrap_or(u8::MAX)),
        drop_after: positive(&mut q, "drop_after", c).unwrap_or(drop_after),
    };
    if ladder.max_steps > 16 {
        q.problem("max_steps", c, "must be at most 16, which keep one of 65,536");
    }
    q.finish(c);
    Some(Budget { link, quantum, guaranteed, ladder, bytes_per_second: rate })
}

fn shares(mut s: Section<'_>, c: &mut Checker<'_>) -> Shares {
    let d = Shares::default();
    let mut percent = |key: &str, or: u8, c: &mut Checker<'_>| {
        s.count(key, c).map_or(or, |n| u8::try_from(n).unwrap_or(u8::MAX))
    };
    let found = Shares {
        metrics: percent("metrics", d.metrics, c),
        traces: percent("traces", d.traces, c),
        logs: percent("logs", d.logs, c),
    };
    let sum = u32::from(found.metrics) + u32::from(found.traces) + u32::from(found.logs);
    if sum > 50 {
        s.wrong(c, format!("is {sum} % together, at most 50 % may be; the rest goes by priority"));
    }
    s.finish(c);
    found
}
