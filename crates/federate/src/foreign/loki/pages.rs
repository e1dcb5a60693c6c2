//! All that matches a selector, page by page.
//!
//! ```text
//! window:  |---------- width ----------|   pages: n newest (or oldest) records, then from the last one's time on
//! ```
//! A page that is full may end among records of one time, so that the next one begins at that very time and what was
//! there already is left out, counted record by record: nothing is lost and nothing comes twice. Windows are as long
//! as Loki allows by default (`max_query_length`); a long range is gone through from the asked end of it.

use std::collections::{HashMap, VecDeque};

use base::Kind;
use contract::{Direction, QueryLimits, Result};

use super::{
    DAY_NS,
    lists::{MAX_WINDOW_NS, is_gone, shorter},
    page::{self, Entry},
};
use crate::foreign::{error::garbled, site::Site};

/// Records of a page: what Loki gives at most by default (`max_entries_limit_per_query`).
const PAGE: usize = 5000;
/// A page that is full of one time is asked for again with more, up to here.
const MAX_PAGE: usize = 80_000;
/// Where Loki is told to give fewer, pages become smaller down to this.
const LEAST_PAGE: usize = 1;

pub(super) struct Question {
    pub(super) query: String,
    /// The end is not included.
    pub(super) range: (i64, i64),
    pub(super) direction: Direction,
}

/// The records of one question that are there already, and where the next ones are to be had.
pub(super) struct Pages {
    question: Question,
    ready: VecDeque<Entry>,
    /// What remains to be asked, the end not included.
    rest: (i64, i64),
    /// What remains of the present window.
    window: Option<(i64, i64)>,
    width: i64,
    page: usize,
    /// The largest page that is not refused.
    most: usize,
    /// What the last page gave at the time the next one begins at.
    seen: HashMap<Key, usize>,
    /// What could not be had.
    pub(super) warnings: Vec<String>,
}

/// What tells records of one time apart.
type Key = (String, String, String);

impl Pages {
    pub(super) fn new(question: Question) -> Self {
        let (rest, width) = (question.range, DAY_NS);
        let (ready, seen, warnings) = (VecDeque::new(), HashMap::new(), Vec::new());
        Pages { question, ready, rest, window: None, width, page: PAGE, most: MAX_PAGE, seen, warnings }
    }

    /// The time of the next record; `wanted` is how many more are of use.
    pub(super) async fn peek(
        &mut self,
        site: &Site,
        limits: &QueryLimits,
        wanted: usize,
    ) -> Result<Option<i64>> {
        while self.ready.is_empty() {
            if !self.turn(site, limits, wanted).await? {
                return Ok(None);
            }
        }
        Ok(self.ready.front().map(|e| e.at_ns))
    }

    pub(super) fn take(&mut self) -> Option<Entry> {
        self.ready.pop_front()
    }

    /// Asks once; false where nothing remains to be asked.
    async fn turn(&mut self, site: &Site, limits: &QueryLimits, wanted: usize) -> Result<bool> {
        let Some(window) = self.window.or_else(|| self.next_window()) else { return Ok(false) };
        // One more than is wanted tells whether there is more, and what was seen comes again.
        let seen: usize = self.seen.values().sum();
        let limit = self.page.min(wanted.saturating_add(seen).saturating_add(1)).max(1);
        match ask(site, limits, &self.question, window, limit).await {
            Ok(entries) => {
                self.page_of(window, entries, limit);
                Ok(true)
            }
            Err(e) if is_gone(&e) => {
                self.give_up();
                Ok(true)
            }
            Err(e) if self.shrink(&e, window) => Ok(true),
            Err(e) => Err(e),
        }
    }

    /// Cuts the next window off what remains.
    fn next_window(&mut self) -> Option<(i64, i64)> {
        let (start, end) = self.rest;
        if start >= end {
            return None;
        }
        let window = match self.question.direction {
            Direction::NewestFirst => (end.saturating_sub(self.width).max(start), end),
            Direction::OldestFirst => (start, start.saturating_add(self.width).min(end)),
        };
        self.rest = match self.question.direction {
            Direction::NewestFirst => (start, window.0),
            Direction::OldestFirst => (window.1, end),
        };
        self.seen.clear();
        self.window = Some(window);
        self.window
    }

    /// Passes over a window that lies before all that is to be had, with all that is older.
    fn give_up(&mut self) {
        self.window = None;
        match self.question.direction {
            Direction::NewestFirst => self.rest.1 = self.rest.0,
            Direction::OldestFirst => self.width = self.width.saturating_mul(4).min(MAX_WINDOW_NS),
        }
    }

    /// Makes the next question smaller where the last one was too much; false where that cannot help.
    fn shrink(&mut self, e: &contract::Error, window: (i64, i64)) -> bool {
        let said = |words: &str| e.message.contains(words);
        if e.kind != Kind::Invalid {
            return false;
        }
        if said("max entries limit") {
            if self.page <= LEAST_PAGE {
                return false;
            }
            self.page = (self.page / 2).max(LEAST_PAGE);
            self.most = self.page;
            return true;
        }
        let Some(width) = shorter(e, window.1.saturating_sub(window.0)) else { return false };
        // Back to what remains, to be cut off anew.
        self.width = width;
        self.rest = match self.question.direction {
            Direction::NewestFirst => (self.rest.0, window.1),
            Direction::OldestFirst => (window.0, self.rest.1),
        };
        self.window = None;
        true
    }

    fn page_of(&mut self, window: (i64, i64), mut entries: Vec<Entry>, limit: usize) {
        let newest = self.question.direction == Direction::NewestFirst;
        let full = entries.len() >= limit;
        entries.retain(|e| window.0 <= e.at_ns && e.at_ns < window.1);
        match newest {
            true => entries.sort_by_key(|e| std::cmp::Reverse(e.at_ns)),
            false => entries.sort_by_key(|e| e.at_ns),
        }
        let (first, last) = (entries.first().map(|e| e.at_ns), entries.last().map(|e| e.at_ns));
        let mut before = std::mem::take(&mut self.seen);
        // What stands at the edge is counted before repeats go, so that it is known whole on the next page.
        if full && let Some(edge) = last {
            entries
                .iter()
                .filter(|e| e.at_ns == edge)
                .for_each(|e| *self.seen.entry(key(e)).or_default() += 1);
        }
        let came = entries.len();
        entries.retain(|e| match before.get_mut(&key(e)) {
            Some(n) if *n > 0 => {
                *n -= 1;
                false
            }
            _ => true,
        });
        let fresh = entries.len();
        self.ready.extend(entries);
        let (Some(edge), true) = (last, full) else {
            self.window = None;
            if came == 0 {
                self.width = self.width.saturating_mul(4).min(MAX_WINDOW_NS);
            }
            return;
        };
        self.window = Some(if newest { (window.0, edge.saturating_add(1)) } else { (edge, window.1) });
        if first == last && (fresh == 0 || limit >= self.page) {
            self.crowd(window, edge, newest);
        }
    }

    /// A page full of one time says nothing of what lies beyond: more is asked at once, or that time left behind.
    fn crowd(&mut self, window: (i64, i64), edge: i64, newest: bool) {
        if self.page < self.most {
            self.page = (self.page * 2).min(self.most);
            return;
        }
        self.warnings
            .push(format!("more than {} records at {edge} ns are more than one page gives", self.most));
        self.seen.clear();
        self.window = Some(if newest { (window.0, edge) } else { (edge.saturating_add(1), window.1) });
        self.page = PAGE.min(self.most);
    }
}

fn key(e: &Entry) -> Key {
    (e.labels.to_string(), e.line.clone(), format!("{}{:?}", e.at_ns, e.metadata))
}

async fn ask(
    site: &Site,
    limits: &QueryLimits,
    question: &Question,
    (start, end): (i64, i64),
    limit: usize,
) -> Result<Vec<Entry>> {
    let direction = match question.direction {
        Direction::NewestFirst => "backward",
        Direction::OldestFirst => "forward",
    };
    let form = vec![
        ("query", question.query.clone()),
        ("start", start.to_string()),
        ("end", end.to_string()),
        ("limit", limit.to_string()),
        ("direction", direction.to_owned()),
    ];
    let request = site
        .request("/loki/api/v1/query_range", &form)
        .header("x-loki-response-encoding-flags", "categorize-labels");
    let answer = site.get(request, limits).await?;
    page::read(&answer.body).map_err(|e| garbled(&site.name, "a page of records", e))
}
