//! Number and summary points.

use proto::otlp::metrics::{NumberDataPoint, SummaryDataPoint, number_data_point::Value};

use super::{Converter, Family, Refusal};
use crate::{Reason, text::quoted};

impl<'r> Converter<'r, '_> {
    pub(super) fn number(&mut self, f: &Family, p: &'r NumberDataPoint, is_sum: bool) -> Result<(), Refusal> {
        let start = if is_sum { p.start_time_unix_nano } else { 0 };
        let when = self.when(f, p.time_unix_nano, start, p.flags);
        let value = match p.value {
            Some(Value::AsDouble(v)) => v,
            Some(Value::AsInt(v)) => v as f64,
            None if when.stale => 0.0,
            None => {
                return Err((Reason::InvalidItem, format!("a point of {} has no value", quoted(&f.name))));
            }
        };
        let labels = self.point_labels(&p.attributes)?;
        let series = self.push(&f.name, &labels, None, when, value)?;
        if is_sum {
            for e in &p.exemplars {
                self.exemplar(series, e, when.at_ms);
            }
        }
        Ok(())
    }

    pub(super) fn summary(&mut self, f: &Family, p: &'r SummaryDataPoint) -> Result<(), Refusal> {
        let max = self.options.limits.max_histogram_buckets;
        if p.quantile_values.len() > max {
            let why = format!("{} quantiles, at most {max} are taken", p.quantile_values.len());
            return Err((Reason::TooLarge, why));
        }
        let when = self.when(f, p.time_unix_nano, p.start_time_unix_nano, p.flags);
        let labels = self.point_labels(&p.attributes)?;
        // The labels are the same for all, so the first push tells whether the point is refused.
        self.push(&format!("{}_sum", f.name), &labels, None, when, p.sum)?;
        self.push(&format!("{}_count", f.name), &labels, None, when, p.count as f64)?;
        for q in &p.quantile_values {
            let quantile = float_label(q.quantile);
            self.push(&f.name, &labels, Some(("quantile", &quantile)), when, q.value)?;
        }
        Ok(())
    }
}

/// A float as a label value: shortest decimal, `+Inf` for infinity.
pub(super) fn float_label(v: f64) -> String {
    if v == f64::INFINITY { "+Inf".to_owned() } else { v.to_string() }
}
