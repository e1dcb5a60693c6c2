//! Scrolls: searches that are read page after page. A scroll holds no documents, only what was asked and how far it has
//! come; each page is read anew from there.

use std::{collections::HashMap, sync::Arc, time::Duration};

use base::Kind;
use contract::Tenants;
use elastic::{engine::Found, indices::Expression, page::Position, search::Search};
use http::StatusCode;
use parking_lot::Mutex;

use super::EsError;
use crate::{AppState, Error};

/// Open at once; one more is refused until another ends. As Elasticsearch's `search.max_open_scroll_context`.
const MAX_OPEN: usize = 500;
/// Kept at most so long without being asked.
const MAX_KEEP: Duration = Duration::from_secs(24 * 3600);

/// One open scroll.
#[derive(Clone)]
pub struct Scroll {
    pub search: Arc<Search>,
    pub expression: Expression,
    pub lenient: bool,
    /// What the first page counted.
    pub total: u64,
    pub exact: bool,
    pub next: Option<Position>,
    tenants: Tenants,
    keep: Duration,
    ends_ns: i64,
}

impl Scroll {
    pub fn new(
        search: Arc<Search>,
        expression: Expression,
        lenient: bool,
        found: &Found,
        tenants: Tenants,
    ) -> Self {
        let (total, exact, next) = (found.total, found.exact, found.next.clone());
        Scroll { search, expression, lenient, total, exact, next, tenants, keep: Duration::ZERO, ends_ns: 0 }
    }
}

/// All scrolls of a node.
#[derive(Default)]
pub struct Scrolls(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    open: HashMap<String, Scroll>,
    opened: u64,
}

fn end(state: &AppState, keep: Duration) -> i64 {
    state.clock.now_ns().saturating_add(i64::try_from(keep.as_nanos()).unwrap_or(i64::MAX))
}

impl Scrolls {
    /// Keeps a scroll, and says its id.
    pub fn open(&self, mut scroll: Scroll, keep: Duration, state: &AppState) -> Result<String, EsError> {
        if keep > MAX_KEEP {
            let why = format!(
                "Keep alive for request ({keep:?}) is too large. It must be less than ({MAX_KEEP:?})"
            );
            return Err(Error::invalid(why).into());
        }
        (scroll.keep, scroll.ends_ns) = (keep, end(state, keep));
        let now = state.clock.now_ns();
        let mut inner = self.0.lock();
        inner.open.retain(|_, s| s.ends_ns > now);
        if inner.open.len() >= MAX_OPEN {
            let why = format!(
                "Trying to create too many scroll contexts. Must be less than or equal to: [{MAX_OPEN}]"
            );
            let error = Error::new(Kind::Limited, why);
            return Err(EsError::exactly(
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_scroll_contexts_exception",
                error,
            ));
        }
        inner.opened += 1;
        // Ids of another start of the node are not known to this one.
        let id = format!("scroll-{:x}-{:x}", state.started_ns(), inner.opened);
        inner.open.insert(id.clone(), scroll);
        Ok(id)
    }

    /// An open scroll of the tenant.
    pub fn find(&self, id: &str, tenants: &Tenants, state: &AppState) -> Result<Scroll, EsError> {
        let now = state.clock.now_ns();
        let inner = self.0.lock();
        let found = inner.open.get(id).filter(|s| s.ends_ns > now && s.tenants == *tenants);
        found.cloned().ok_or_else(|| {
            let id: String = id.chars().take(100).collect();
            let error = Error::new(Kind::NotFound, format!("No search context found for id [{id}]"));
            EsError::exactly(StatusCode::NOT_FOUND, "search_context_missing_exception", error)
        })
    }

    /// Remembers how far a scroll has come.
    pub fn turn(&self, id: &str, next: Option<Position>, keep: Option<Duration>, state: &AppState) {
        if let Some(scroll) = self.0.lock().open.get_mut(id) {
            scroll.next = next;
            scroll.keep = keep.unwrap_or(scroll.keep).min(MAX_KEEP);
            scroll.ends_ns = end(state, scroll.keep);
        }
    }

    /// Ends scrolls of the tenant; `_all` are all of them. How many there were.
    pub fn close(&self, ids: &[String], tenants: &Tenants) -> usize {
        let all = ids.iter().any(|i| i == "_all");
        let mut inner = self.0.lock();
        let before = inner.open.len();
        inner.open.retain(|id, s| s.tenants != *tenants || !(all || ids.contains(id)));
        before - inner.open.len()
    }
}
