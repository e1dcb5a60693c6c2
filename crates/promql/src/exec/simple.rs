//! Functions of one value: mathematics and the calendar.

use eval::{Cell, Column, Series, Value};
use model::Labels;

use super::{Result, Run, call::arg, ranges::per_step};
use crate::{
    ast::{Call, NodeId},
    functions::FunctionId,
};

pub(super) fn math(id: FunctionId) -> Option<fn(f64) -> f64> {
    use FunctionId::*;
    Some(match id {
        Abs => f64::abs,
        Ceil => f64::ceil,
        Floor => f64::floor,
        Exp => f64::exp,
        Sqrt => f64::sqrt,
        Ln => f64::ln,
        Log2 => f64::log2,
        Log10 => f64::log10,
        Sin => f64::sin,
        Cos => f64::cos,
        Tan => f64::tan,
        Asin => f64::asin,
        Acos => f64::acos,
        Atan => f64::atan,
        Sinh => f64::sinh,
        Cosh => f64::cosh,
        Tanh => f64::tanh,
        Asinh => f64::asinh,
        Acosh => f64::acosh,
        Atanh => f64::atanh,
        Deg => |v| v * 180.0 / std::f64::consts::PI,
        Rad => |v| v * std::f64::consts::PI / 180.0,
        Sgn => |v| {
            if v > 0.0 {
                1.0
            } else if v < 0.0 {
                -1.0
            } else {
                v
            }
        },
        _ => return None,
    })
}

pub(super) fn calendar(id: FunctionId) -> Option<fn(i64) -> i64> {
    use FunctionId::*;
    Some(match id {
        Minute => |s| s.div_euclid(60).rem_euclid(60),
        Hour => |s| s.div_euclid(3600).rem_euclid(24),
        // 1970-01-01 was a Thursday.
        DayOfWeek => |s| (s.div_euclid(86_400) + 4).rem_euclid(7),
        DayOfMonth => |s| date(s).2,
        DayOfYear => |s| {
            let days = s.div_euclid(86_400);
            days - days_before(date(s).0) + 1
        },
        DaysInMonth => |s| {
            let (y, m, _) = date(s);
            match m {
                4 | 6 | 9 | 11 => 30,
                2 if y.rem_euclid(4) == 0 && (y.rem_euclid(100) != 0 || y.rem_euclid(400) == 0) => 29,
                2 => 28,
                _ => 31,
            }
        },
        Month => |s| date(s).1,
        Year => |s| date(s).0,
        _ => return None,
    })
}

/// Days from 1970-01-01 to the first of January of a year, proleptic Gregorian.
fn days_before(year: i64) -> i64 {
    let y = year - 1;
    y * 365 + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) - 719_162
}

/// Year, month and day of a time in seconds. Counts in 400-year cycles that begin on the first of March, so that
/// leap days come last.
fn date(seconds: i64) -> (i64, i64, i64) {
    let days = seconds.div_euclid(86_400) + 719_468;
    let (cycle, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + cycle * 400 + i64::from(month <= 2), month, day)
}

/// `2000-02-29T00:00:00Z`
pub(super) fn rfc3339(ms: i64) -> String {
    let seconds = ms.div_euclid(1000);
    let ((y, m, d), s) = (date(seconds), seconds.rem_euclid(86_400));
    format!("{y:04}-{m:02}-{d:02}T{:02}:{:02}:{:02}Z", s / 3600, s / 60 % 60, s % 60)
}

/// Of two numbers the larger. Positive infinity wins over everything, then not-a-number, and 0 over -0.
pub(super) fn max(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a == 0.0 && b == 0.0 {
        if a.is_sign_negative() { b } else { a }
    } else {
        a.max(b)
    }
}

/// The mirror image of [`max`].
pub(super) fn min(a: f64, b: f64) -> f64 {
    -max(-a, -b)
}

pub(super) fn negate(c: &Column) -> Column {
    let mut out = Column::empty(c.len());
    for step in c.steps() {
        match c.get(step) {
            Some(Cell::Float(v)) => out.set_float(step, -v),
            Some(Cell::Histogram(h)) => out.put(step, Value::from(eval::histogram::multiply(h, -1.0))),
            None => {}
        }
    }
    out
}

/// The float at each step if there is exactly one, else not-a-number.
pub(super) fn only_float(rows: &[Series], steps: usize) -> Column {
    let mut out = vec![f64::NAN; steps];
    let mut seen = vec![0u8; steps];
    for row in rows {
        for step in row.column.steps() {
            if let Some(v) = row.column.float(step) {
                out[step] = if seen[step] == 0 { v } else { f64::NAN };
                seen[step] = seen[step].saturating_add(1);
            }
        }
    }
    Column::from_floats(out)
}

impl<'a> Run<'a> {
    /// Floats are mapped with the step they stand at; histograms go.
    fn map_steps(
        &mut self,
        id: NodeId,
        mut rows: Vec<Series>,
        f: impl Fn(usize, f64) -> Option<f64>,
    ) -> Result<Vec<Series>> {
        for row in &mut rows {
            self.meter.tick()?;
            let old = std::mem::take(&mut row.column);
            row.column = per_step(old.len(), |s| f(s, old.float(s)?));
        }
        rows.retain(|r| !r.column.is_empty());
        let span = self.span(id);
        Ok(eval::drop_names(rows, &mut self.env(span))?)
    }

    pub(super) fn map_floats(&mut self, id: NodeId, c: &Call, f: fn(f64) -> f64) -> Result<Vec<Series>> {
        let mut rows = self.rows(arg(c, 0)?)?;
        for row in &mut rows {
            self.meter.tick()?;
            row.column.map_floats(f);
        }
        rows.retain(|r| !r.column.is_empty());
        let span = self.span(id);
        Ok(eval::drop_names(rows, &mut self.env(span))?)
    }

    /// Without an argument the time of evaluation.
    pub(super) fn calendar(&mut self, id: NodeId, c: &Call, f: fn(i64) -> i64) -> Result<Vec<Series>> {
        let grid = self.grid(id);
        let part = |seconds: f64| {
            if seconds.is_finite() && seconds.abs() < 1e15 { f(seconds as i64) as f64 } else { f64::NAN }
        };
        match c.args.first() {
            None => {
                let column = per_step(grid.len(), |s| Some(f(grid.at(s).div_euclid(1000)) as f64));
                Ok(vec![Series::new(Labels::default(), column)])
            }
            Some(of) => {
                let rows = self.rows(*of)?;
                self.map_steps(id, rows, |_, v| Some(part(v)))
            }
        }
    }

    pub(super) fn clamp(&mut self, id: NodeId, c: &Call) -> Result<Vec<Series>> {
        let rows = self.rows(arg(c, 0)?)?;
        let first = self.scalar(arg(c, 1)?)?;
        let second = match c.function.id {
            FunctionId::Clamp => Some(self.scalar(arg(c, 2)?)?),
            _ => None,
        };
        let bounds = |s: usize| -> Option<(f64, f64)> {
            let v = first.float(s)?;
            Some(match (c.function.id, &second) {
                (FunctionId::ClampMin, _) => (v, f64::INFINITY),
                (FunctionId::ClampMax, _) => (f64::NEG_INFINITY, v),
                (_, Some(upper)) => (v, upper.float(s)?),
                (_, None) => return None,
            })
        };
        self.map_steps(id, rows, |s, v| {
            let (lower, upper) = bounds(s)?;
            if upper < lower { None } else { Some(max(lower, min(upper, v))) }
        })
    }

    /// To the nearest multiple, halves up.
    pub(super) fn round(&mut self, id: NodeId, c: &Call) -> Result<Vec<Series>> {
        let rows = self.rows(arg(c, 0)?)?;
        let nearest = match c.args.get(1) {
            Some(n) => Some(self.scalar(*n)?),
            None => None,
        };
        self.map_steps(id, rows, |s, v| {
            // Multiplying with the inverse loses less than dividing.
            let inverse = 1.0 / nearest.as_ref().map_or(Some(1.0), |n| n.float(s))?;
            Some((v * inverse + 0.5).floor() / inverse)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_follow_the_gregorian_calendar() {
        for (seconds, want) in [
            (0, (1970, 1, 1)),
            (951_782_400, (2000, 2, 29)),
            (1_709_164_800, (2024, 2, 29)),
            (-1, (1969, 12, 31)),
            (4_107_542_400, (2100, 3, 1)),
        ] {
            assert_eq!(date(seconds), want, "{seconds}");
        }
        let of = |id: FunctionId, s: i64| calendar(id).unwrap()(s);
        assert_eq!(of(FunctionId::DayOfYear, 951_782_400), 60);
        assert_eq!(of(FunctionId::DayOfYear, 1_735_603_200), 366);
        assert_eq!(of(FunctionId::DaysInMonth, 951_782_400), 29);
        assert_eq!(of(FunctionId::DayOfWeek, 0), 4);
        assert_eq!(of(FunctionId::Hour, -1), 23);
        assert_eq!(rfc3339(951_782_461_999), "2000-02-29T00:01:01Z");
    }
}
