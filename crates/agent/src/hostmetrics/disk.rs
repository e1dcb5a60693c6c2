//! `/proc/diskstats` (Documentation/admin-guide/iostats). Whole devices only: partitions count the same I/O
//! again, so a device is taken when `/sys/block` lists it; without `/sys/block` every line is taken.

use std::path::Path;

use super::points::{Family, Points};

/// The unit of `/proc/diskstats`, whatever the device's own sector size is.
const SECTOR_BYTES: f64 = 512.0;

const IO: Family =
    Family::counter("system_disk_io_bytes_total", "By", "Bytes read from and written to each disk.");
const OPERATIONS: Family =
    Family::counter("system_disk_operations_total", "{operation}", "Reads and writes each disk has done.");
const OPERATION_TIME: Family = Family::counter(
    "system_disk_operation_time_seconds_total",
    "s",
    "Sum of the time each read and write took.",
);
const MERGED: Family =
    Family::counter("system_disk_merged_total", "{operation}", "Reads and writes merged into another one.");
const IO_TIME: Family = Family::counter("system_disk_io_time_seconds_total", "s", "Time each disk was busy.");
const PENDING: Family =
    Family::gauge("system_disk_pending_operations", "{operation}", "Reads and writes under way.");

pub fn points(p: &mut Points, diskstats: &str, sys: &Path) {
    let blocks = sys.join("block");
    let listed = blocks.is_dir();
    for line in diskstats.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let Some((device, counts)) = words.get(2).zip(words.get(3..14)) else { continue };
        let virtual_only = device.starts_with("loop") || device.starts_with("ram");
        if virtual_only || (listed && !blocks.join(device).exists()) {
            continue;
        }
        let n: Vec<f64> = counts.iter().map(|w| w.parse().unwrap_or(0.0)).collect();
        // Reads begin at column 0, writes at column 4: completed, merged, sectors, milliseconds.
        for (direction, at) in [("read", 0), ("write", 4)] {
            let labels = [("system_device", *device), ("disk_io_direction", direction)];
            p.push(&OPERATIONS, &labels, n[at]);
            p.push(&MERGED, &labels, n[at + 1]);
            p.push(&IO, &labels, n[at + 2] * SECTOR_BYTES);
            p.push(&OPERATION_TIME, &labels, n[at + 3] / 1000.0);
        }
        p.push(&PENDING, &[("system_device", device)], n[8]);
        p.push(&IO_TIME, &[("system_device", device)], n[9] / 1000.0);
    }
}
