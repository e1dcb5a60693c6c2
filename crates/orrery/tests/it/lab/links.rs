//! The laboratory proves itself: what its links do is seen by programs that know nothing of it.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use super::{Impostor, Lab, Link, TEST, Traffic, python, script};

const PORT: u16 = 7007;

/// Sends that many bytes from one host to the echo on another, and says what came back.
fn ask(lab: &Lab, from: &str, to: &str, bytes: usize, patience: Duration) -> String {
    let out = lab
        .host(from)
        .command(python().unwrap())
        .arg(script("faults.py"))
        .args(["ask", &format!("{}:{PORT}", lab.host(to).address), &bytes.to_string()])
        .arg(patience.as_secs_f64().to_string())
        .output()
        .unwrap();
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

fn echo(lab: &Lab, host: &str) -> Impostor {
    Impostor::start(lab.host(host), &["echo", &PORT.to_string()])
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn hosts_and_the_test_reach_each_other_and_each_way_is_counted() {
    let Some(lab) = Lab::new(1, &["a", "b", "c"]) else { return };
    let _echo = echo(&lab, "b");
    assert_eq!(ask(&lab, "a", "b", 100_000, LONG), "same");
    assert_eq!(ask(&lab, "a", "b", 10, LONG), "same");
    assert_eq!(ask(&lab, TEST, "b", 1_000_000, LONG), "same");

    let there = lab.traffic("a", "b");
    assert_eq!(there.opened.iter().collect::<Vec<_>>(), [(&PORT, &2)]);
    assert!(there.bytes > 100_000 && there.packets > 70 && there.lost == 0, "{there:?}");
    let back = lab.traffic("b", "a");
    assert!(back.bytes > 100_000 && back.opened.is_empty(), "{back:?}");
    assert_eq!(lab.traffic(TEST, "b").opened[&PORT], 1);
    assert_eq!(lab.traffic("a", "c"), Traffic::default());
}

#[test]
fn a_cut_link_loses_everything_until_it_is_healed_and_others_do_not_notice() {
    let Some(lab) = Lab::new(1, &["a", "b", "c"]) else { return };
    let _echo = echo(&lab, "b");
    lab.cut("a", "b");
    let said = ask(&lab, "a", "b", 10, Duration::from_secs(1));
    assert!(said.starts_with("TimeoutError"), "{said}");
    assert_eq!(ask(&lab, "c", "b", 10, LONG), "same");
    let cut = lab.traffic("a", "b");
    assert_eq!((cut.lost, cut.opened[&PORT]), (cut.packets, 1));
    lab.heal();
    assert_eq!(ask(&lab, "a", "b", 10, LONG), "same");
}

#[test]
fn a_fifth_of_the_packets_is_lost_and_the_bytes_still_arrive() {
    let Some(lab) = Lab::new(7, &["a", "b"]) else { return };
    let _echo = echo(&lab, "b");
    lab.loss("a", "b", 0.2);
    assert_eq!(ask(&lab, "a", "b", 30_000, LONG), "same");
    let way = lab.traffic("a", "b");
    assert!(way.lost > 0 && way.lost < way.packets, "{way:?}");
}

#[test]
fn a_delayed_link_takes_at_least_its_delay_both_ways() {
    let Some(lab) = Lab::new(1, &["a", "b"]) else { return };
    let _echo = echo(&lab, "b");
    let delay = Duration::from_millis(300);
    lab.delay("a", "b", delay);
    let began = Instant::now();
    assert_eq!(ask(&lab, "a", "b", 10, LONG), "same");
    // The handshake's two ways, and the two of the bytes.
    assert!(began.elapsed() >= 4 * delay, "{:?}", began.elapsed());
}

#[test]
fn a_slow_link_lets_no_more_through_than_its_rate_and_doubled_packets_do_no_harm() {
    let Some(lab) = Lab::new(3, &["a", "b"]) else { return };
    let _echo = echo(&lab, "b");
    let jitter = Duration::from_millis(10);
    lab.link("a", "b", Link { rate: 200_000, duplicate: 0.3, jitter, ..Link::default() });
    let began = Instant::now();
    assert_eq!(ask(&lab, "a", "b", 200_000, LONG), "same");
    assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
    assert!(lab.traffic("a", "b").duplicated > 0);
}

#[test]
fn a_drip_passes_everything_on_until_it_drips() {
    let Some(lab) = Lab::new(1, &["a", "b", "c"]) else { return };
    let _echo = echo(&lab, "b");
    let upstream = format!("{}:{PORT}", lab.host("b").address);
    let mut drip = Impostor::start(lab.host("c"), &["drip", &PORT.to_string(), &upstream]);
    assert_eq!(ask(&lab, "a", "c", 50_000, LONG), "same");
    drip.drip();
    let said = ask(&lab, "a", "c", 1000, Duration::from_secs(2));
    assert_ne!(said, "same");
}

#[test]
fn what_a_killed_switch_left_is_cleared_away_by_the_next() {
    let Some(mut lab) = Lab::new(1, &["a"]) else { return };
    let namespace = lab.host("a").namespace.clone().unwrap();
    let mut left = lab.host("a").command("sleep").arg("600").spawn().unwrap();
    lab.switch.kill().unwrap();
    lab.switch.wait().unwrap();
    assert!(namespaces().contains(&namespace) || left.try_wait().unwrap().is_some());
    let next = Lab::new(1, &["a"]).unwrap();
    assert!(!namespaces().contains(&namespace));
    assert!(!left.wait().unwrap().success());
    let own = next.host("a").namespace.clone().unwrap();
    assert!(namespaces().contains(&own));
    drop(next);
    assert!(!namespaces().contains(&own));
}

fn namespaces() -> String {
    let out = Command::new("ip").args(["netns", "list"]).output().unwrap();
    String::from_utf8_lossy(&out.stdout).into_owned()
}
