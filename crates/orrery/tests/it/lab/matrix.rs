//! The fault matrix: one cluster of four fails in every way known, and every kind of question is put meanwhile.
//! The table this prints is the one in docs/federation.md.

use std::{cell::RefCell, collections::BTreeMap, path::PathBuf, rc::Rc, time::Duration};

use tempfile::TempDir;

use super::{
    Impostor,
    clusters::{Clusters, HUB, PEERS, Pair, now_s},
    questions::{Outcome, Question, Rows, fill, put_all},
};
use crate::{node::eventually, peers};

const NAMES: [&str; 4] = ["north", "east", "south", "west"];
const VICTIM: &str = "west";
/// Where the victim answers while something else has taken its place.
const ASIDE: u16 = 9496;

/// What a fault does to answers.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Effect {
    /// The victim's data cannot be had.
    Missing,
    /// It may be had in time or not.
    Either,
    /// It must be had.
    Whole,
}

type Apply = fn(&mut Clusters) -> Applied;
type Undo = Box<dyn FnOnce(&mut Clusters)>;

/// A fault that is there, or as good as there.
struct Applied {
    undo: Undo,
    /// What is left to do when the hub has the victim again. Without it questions are put at once.
    begin: Option<Box<dyn FnOnce()>>,
}

impl Applied {
    fn now(undo: impl FnOnce(&mut Clusters) + 'static) -> Self {
        Applied { undo: Box::new(undo), begin: None }
    }

    fn when_up(undo: impl FnOnce(&mut Clusters) + 'static, begin: impl FnOnce() + 'static) -> Self {
        Applied { undo: Box::new(undo), begin: Some(Box::new(begin)) }
    }
}

struct Fault {
    name: &'static str,
    effect: Effect,
    apply: Apply,
}

const FAULTS: [Fault; 18] = [
    Fault { name: "stopped (SIGSTOP)", effect: Effect::Missing, apply: stopped },
    Fault { name: "killed", effect: Effect::Missing, apply: killed },
    Fault { name: "cut off", effect: Effect::Missing, apply: cut_off },
    Fault { name: "5 s delay", effect: Effect::Missing, apply: delayed },
    Fault { name: "20 % loss", effect: Effect::Either, apply: lossy },
    Fault { name: "black hole", effect: Effect::Missing, apply: |c| replaced(c, &["hole"], None) },
    Fault { name: "garbage", effect: Effect::Missing, apply: |c| replaced(c, &["garbage"], None) },
    Fault { name: "plain HTTP", effect: Effect::Missing, apply: |c| replaced(c, &["http"], None) },
    Fault { name: "garbage after TLS", effect: Effect::Missing, apply: |c| impostor(c, "tls-garbage") },
    Fault { name: "answers without end", effect: Effect::Missing, apply: |c| impostor(c, "endless") },
    Fault { name: "slow drip", effect: Effect::Missing, apply: drip },
    Fault { name: "wrong CA", effect: Effect::Missing, apply: wrong_ca },
    Fault { name: "expired certificate", effect: Effect::Missing, apply: expired },
    Fault { name: "another's certificate", effect: Effect::Missing, apply: of_another },
    Fault { name: "distrusts the hub", effect: Effect::Missing, apply: distrusts },
    Fault { name: "clock 10 min behind", effect: Effect::Whole, apply: |c| clock(c, "-10m") },
    Fault { name: "clock 10 min ahead", effect: Effect::Whole, apply: |c| clock(c, "+10m") },
    Fault { name: "none", effect: Effect::Whole, apply: |_| Applied::when_up(|_| {}, || {}) },
];

fn stopped(c: &mut Clusters) -> Applied {
    c.node(VICTIM).signal("-STOP");
    Applied::now(|c| c.node(VICTIM).signal("-CONT"))
}

fn killed(c: &mut Clusters) -> Applied {
    c.kill(VICTIM);
    Applied::now(|c| c.restart(VICTIM))
}

fn cut_off(c: &mut Clusters) -> Applied {
    c.lab.cut(HUB, VICTIM);
    Applied::now(|c| c.lab.heal())
}

fn delayed(c: &mut Clusters) -> Applied {
    c.lab.delay(HUB, VICTIM, Duration::from_secs(5));
    Applied::now(|c| c.lab.heal())
}

fn lossy(c: &mut Clusters) -> Applied {
    c.lab.loss(HUB, VICTIM, 0.2);
    Applied::now(|c| c.lab.heal())
}

/// The node goes, and a program that is none takes its port.
fn replaced(c: &mut Clusters, kind: &[&str], pair: Option<(TempDir, Pair)>) -> Applied {
    c.kill(VICTIM);
    let mut words = vec![kind[0].to_owned(), PEERS.to_string()];
    if let Some((_, pair)) = &pair {
        words.extend([&pair.cert, &pair.key].map(|p| p.display().to_string()));
    }
    let stands = Impostor::start(c.lab.host(VICTIM), &words);
    Applied::now(move |c| {
        drop((stands, pair));
        c.restart(VICTIM);
    })
}

fn impostor(c: &mut Clusters, kind: &str) -> Applied {
    let pair = c.issue(VICTIM, VICTIM, now_s());
    replaced(c, &[kind], Some(pair))
}

fn wrong_ca(c: &mut Clusters) -> Applied {
    let pair = c.issue_by_a_stranger(VICTIM);
    replaced(c, &["endless"], Some(pair))
}

fn expired(c: &mut Clusters) -> Applied {
    let pair = c.issue(VICTIM, VICTIM, now_s() - 10 * 86_400);
    replaced(c, &["endless"], Some(pair))
}

fn of_another(c: &mut Clusters) -> Applied {
    let pair = c.issue(VICTIM, "east", now_s());
    replaced(c, &["endless"], Some(pair))
}

/// The node trusts another authority than the one that made the hub's certificate.
fn distrusts(c: &mut Clusters) -> Applied {
    let (dir, _) = c.issue_by_a_stranger(VICTIM);
    let before = c.home(VICTIM).extra.clone();
    let (ours, theirs) = (c.ca().display().to_string(), dir.path().join("ca.crt").display().to_string());
    c.home(VICTIM).extra = before.replace(&ours, &theirs);
    c.restart(VICTIM);
    Applied::now(move |c| {
        drop(dir);
        c.home(VICTIM).extra = before;
        c.restart(VICTIM);
    })
}

/// Everything passes while the hub connects; then answers come a byte a second.
fn drip(c: &mut Clusters) -> Applied {
    c.home(VICTIM).peers_port = Some(ASIDE);
    c.restart(VICTIM);
    let upstream = format!("{}:{ASIDE}", c.lab.host(VICTIM).address);
    let words = ["drip".to_owned(), PEERS.to_string(), upstream];
    let stands = Rc::new(RefCell::new(Impostor::start(c.lab.host(VICTIM), &words)));
    let drips = stands.clone();
    let undo = move |c: &mut Clusters| {
        drop(stands);
        c.home(VICTIM).peers_port = Some(PEERS);
        c.restart(VICTIM);
    };
    Applied::when_up(undo, move || drips.borrow_mut().drip())
}

/// The victim's idea of the time is another; nothing else is wrong with it.
fn clock(c: &mut Clusters, offset: &str) -> Applied {
    let Some(library) = faketime() else { return Applied::when_up(|_| {}, || {}) };
    c.home(VICTIM).environment = vec![
        ("LD_PRELOAD".to_owned(), library.display().to_string()),
        ("FAKETIME".to_owned(), offset.to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC".to_owned(), "1".to_owned()),
    ];
    c.restart(VICTIM);
    let undo = |c: &mut Clusters| {
        c.home(VICTIM).environment.clear();
        c.restart(VICTIM);
    };
    Applied::when_up(undo, || {})
}

fn faketime() -> Option<PathBuf> {
    let folders = ["x86_64-linux-gnu", "aarch64-linux-gnu"].map(|f| format!("/usr/lib/{f}/faketime"));
    let found = folders.iter().map(|f| PathBuf::from(f).join("libfaketimeMT.so.1")).find(|f| f.exists());
    if found.is_none() {
        peers::absent("libfaketime");
    }
    found
}

#[tokio::test]
async fn whatever_is_wrong_with_one_cluster_answers_come_in_time_and_say_so() {
    let Some(mut clusters) = Clusters::start(20, &NAMES).await else { return };
    let questions = fill(&clusters).await;
    let mut truths = Vec::new();
    for q in &questions {
        truths.push(q.truth(&clusters.whole).await);
    }
    whole_again(&clusters, &questions, &truths, "the beginning").await;

    let only = std::env::var("ORRERY_FAULT").ok();
    let (mut table, mut wrong) = (Table::new(&questions), Vec::new());
    for fault in FAULTS.iter().filter(|f| only.as_deref().is_none_or(|o| f.name.contains(o))) {
        let applied = (fault.apply)(&mut clusters);
        if let Some(begin) = applied.begin {
            clusters.all_up().await;
            begin();
        }
        // At once, while the hub does not know; and again when it does.
        for when in ["first", "again"] {
            let outcomes = put_all(&clusters.hub, &questions, &truths).await;
            table.add(fault.name, when, &outcomes);
            let judge = |outcomes: Vec<Result<Outcome, String>>| -> Vec<String> {
                let judged = outcomes
                    .into_iter()
                    .map(|o| o.and_then(|o| fault.effect.allows(&o).map_err(|e| format!("{e}: {o:?}"))));
                judged.filter_map(Result::err).collect()
            };
            let mut bad = judge(outcomes);
            // A machine too slow for a cluster that is fine is not what is asked about: it gets another chance.
            if bad.iter().any(|e| e.contains("is fine and said to be") && e.contains("no answer within")) {
                bad.retain(|e| !e.contains("is fine and said to be"));
                bad.extend(judge(put_all(&clusters.hub, &questions, &truths).await));
            }
            wrong.extend(bad.into_iter().map(|e| format!("{} ({when}): {e}", fault.name)));
        }
        (applied.undo)(&mut clusters);
        whole_again(&clusters, &questions, &truths, fault.name).await;
    }
    println!("{}", table.text());
    assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), table.text());
}

/// Waits until every answer is whole without anyone's help.
async fn whole_again(clusters: &Clusters, questions: &[Question], truths: &[Rows], after: &str) {
    clusters.all_up().await;
    eventually(&format!("whole answers after {after}"), Duration::from_secs(120), async || {
        let outcomes = put_all(&clusters.hub, questions, truths).await;
        let whole = |o: &Result<Outcome, String>| match o {
            Ok(o) => o.incomplete.as_ref().is_some_and(BTreeMap::is_empty),
            Err(e) => panic!("after {after}: {e}"),
        };
        outcomes.iter().all(whole).then_some(())
    })
    .await;
}

impl Effect {
    /// Whether an answer may look like this. The three other clusters are always there, so no question fails.
    fn allows(self, outcome: &Outcome) -> Result<(), String> {
        let Some(incomplete) = &outcome.incomplete else { return Err("there is no answer".to_owned()) };
        if let Some(other) = incomplete.keys().find(|c| *c != VICTIM) {
            return Err(format!("{other} is fine and said to be incomplete"));
        }
        match (self, incomplete.contains_key(VICTIM)) {
            (Effect::Missing, false) => Err("the victim cannot have answered".to_owned()),
            (Effect::Whole, true) => Err("the victim must have answered".to_owned()),
            _ => Ok(()),
        }
    }
}

/// A row for each fault and a column for each question, in Markdown.
struct Table {
    head: Vec<&'static str>,
    rows: Vec<(String, Vec<String>)>,
}

impl Table {
    fn new(questions: &[Question]) -> Self {
        Table { head: questions.iter().map(|q| q.name).collect(), rows: Vec::new() }
    }

    /// The first cell of a row is joined by what came when the same was asked again.
    fn add(&mut self, fault: &str, when: &str, outcomes: &[Result<Outcome, String>]) {
        let cells = outcomes.iter().map(|o| match o {
            Err(_) => "WRONG".to_owned(),
            Ok(Outcome { took, incomplete: None }) => format!("error, {:.1} s", took.as_secs_f64()),
            Ok(Outcome { took, incomplete: Some(i) }) => {
                let state = i.values().next().map_or("whole", |s| s.split(':').next().unwrap_or_default());
                format!("{state}, {:.1} s", took.as_secs_f64())
            }
        });
        if when == "first" {
            self.rows.push((fault.to_owned(), cells.collect()));
            for outcome in outcomes.iter().flatten() {
                for said in outcome.incomplete.iter().flatten().map(|(_, said)| said) {
                    println!("{fault}: {said}");
                }
            }
        } else if let Some((_, row)) = self.rows.last_mut() {
            row.iter_mut().zip(cells).for_each(|(cell, more)| *cell = format!("{cell}; {more}"));
        }
    }

    fn text(&self) -> String {
        let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
        let mut out = line(std::iter::once("fault").chain(self.head.iter().copied()).collect());
        out += &line(vec!["---"; self.head.len() + 1]);
        for (fault, cells) in &self.rows {
            out += &line(std::iter::once(fault.as_str()).chain(cells.iter().map(String::as_str)).collect());
        }
        out
    }
}
