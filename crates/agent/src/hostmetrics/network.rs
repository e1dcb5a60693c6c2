//! `/proc/net/dev` (proc(5)).

use super::points::{Family, Points};

const IO: Family =
    Family::counter("system_network_io_bytes_total", "By", "Bytes each interface received and transmitted.");
const PACKETS: Family = Family::counter(
    "system_network_packet_count_total",
    "{packet}",
    "Packets each interface received and transmitted.",
);
const ERRORS: Family = Family::counter("system_network_errors_total", "{error}", "Errors of each interface.");
const DROPPED: Family =
    Family::counter("system_network_packet_dropped_total", "{packet}", "Packets each interface dropped.");

pub fn points(p: &mut Points, dev: &str) {
    for line in dev.lines() {
        let Some((name, rest)) = line.split_once(':') else { continue };
        let n: Vec<f64> = rest.split_ascii_whitespace().map(|w| w.parse().unwrap_or(0.0)).collect();
        // Eight columns received, eight transmitted: bytes, packets, errors, dropped, ...
        for (direction, at) in [("receive", 0), ("transmit", 8)] {
            let Some(c) = n.get(at..at + 4) else { continue };
            let labels = [("network_interface_name", name.trim()), ("network_io_direction", direction)];
            p.push(&IO, &labels, c[0]);
            p.push(&PACKETS, &labels, c[1]);
            p.push(&ERRORS, &labels, c[2]);
            p.push(&DROPPED, &labels, c[3]);
        }
    }
}
