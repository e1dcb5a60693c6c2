//! Parameters of Tempo's API, read and checked. Messages begin as Tempo's do, with the name of what is wrong.

use std::time::Duration;

use model::{TimeRange, TimestampNs};

use crate::{
    Error,
    params::{Params, duration, rfc3339_ns},
};

pub(super) const SECOND_NS: i64 = 1_000_000_000;
const HOUR_NS: i64 = 3600 * SECOND_NS;

/// Samples of one series at most, as in Tempo.
const MAX_STEPS: i64 = 10_000;

/// Bytes a query may have, as in Tempo. Longer: more time in the parser before anything is refused.
const MAX_QUERY_BYTES: usize = 128 << 10;

/// What is wrong with a parameter.
pub(super) fn invalid(name: &str, value: &str, reason: &str) -> Error {
    let short: String = value.chars().take(100).collect();
    Error::invalid(format!("invalid {name}: {short:?}: {reason}"))
}

/// The query, under the name that all of Tempo's paths know.
pub(super) fn query(params: &Params) -> Option<&str> {
    params.get("q").map(str::trim).filter(|q| !q.is_empty())
}

/// A query that is parsed, or why it cannot be.
pub(super) fn parsed(text: &str) -> Result<traceql::Query, Error> {
    short_enough(text)?;
    traceql::parse(text).map_err(|e| Error::invalid(format!("invalid TraceQL query: {e}")))
}

/// Refuses what is too long to be looked at.
pub(super) fn short_enough(query: &str) -> Result<(), Error> {
    match query.len() {
        n if n > MAX_QUERY_BYTES => Err(Error::invalid(format!(
            "invalid TraceQL query: it has {n} bytes, at most {MAX_QUERY_BYTES} are read"
        ))),
        _ => Ok(()),
    }
}

/// A whole number of 32 bits.
pub(super) fn whole(params: &Params, name: &str) -> Result<Option<u32>, Error> {
    let Some(text) = params.get(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| invalid(name, text, "it must be a whole number below 2^32"))
}

/// Seconds since 1970 of both ends of a range; 0 is as good as none.
pub(super) fn seconds(params: &Params) -> Result<(u32, u32), Error> {
    Ok((whole(params, "start")?.unwrap_or(0), whole(params, "end")?.unwrap_or(0)))
}

/// The time that two ends in seconds name, the last second included; one that is 0 is open.
pub(super) fn range(start: u32, end: u32) -> Result<TimeRange, Error> {
    if end != 0 && end <= start {
        return Err(Error::invalid(format!(
            "invalid start: it must be before end, received start={start} end={end}"
        )));
    }
    let ns = |s: u32| i64::from(s) * SECOND_NS;
    let start = if start == 0 { TimeRange::ALL.start } else { TimestampNs(ns(start)) };
    let end = if end == 0 { TimeRange::ALL.end } else { TimestampNs(ns(end) + SECOND_NS) };
    Ok(TimeRange::new(start, end))
}

/// One end of the time of a metrics query, as Tempo reads it: whole seconds, or nanoseconds where there are more than
/// ten digits, seconds with a fraction, RFC 3339.
pub(super) fn time_ns(name: &str, text: &str) -> Result<i64, Error> {
    let bad = || invalid(name, text, "it must be Unix seconds, nanoseconds or an RFC 3339 time");
    if let Ok(n) = text.parse::<i64>() {
        return if text.len() <= 10 { n.checked_mul(SECOND_NS).ok_or_else(bad) } else { Ok(n) };
    }
    match text.parse::<f64>() {
        Ok(s) if text.contains('.') && s.abs() < 9.2e9 => {
            // Milliseconds: a float of seconds holds no nanoseconds.
            Ok((s * 1000.0).round() as i64 * 1_000_000)
        }
        _ => rfc3339_ns(text).ok_or_else(bad),
    }
}

/// `start` and `end` of a metrics query; `since` counts back from the end, an hour where nothing is said.
pub(super) fn bounds(params: &Params, now_ns: i64) -> Result<(i64, i64), Error> {
    let time = |name: &str| params.get(name).map(|text| time_ns(name, text)).transpose();
    let end = time("end")?.unwrap_or(now_ns);
    let since = match params.get("since") {
        None => HOUR_NS,
        Some(text) => prometheus_ns(text)
            .ok_or_else(|| invalid("since", text, "it must be a duration such as 15m or 1d"))?,
    };
    let start = time("start")?.unwrap_or_else(|| end.min(now_ns).saturating_sub(since));
    ordered(start, end)?;
    Ok((start, end))
}

/// An error unless the range has a length.
pub(super) fn ordered(start_ns: i64, end_ns: i64) -> Result<(), Error> {
    match start_ns < end_ns {
        true => Ok(()),
        false => Err(Error::invalid("invalid end: end must be greater than start")),
    }
}

fn prometheus_ns(text: &str) -> Option<i64> {
    i64::try_from(duration(text)?.as_nanos()).ok()
}

/// The distance of samples that `step` names, or one that suits the range.
pub(super) fn step_ns(params: &Params, start_ns: i64, end_ns: i64) -> Result<i64, Error> {
    let Some(text) = params.get("step") else { return Ok(usual_step_ns(end_ns.saturating_sub(start_ns))) };
    let read = match text.parse::<f64>() {
        Ok(s) => (s.is_finite() && s.abs() < 9.2e9).then_some((s * 1e9) as i64),
        Err(_) => traceql_duration(text),
    };
    match read {
        Some(n) if n < 0 => Err(invalid("step", text, "step must be positive")),
        Some(0) => Ok(usual_step_ns(end_ns.saturating_sub(start_ns))),
        Some(n) => few_enough(start_ns, end_ns, n),
        None => Err(invalid("step", text, "it must be seconds or a duration such as 15s")),
    }
}

/// The step, unless it makes more samples than are answered.
pub(super) fn few_enough(start_ns: i64, end_ns: i64, step_ns: i64) -> Result<i64, Error> {
    let length = end_ns.saturating_sub(start_ns);
    if length / step_ns.max(1) <= MAX_STEPS {
        return Ok(step_ns);
    }
    let shown = |ns: i64| format!("{:?}", Duration::from_nanos(ns.unsigned_abs()));
    Err(Error::invalid(format!(
        "invalid step: step of {} is too small, minimum step for given range is {}",
        shown(step_ns),
        shown(length / MAX_STEPS)
    )))
}

/// About 240 samples, rounded down to what people read easily; never below 50 ms, nor below a second where the range
/// is a minute or longer. These are Tempo's own steps, so that its dashboards look as they did.
pub(super) fn usual_step_ns(length_ns: i64) -> i64 {
    const MS: i64 = 1_000_000;
    let about = length_ns / 240;
    let (grains, least): (&[i64], i64) = match length_ns < 60 * SECOND_NS {
        true => (&[50 * MS], 50 * MS),
        false => (&[HOUR_NS, 300 * SECOND_NS, 60 * SECOND_NS, 15 * SECOND_NS, 5 * SECOND_NS], SECOND_NS),
    };
    let grain = grains.iter().copied().find(|g| about > *g).unwrap_or(least);
    (about / grain * grain).max(least)
}

/// Go's durations: `1.5s`, `100ms`, `1h30m`.
fn traceql_duration(text: &str) -> Option<i64> {
    logql::units::parse_duration(text)
}

/// A duration that is not negative; 0 is as good as none.
pub(super) fn duration_ns(params: &Params, name: &str) -> Result<Option<i64>, Error> {
    let Some(text) = params.get(name) else { return Ok(None) };
    let read = traceql_duration(text).filter(|d| *d >= 0);
    read.map(|d| (d > 0).then_some(d))
        .ok_or_else(|| invalid(name, text, "it must be a duration such as 1.2s or 100ms"))
}

/// 1 to 32 hexadecimal digits; shorter ids are the low end.
pub(super) fn trace_id(text: &str) -> Result<[u8; 16], Error> {
    if let Some((at, c)) = text.char_indices().find(|(_, c)| !c.is_ascii_hexdigit()) {
        return Err(invalid(
            "traceID",
            text,
            &format!(
                "trace IDs can only contain hex characters: invalid character {c:?} at position {}",
                at + 1
            ),
        ));
    }
    let id = u128::from_str_radix(text, 16).ok().filter(|_| text.len() <= 32);
    id.map(u128::to_be_bytes)
        .ok_or_else(|| invalid("traceID", text, "trace IDs have 1 to 32 hexadecimal digits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000 * SECOND_NS;

    #[test]
    fn times_are_seconds_nanoseconds_fractions_or_rfc_3339() {
        for (text, want) in [
            ("1700000000", NOW),
            ("1700000000000000001", NOW + 1),
            ("1700000000.123", NOW + 123_000_000),
            ("2023-11-14T22:13:20Z", NOW),
            ("2023-11-14T22:13:20.5+00:00", NOW + 500_000_000),
            ("-1", -SECOND_NS),
        ] {
            assert_eq!(time_ns("start", text).unwrap(), want, "{text}");
        }
        for text in ["now", "1e300.", "NaN.", "1700000000s", "99999999999999999999"] {
            assert!(time_ns("start", text).unwrap_err().to_string().starts_with("invalid start"), "{text}");
        }
    }

    #[test]
    fn the_last_hour_is_asked_about_unless_told_otherwise() {
        let read = |q: &str| bounds(&Params::from_query(q), NOW);
        assert_eq!(read("").unwrap(), (NOW - HOUR_NS, NOW));
        assert_eq!(read("since=1d").unwrap(), (NOW - 24 * HOUR_NS, NOW));
        assert_eq!(read("end=1600000000&since=30m").unwrap().0, 1_600_000_000 * SECOND_NS - HOUR_NS / 2);
        // A range that ends in the future begins before now, not before its end.
        assert_eq!(read("end=1800000000").unwrap(), (NOW - HOUR_NS, 1_800_000_000 * SECOND_NS));
        assert_eq!(read("start=1600000000&end=1600000001").unwrap().1, 1_600_000_001 * SECOND_NS);
        for (q, what) in [
            ("since=HI!", "invalid since"),
            ("start=20&end=20", "end must be greater than start"),
            ("start=30&end=20", "end must be greater than start"),
            ("start=x", "invalid start"),
        ] {
            assert!(read(q).unwrap_err().to_string().contains(what), "{q}");
        }
    }

    #[test]
    fn steps_are_seconds_durations_or_what_suits_the_range() {
        let step = |q: &str, seconds: i64| step_ns(&Params::from_query(q), NOW, NOW + seconds * SECOND_NS);
        for (seconds, want_ms) in [(10, 50), (59, 200), (60, 1000), (3600, 15_000), (6 * 3600, 60_000)] {
            assert_eq!(step("", seconds).unwrap(), want_ms * 1_000_000, "{seconds} s");
        }
        assert_eq!(step("step=30", 3600).unwrap(), 30 * SECOND_NS);
        assert_eq!(step("step=1m30s", 3600).unwrap(), 90 * SECOND_NS);
        assert_eq!(step("step=0.5", 10).unwrap(), SECOND_NS / 2);
        for bad in ["-1h", "-30m", "-1.5", "-0.001"] {
            let e = step(&format!("step={bad}"), 3600).unwrap_err().to_string();
            assert!(e.contains("step must be positive"), "{e}");
        }
        assert!(step("step=soon", 10).unwrap_err().to_string().contains("invalid step"));
        let e = step("step=1ms", 3600).unwrap_err().to_string();
        assert!(e.contains("minimum step for given range is 360ms"), "{e}");
    }

    #[test]
    fn a_range_in_seconds_includes_its_last_one_and_may_be_open() {
        let at = |s: i64| TimestampNs(s * SECOND_NS);
        assert_eq!(range(0, 0).unwrap(), TimeRange::ALL);
        assert_eq!(range(10, 20).unwrap(), TimeRange::new(at(10), at(21)));
        assert_eq!(range(10, 0).unwrap().start, at(10));
        assert_eq!(range(0, 20).unwrap().end, at(21));
        assert!(range(20, 10).unwrap_err().to_string().contains("start=20 end=10"));
        assert!(range(20, 20).is_err());
        for q in ["start=-1&end=20", "start=4294967296", "end=1.5", "start=now"] {
            assert!(seconds(&Params::from_query(q)).is_err(), "{q}");
        }
    }

    #[test]
    fn short_trace_ids_are_the_low_end_and_long_ones_are_refused() {
        assert_eq!(trace_id("aBc").unwrap(), 0xabc_u128.to_be_bytes());
        assert_eq!(trace_id("f".repeat(32).as_str()).unwrap(), [255; 16]);
        assert!(trace_id("12g4").unwrap_err().to_string().contains("'g' at position 3"));
        for bad in ["", "+1", "000000000000000000000000000000001"] {
            assert!(trace_id(bad).is_err(), "{bad}");
        }
    }
}
