//! `/proc/net/dev` and the states in `/proc/net/tcp` (proc(5)).

use super::emit::{Emit, Metric};

const IO: Metric = Metric::counter("system.network.io", "By", "Bytes received and sent.");
const PACKETS: Metric = Metric::counter("system.network.packets", "{packet}", "Packets received and sent.");
const ERRORS: Metric =
    Metric::counter("system.network.errors", "{error}", "Errors while receiving and sending.");
const DROPPED: Metric = Metric::counter("system.network.dropped", "{packet}", "Packets dropped.");
const CONNECTIONS: Metric =
    Metric::gauge("system.network.connections", "{connection}", "TCP sockets by state.");

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Interface<'a> {
    pub(super) name: &'a str,
    /// (bytes, packets, errors, dropped)
    pub(super) receive: [u64; 4],
    pub(super) transmit: [u64; 4],
}

/// Two header lines, then `name: 8 receive columns 8 transmit columns`.
pub(super) fn parse(text: &str) -> Vec<Interface<'_>> {
    text.lines()
        .skip(2)
        .filter_map(|l| {
            let (name, rest) = l.rsplit_once(':')?;
            let columns: Vec<u64> = rest.split_ascii_whitespace().map(|w| w.parse().unwrap_or(0)).collect();
            let four = |from: usize| columns.get(from..from + 4).and_then(|c| <[u64; 4]>::try_from(c).ok());
            Some(Interface { name: name.trim(), receive: four(0)?, transmit: four(8)? })
        })
        .collect()
}

pub(super) fn emit(e: &mut Emit, text: &str) {
    for i in parse(text) {
        for (direction, [bytes, packets, errors, dropped]) in
            [("receive", i.receive), ("transmit", i.transmit)]
        {
            let attributes = [("network.interface.name", i.name), ("network.io.direction", direction)];
            e.push(&IO, &attributes, bytes as f64);
            e.push(&PACKETS, &attributes, packets as f64);
            e.push(&ERRORS, &attributes, errors as f64);
            e.push(&DROPPED, &attributes, dropped as f64);
        }
    }
}

/// States by the hexadecimal number the kernel gives them (`include/net/tcp_states.h`).
const STATES: [&str; 11] = [
    "established",
    "syn_sent",
    "syn_recv",
    "fin_wait_1",
    "fin_wait_2",
    "time_wait",
    "close",
    "close_wait",
    "last_ack",
    "listen",
    "closing",
];

pub(super) fn count_states(text: &str, counts: &mut [u64; 11]) {
    for line in text.lines().skip(1) {
        let state = line.split_ascii_whitespace().nth(3).and_then(|w| usize::from_str_radix(w, 16).ok());
        if let Some(n) = state.and_then(|s| counts.get_mut(s.wrapping_sub(1))) {
            *n += 1;
        }
    }
}

pub(super) fn emit_connections(e: &mut Emit, tcp: &str, tcp6: Option<String>) {
    let mut counts = [0; 11];
    count_states(tcp, &mut counts);
    count_states(&tcp6.unwrap_or_default(), &mut counts);
    for (state, n) in STATES.iter().zip(counts) {
        let attributes = [("network.transport", "tcp"), ("network.connection.state", *state)];
        e.push(&CONNECTIONS, &attributes, n as f64);
    }
}
