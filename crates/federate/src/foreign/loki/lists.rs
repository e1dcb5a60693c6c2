//! Lists of names, values and streams over a time that may be longer than Loki answers at once.
//!
//! Loki refuses lists as it refuses records: `max_query_length` is the longest time of one question,
//! `max_query_lookback` is how far back there is anything to be had. So a time is gone through from its end in windows
//! that are not refused, until nothing older is to be had.

use std::sync::atomic::{AtomicI64, Ordering};

use base::Kind;
use contract::{Error, QueryLimits, Result};
use serde::{Deserialize, de::DeserializeOwned};

use super::{DAY_NS, Loki, window};
use crate::foreign::site::Form;

/// What Loki allows by default is an hour more.
pub(super) const MAX_WINDOW_NS: i64 = 30 * DAY_NS;
pub(super) const LEAST_WINDOW_NS: i64 = 60_000_000_000;
/// Windows of one list at most. More: a Loki that allows little at once is asked for longer.
const MAX_WINDOWS: usize = 400;

/// The longest window that was not refused yet.
#[derive(Debug)]
pub(super) struct Width(AtomicI64);

impl Default for Width {
    fn default() -> Self {
        Width(AtomicI64::new(MAX_WINDOW_NS))
    }
}

/// A window that may not be refused where one of `width` was; `None` where it was refused for something else.
pub(super) fn shorter(e: &Error, width: i64) -> Option<i64> {
    let too_long = e.kind == Kind::Invalid && e.message.contains("exceeds the limit");
    (too_long && width > LEAST_WINDOW_NS).then(|| (width / 4).max(LEAST_WINDOW_NS))
}

/// Whether what is asked lies before all that is to be had.
pub(super) fn is_gone(e: &Error) -> bool {
    e.kind == Kind::Invalid && e.message.contains("max_query_lookback")
}

impl Loki {
    /// The items of all windows of the range, some of them several times.
    pub(super) async fn listed<T: DeserializeOwned>(
        &self,
        path: &str,
        (start, mut end): (i64, i64),
        more: &Form,
        limits: &QueryLimits,
    ) -> Result<Vec<T>> {
        #[derive(Deserialize)]
        #[serde(bound = "T: DeserializeOwned")]
        struct Body<T> {
            // Absent where there is nothing.
            #[serde(default = "Option::default")]
            data: Option<Vec<T>>,
        }
        let (mut all, mut asked) = (Vec::new(), 0);
        while start < end {
            if asked == MAX_WINDOWS {
                let message = format!("{} allows too little time at once for a list of it", self.site.name);
                return Err(Error::invalid(message));
            }
            let from = end.saturating_sub(self.width.0.load(Ordering::Relaxed)).max(start);
            let mut form = window((from, end));
            form.extend(more.iter().cloned());
            match self.site.json::<Body<T>>(self.site.request(path, &form), limits).await {
                Ok(body) => {
                    all.extend(body.data.unwrap_or_default());
                    end = from;
                    asked += 1;
                }
                Err(e) if is_gone(&e) => break,
                Err(e) => match shorter(&e, end - from) {
                    Some(width) => self.width.0.store(width, Ordering::Relaxed),
                    None => return Err(e),
                },
            }
        }
        Ok(all)
    }
}
