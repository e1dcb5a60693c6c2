//! What a store says of itself in `Info`, and what it said before.
//!
//! A Thanos Query leaves out stores that it does not reach, without a word: its answers lack their series, and its
//! `Info` lacks their external labels. So the labels it once had are kept here, and an answer in which something of
//! them could be is partial until they are back. The same holds of the newest time it had: a sidecar often has the labels
//! of the gateway that serves its blocks. A store that was taken away for good is forgotten after
//! [`REMEMBERED`]. Sidecars and gateways hold what they announce themselves, so that nothing is remembered of them.

use std::{collections::BTreeMap, time::Duration};

use model::{Labels, MatchOp, Matcher};
use proto::thanos::info::InfoResponse;
use tokio::time::Instant;

use crate::storeapi::convert::from_labels;

/// How long what a store says of itself is believed. Longer: a series with new external labels is found later.
const KEEP: Duration = Duration::from_secs(30);
/// The same of a query, which may lose a store at any time. Longer: so long answers may look whole that are not.
const KEEP_QUERY: Duration = Duration::from_secs(1);
/// How long a store that a query had is missed. Shorter: a long outage turns into answers that look whole.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);
/// Label sets that are remembered of one query; what comes later is not missed when it goes.
const MAX_REMEMBERED: usize = 4096;
/// Of more missing ones than these an answer gives the number only.
const MAX_NAMED: usize = 3;

/// What a store says of itself now.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    sets: Vec<Labels>,
    min_ms: i64,
    max_ms: i64,
    /// Sets that it announced before.
    lost: Vec<Labels>,
    /// The latest time that it announced before or now.
    reached_ms: i64,
}

impl Told {
    /// Whether it can have something for all the matchers, which are those it is sent.
    pub(super) fn may_match(&self, matchers: &[Matcher]) -> bool {
        self.sets.is_empty() || self.sets.iter().any(|s| fits(s, matchers))
    }

    pub(super) fn overlaps(&self, (first, last): (i64, i64)) -> bool {
        first <= self.max_ms && self.min_ms <= last
    }

    /// Sidecars and gateways refuse matchers of which nothing is left without external labels.
    pub(super) fn conditioned(&self, mut matchers: Vec<Matcher>) -> Vec<Matcher> {
        let external = |name: &str| self.sets.iter().any(|s| s.get(name).is_some());
        if matchers.iter().all(|m| m.matches_empty() || external(&m.name))
            && let Ok(any) = Matcher::new(model::labels::METRIC_NAME, MatchOp::Regex, ".+")
        {
            matchers.push(any);
        }
        matchers
    }

    /// What an answer to one of the selectors may lack, a sentence for each; none where nothing is known to be missing.
    pub(super) fn lacking(&self, selectors: &[Vec<Matcher>], (_, last): (i64, i64)) -> Vec<String> {
        let newer = self.reached_ms > self.max_ms && last > self.max_ms;
        let newer =
            newer.then(|| format!("it no longer reaches a store of what is newer than {} ms", self.max_ms));
        self.lost_for(selectors).into_iter().chain(newer).collect()
    }

    fn lost_for(&self, selectors: &[Vec<Matcher>]) -> Option<String> {
        let lost: Vec<String> = self
            .lost
            .iter()
            .filter(|set| selectors.iter().any(|s| fits(set, s)))
            .map(Labels::to_string)
            .collect();
        let named = lost.get(..MAX_NAMED).unwrap_or(&lost).join(", ");
        match lost.len() {
            0 => None,
            n if n > MAX_NAMED => Some(format!("it no longer reaches {n} stores, of them {named}")),
            _ => Some(format!("it no longer reaches the store of {named}")),
        }
    }
}

fn fits(set: &Labels, matchers: &[Matcher]) -> bool {
    matchers.iter().all(|m| set.get(&m.name).is_none_or(|v| m.matches(v)))
}

/// The last word of a store and what is remembered of it.
#[derive(Debug, Default)]
pub(super) struct Heard {
    last: Option<(Instant, Told)>,
    is_query: bool,
    /// Label sets of a query's stores and when each was last announced.
    seen: BTreeMap<Labels, Instant>,
    /// The latest time of a query's stores and when it was last announced.
    reached: Option<(i64, Instant)>,
}

impl Heard {
    /// What it said, unless that is too long ago.
    pub(super) fn fresh(&self) -> Option<Told> {
        let keep = if self.is_query { KEEP_QUERY } else { KEEP };
        self.last.as_ref().filter(|(at, _)| at.elapsed() < keep).map(|(_, told)| told.clone())
    }

    /// Takes in what it says; `None` where it offers no StoreAPI.
    pub(super) fn hear(&mut self, info: InfoResponse) -> Option<Told> {
        let now = Instant::now();
        let store = info.store?;
        let sets: Vec<Labels> = info.label_sets.into_iter().map(|s| from_labels(s.labels)).collect();
        self.seen.retain(|_, at| now.duration_since(*at) < REMEMBERED);
        self.is_query = info.component_type == "query";
        match self.is_query {
            true => sets.iter().filter(|s| !s.is_empty()).for_each(|s| {
                if self.seen.len() < MAX_REMEMBERED || self.seen.contains_key(s) {
                    self.seen.insert(s.clone(), now);
                }
            }),
            false => self.seen.clear(),
        }
        let held = self
            .reached
            .filter(|(ms, at)| self.is_query && *ms > store.max_time && now.duration_since(*at) < REMEMBERED);
        let (reached_ms, at) = held.unwrap_or((store.max_time, now));
        self.reached = Some((reached_ms, at));
        let lost = self.seen.iter().filter(|(_, at)| **at != now).map(|(s, _)| s.clone()).collect();
        let told = Told { sets, min_ms: store.min_time, max_ms: store.max_time, lost, reached_ms };
        self.last = Some((now, told.clone()));
        Some(told)
    }
}

#[cfg(test)]
mod tests {
    use proto::thanos::info::{LabelSet, StoreInfo};

    use super::*;
    use crate::storeapi::convert;

    fn info(component: &str, sets: &[&[(&str, &str)]]) -> InfoResponse {
        let set = |pairs: &&[(&str, &str)]| LabelSet {
            labels: convert::labels(&Labels::from_pairs(pairs.iter().copied())),
        };
        InfoResponse {
            label_sets: sets.iter().map(set).collect(),
            component_type: component.to_owned(),
            store: Some(StoreInfo { min_time: i64::MIN, max_time: i64::MAX, ..StoreInfo::default() }),
        }
    }

    const ALL: (i64, i64) = (i64::MIN, i64::MAX);
    const NONE: [&str; 0] = [];
    const A: &[(&str, &str)] = &[("dc", "a")];
    const B: &[(&str, &str)] = &[("dc", "b")];

    #[tokio::test(start_paused = true)]
    async fn a_store_that_a_query_had_is_missed_where_it_could_have_answered() {
        let mut heard = Heard::default();
        let all = [vec![Matcher::equal("__name__", "up")]];
        assert_eq!(heard.hear(info("query", &[A, B])).unwrap().lacking(&all, ALL), NONE);
        tokio::time::advance(KEEP_QUERY).await;
        assert!(heard.fresh().is_none());
        let told = heard.hear(info("query", &[A])).unwrap();
        assert_eq!(told.lacking(&all, ALL), ["it no longer reaches the store of {dc=\"b\"}"]);
        assert_eq!(told.lacking(&[vec![Matcher::equal("dc", "a")]], ALL), NONE);
        assert!(!told.lacking(&[vec![Matcher::equal("dc", "b")]], ALL).is_empty());
        assert!(heard.fresh().is_some());

        // A query without any store can hold anything by what it says, and holds nothing.
        tokio::time::advance(KEEP).await;
        let told = heard.hear(info("query", &[])).unwrap();
        assert!(told.may_match(&all[0]) && told.lacking(&all, ALL)[0].contains("{dc=\"a\"}, {dc=\"b\"}"));
        tokio::time::advance(KEEP).await;
        assert_eq!(heard.hear(info("query", &[A, B])).unwrap().lacking(&all, ALL), NONE);
        heard.hear(info("query", &[A])).unwrap();
        tokio::time::advance(REMEMBERED).await;
        assert_eq!(heard.hear(info("query", &[A])).unwrap().lacking(&all, ALL), NONE, "taken away for good");
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_gateway_whose_blocks_are_gone_nothing_is_missed() {
        let mut heard = Heard::default();
        heard.hear(info("store", &[A, B])).unwrap();
        tokio::time::advance(KEEP_QUERY).await;
        assert!(heard.fresh().is_some());
        assert_eq!(heard.hear(info("store", &[A])).unwrap().lacking(&[Vec::new()], ALL), NONE);
        assert!(heard.hear(InfoResponse::default()).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_newer_than_a_gateway_holds_is_missed_when_the_sidecar_of_the_same_labels_is_gone() {
        let until = |max_time: i64| {
            let info = info("query", &[A]);
            InfoResponse { store: info.store.map(|s| StoreInfo { max_time, ..s }), ..info }
        };
        let (mut heard, all) = (Heard::default(), [Vec::new()]);
        assert_eq!(heard.hear(until(i64::MAX)).unwrap().lacking(&all, ALL), NONE);
        tokio::time::advance(KEEP_QUERY).await;
        let told = heard.hear(until(1000)).unwrap();
        assert_eq!(told.lacking(&all, (0, 1000)), NONE);
        assert_eq!(
            told.lacking(&all, (0, 1001)),
            ["it no longer reaches a store of what is newer than 1000 ms"]
        );
        assert_eq!(heard.hear(until(i64::MAX)).unwrap().lacking(&all, ALL), NONE);
        tokio::time::advance(REMEMBERED).await;
        assert_eq!(heard.hear(until(2000)).unwrap().lacking(&all, ALL), NONE, "taken away for good");
    }
}
