//! Rules of forwarding tried on series that there are: what each keeps and drops, with examples, and whether two of them
//! exclude each other. Nothing is sent.

use config::forward::Destination;
use model::{Labels, MetricBatch};
use serde::Serialize;
use transform::relabel::{Rule, relabel_labels};

/// Examples of each kind that are told of a rule.
const EXAMPLES: usize = 3;
/// Rules that are compared with each other.
const MAX_KEEPS: usize = 50;

/// One series and what it weighs.
pub struct Series {
    pub labels: Labels,
    pub samples: u64,
}

impl Series {
    /// Bytes of a remote write of its samples, before they are packed: labels go along with each.
    fn bytes(&self, labels: &Labels) -> u64 {
        let mut one = MetricBatch::default();
        let series = one.push_series(labels.clone());
        one.samples.push(series, 1_700_000_000_000, 1.0);
        wire::remote_write::encode(&one).len() as u64 * self.samples
    }
}

/// What one rule did.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct RuleTrial {
    /// Its place in its list, counted from 0.
    pub rule: usize,
    pub text: String,
    /// Series that came to it.
    pub series: u64,
    pub dropped: u64,
    pub dropped_bytes: u64,
    /// Series it would let through if it were the only one.
    pub alone: u64,
    pub kept_examples: Vec<String>,
    pub dropped_examples: Vec<String>,
}

/// What became of all series on their way to one destination.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Trial {
    pub destination: String,
    pub series: u64,
    pub bytes: u64,
    pub kept: u64,
    pub kept_bytes: u64,
    pub rules: Vec<RuleTrial>,
    pub warnings: Vec<String>,
}

/// Tries the rules of a destination over the labels of series.
pub fn run(d: &Destination, all: &[Series]) -> Trial {
    let rules = &d.selection.write_relabel;
    let stamps = d.external_rules.min(rules.len());
    let mut trial = Trial { destination: d.name.clone(), ..Trial::default() };
    for (i, rule) in rules.iter().enumerate().skip(stamps) {
        trial.rules.push(RuleTrial { rule: i - stamps, text: text(rule), ..RuleTrial::default() });
    }
    let keeps = keeps(rules, stamps);
    // How many series both of two rules let through.
    let mut both = vec![vec![0u64; keeps.len()]; keeps.len()];
    for series in all {
        let passed = one(series, rules, stamps, &mut trial);
        for (i, first) in keeps.iter().enumerate() {
            for (j, second) in keeps.iter().enumerate().skip(i + 1) {
                let pass = |rule: &usize| passed.get(*rule).copied().unwrap_or(false);
                if let Some(n) = both.get_mut(i).and_then(|row| row.get_mut(j)) {
                    *n += u64::from(pass(first) && pass(second));
                }
            }
        }
    }
    trial.warnings = exclusions(&keeps, &both, &trial.rules);
    trial
}

/// Takes one series through all rules, and says which of them let it through by themselves.
fn one(series: &Series, rules: &[Rule], stamps: usize, trial: &mut Trial) -> Vec<bool> {
    let (before, own) = rules.split_at(stamps);
    let mut labels = relabel_labels(&series.labels, before).unwrap_or_else(|| series.labels.clone());
    let bytes = series.bytes(&labels);
    trial.series += 1;
    trial.bytes += bytes;
    let mut passed = Vec::with_capacity(own.len());
    let mut alive = true;
    for (rule, of) in own.iter().zip(&mut trial.rules) {
        let after = relabel_labels(&labels, std::slice::from_ref(rule)).filter(|l| !l.is_empty());
        passed.push(after.is_some());
        of.alone += u64::from(after.is_some());
        if alive {
            of.series += 1;
            let examples = match after.is_some() {
                true => &mut of.kept_examples,
                false => &mut of.dropped_examples,
            };
            if examples.len() < EXAMPLES {
                examples.push(labels.to_string());
            }
            if after.is_none() {
                alive = false;
                of.dropped += 1;
                of.dropped_bytes += bytes;
            }
        }
        // What a rule drops goes on to the others, to see what they would say.
        labels = after.unwrap_or(labels);
    }
    if alive {
        trial.kept += 1;
        trial.kept_bytes += series.bytes(&labels);
    }
    passed
}

/// Places of the `keep` rules among the own ones.
fn keeps(rules: &[Rule], stamps: usize) -> Vec<usize> {
    let own = rules.iter().skip(stamps).enumerate();
    own.filter(|(_, r)| r.config().action.eq_ignore_ascii_case("keep"))
        .map(|(i, _)| i)
        .take(MAX_KEEPS)
        .collect()
}

fn exclusions(keeps: &[usize], both: &[Vec<u64>], rules: &[RuleTrial]) -> Vec<String> {
    let mut out = Vec::new();
    for (i, first) in keeps.iter().enumerate() {
        for (j, second) in keeps.iter().enumerate().skip(i + 1) {
            let together = both.get(i).and_then(|row| row.get(j)).copied().unwrap_or(0);
            let (Some(a), Some(b)) = (rules.get(*first), rules.get(*second)) else { continue };
            if together > 0 || a.alone == 0 || b.alone == 0 {
                continue;
            }
            out.push(format!(
                "keep rules {first} and {second} exclude each other: rule {first} keeps {} series by itself, rule {second} {}, and no series passes both. Rules are joined by \"and\"; one rule whose regex names both with | keeps either",
                a.alone, b.alone
            ));
        }
    }
    out
}

/// A rule as one writes it.
fn text(rule: &Rule) -> String {
    let c = rule.config();
    let mut parts = vec![format!("action: {}", c.action)];
    if !c.source_labels.is_empty() {
        parts.push(format!("source_labels: [{}]", c.source_labels.join(", ")));
    }
    parts.push(format!("regex: {:?}", c.regex));
    if !c.target_label.is_empty() {
        parts.push(format!("target_label: {}, replacement: {:?}", c.target_label, c.replacement));
    }
    format!("{{{}}}", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn destination(rules: &str) -> Destination {
        let text = format!(
            "external_labels: {{replica: a}}\nforward:\n  - name: hub\n    to: remote_write\n    endpoint: http://h\n    write_relabel_configs: [{rules}]\n"
        );
        config::parse(&text, Path::new("o.yaml")).unwrap().forward.remove(0)
    }

    fn series(names: &[&str]) -> Vec<Series> {
        let one =
            |n: &&str| Series { labels: Labels::from_pairs([("__name__", *n), ("job", "x")]), samples: 20 };
        names.iter().map(one).collect()
    }

    #[test]
    fn each_rule_says_what_it_dropped_and_what_would_have_passed() {
        let d = destination(
            "{source_labels: [__name__], regex: 'up|node_.*', action: keep}, {source_labels: [__name__], regex: node_load1, action: drop}, {regex: job, action: labeldrop}",
        );
        let trial = run(&d, &series(&["up", "node_load1", "node_cpu", "pod_a", "pod_b"]));
        assert_eq!((trial.series, trial.kept), (5, 2));
        let seen: Vec<_> = trial.rules.iter().map(|r| (r.rule, r.series, r.dropped, r.alone)).collect();
        assert_eq!(seen, [(0, 5, 2, 3), (1, 3, 1, 4), (2, 2, 0, 5)]);
        assert_eq!(trial.rules[0].dropped_examples.len(), 2);
        assert!(trial.rules[0].kept_examples[0].contains("replica=\"a\""), "{:?}", trial.rules[0]);
        assert!(trial.rules[0].text.contains("regex: \"up|node_.*\""));
        let dropped: u64 = trial.rules.iter().map(|r| r.dropped_bytes).sum();
        assert!(trial.bytes > dropped + trial.kept_bytes, "a label less weighs less");
        assert!(trial.warnings.is_empty());
    }

    #[test]
    fn two_keeps_that_no_series_passes_are_warned_of() {
        let d = destination(
            "{source_labels: [__name__], regex: up, action: keep}, {source_labels: [__name__], regex: 'node_.*', action: keep}",
        );
        let trial = run(&d, &series(&["up", "node_load1", "node_cpu"]));
        assert_eq!(trial.kept, 0);
        assert_eq!(trial.warnings.len(), 1);
        assert!(
            trial.warnings[0].starts_with("keep rules 0 and 1 exclude each other: rule 0 keeps 1 series")
        );
    }
}
