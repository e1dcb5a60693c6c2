//! The parts a federation divides into, so that queries can be evaluated where the data is.
//!
//! Two members share no series where both carry a label with different values. Those of which that cannot be said
//! are kept together as one part, which is selected from and merged as ever. So are replicas of one cluster: their
//! series become one each before anything is computed of them.

use std::sync::Arc;

use base::Kind;
use contract::{EvaluateRequest, Evaluated, Language, Part, Result};
use model::{Labels, Matcher, Signal};

use crate::{Error, Federation, Member};

/// Members are compared each with each; a federation of more is not divided.
const MAX_UNITS: usize = 1_000;

/// What stays together.
struct Unit {
    /// With their places in the list.
    members: Vec<(usize, Arc<Member>)>,
    sources: Vec<(String, Option<String>)>,
    labels: Labels,
}

pub(crate) fn parts(
    federation: &Federation,
    signal: &Signal,
    selectors: &[Vec<Matcher>],
) -> Option<Vec<Part>> {
    // A trace has spans wherever its requests went.
    if *signal == Signal::TRACES {
        return None;
    }
    // The list may change while it is divided.
    let federation = &federation.now();
    let mut units: Vec<Unit> = Vec::new();
    for (at, member) in federation.members().iter().enumerate() {
        if member.has(signal) && member.alternatives(selectors).is_some() {
            add(&mut units, unit(federation, at, member));
        }
        if units.len() > MAX_UNITS {
            return None;
        }
    }
    match units.as_slice() {
        [] => None,
        // Nothing is won by asking the whole under another name.
        [one] if one.members.len() > 1 => None,
        _ => Some(units.into_iter().map(|u| part(federation, u)).collect()),
    }
}

fn unit(federation: &Federation, at: usize, member: &Arc<Member>) -> Unit {
    // Replicas are one cluster to whoever asks.
    let replica = member.replica.clone().filter(|_| !federation.is_replica(member));
    Unit {
        members: vec![(at, member.clone())],
        sources: vec![(member.name.clone(), replica)],
        labels: federation.shown_labels(member),
    }
}

/// Whatever may share a series with the new one joins it. What they have in common is less than each has, so it may
/// no longer be told from others.
fn add(units: &mut Vec<Unit>, mut new: Unit) {
    while let Some(near) = units.iter().position(|u| !are_apart(&u.labels, &new.labels)) {
        new = join(units.remove(near), new);
    }
    units.push(new);
}

fn are_apart(a: &Labels, b: &Labels) -> bool {
    a.iter().any(|(name, value)| b.get(name).is_some_and(|other| other != value))
}

/// Both as one; of the labels those that all have.
fn join(mut a: Unit, b: Unit) -> Unit {
    a.labels = a.labels.filter(|name| a.labels.get(name) == b.labels.get(name));
    a.members.extend(b.members);
    for source in b.sources {
        if !a.sources.contains(&source) {
            a.sources.push(source);
        }
    }
    a
}

fn part(federation: &Federation, mut unit: Unit) -> Part {
    // Of two values the one of the earlier member counts, as in the whole.
    unit.members.sort_by_key(|(at, _)| *at);
    let title = |(cluster, replica): &(String, Option<String>)| match replica {
        Some(replica) => format!("{cluster}/{replica}"),
        None => cluster.clone(),
    };
    let name = unit.sources.iter().map(title).collect::<Vec<_>>().join(" + ");
    let select = Arc::new(federation.of(unit.members.into_iter().map(|(_, m)| m)));
    Part { name, sources: unit.sources, labels: unit.labels, select }
}

pub(crate) async fn evaluate(federation: &Federation, r: EvaluateRequest) -> Result<Evaluated> {
    let federation = federation.now();
    let members = federation.members();
    let [member] = members.as_ref() else {
        return Err(contract::Error::invalid("a query over several members is not evaluated by one of them"));
    };
    if federation.is_replica(member) {
        return Err(contract::Error::invalid("replicas are merged before a query over them is evaluated"));
    }
    let signal = match r.dialect.language {
        Language::PromQl => Signal::METRICS,
        Language::LogQl => Signal::LOGS,
    };
    let mut query = federation.ask(&r.scope, &signal, |_| true)?;
    if query.members().next().is_none() {
        // It has nothing of the time asked for, or somebody else asks it.
        query.finish()?;
        let coverage = query.coverage().lock().clone();
        return Ok(Evaluated { coverage, ..Evaluated::default() });
    }
    let mut patience = query.patience(0, member);
    let request = EvaluateRequest { scope: query.told(0), ..r };
    let answer = match patience.ask(member.select.evaluate(request)).await {
        Ok(answer) => {
            query.used(0);
            query.answered(0, answer.coverage.clone());
            answer
        }
        // That it cannot is an answer too.
        Err(Error::Told(told)) if told.kind() == Kind::Invalid => {
            query.answered(0, contract::Coverage::default());
            return Err(told);
        }
        Err(e) => {
            query.failed(0, e, contract::Coverage::default(), Vec::new())?;
            Evaluated::default()
        }
    };
    query.finish()?;
    let coverage = query.coverage().lock().clone();
    Ok(Evaluated { coverage, ..answer })
}

#[cfg(test)]
mod tests;
