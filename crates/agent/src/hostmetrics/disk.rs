//! `/proc/diskstats` (kernel documentation, `admin-guide/iostats`).

use std::{collections::BTreeSet, path::Path};

use super::emit::{Emit, Metric};

const IO: Metric = Metric::counter("system.disk.io", "By", "Bytes read from and written to disks.");
const OPERATIONS: Metric =
    Metric::counter("system.disk.operations", "{operation}", "Reads and writes completed.");
const MERGED: Metric =
    Metric::counter("system.disk.merged", "{operation}", "Reads and writes merged into others.");
const OPERATION_TIME: Metric =
    Metric::counter("system.disk.operation_time", "s", "Seconds that reads and writes took, added up.");
const IO_TIME: Metric =
    Metric::counter("system.disk.io_time", "s", "Seconds during which the disk was busy.");
const PENDING: Metric =
    Metric::gauge("system.disk.pending_operations", "{operation}", "Reads and writes under way.");

/// A sector in `/proc/diskstats` is 512 bytes, whatever the device says.
const SECTOR_BYTES: f64 = 512.0;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Disk<'a> {
    pub(super) name: &'a str,
    /// The columns after the name.
    pub(super) columns: [u64; 10],
}

/// Whole disks as `/sys/block` lists them; empty where it cannot be read.
pub(super) fn names(sys_block: &Path) -> BTreeSet<String> {
    let Ok(entries) = std::fs::read_dir(sys_block) else { return BTreeSet::new() };
    entries.flatten().take(4096).filter_map(|e| e.file_name().into_string().ok()).collect()
}

pub(super) fn parse(text: &str) -> Vec<Disk<'_>> {
    text.lines()
        .filter_map(|l| {
            let mut words = l.split_ascii_whitespace().skip(2);
            let name = words.next()?;
            let mut columns = [0; 10];
            for c in &mut columns {
                *c = words.next()?.parse().ok()?;
            }
            Some(Disk { name, columns })
        })
        .collect()
}

/// Emits disks and device-mapper volumes, not their partitions (whose numbers are part of them), and nothing
/// that has never been used, as most loop and RAM disks have not.
pub(super) fn emit(e: &mut Emit, text: &str, whole: &BTreeSet<String>) {
    for d in parse(text) {
        let is_whole = whole.is_empty() || whole.contains(d.name);
        if !is_whole || d.columns.iter().all(|c| *c == 0) || d.name.starts_with("ram") {
            continue;
        }
        let [
            reads,
            reads_merged,
            sectors_in,
            read_ms,
            writes,
            writes_merged,
            sectors_out,
            write_ms,
            pending,
            busy_ms,
        ] = d.columns;
        let device = ("system.device", d.name);
        let sides = [
            ("read", reads, reads_merged, sectors_in, read_ms),
            ("write", writes, writes_merged, sectors_out, write_ms),
        ];
        for (direction, operations, merged, sectors, ms) in sides {
            let attributes = [device, ("disk.io.direction", direction)];
            e.push(&IO, &attributes, sectors as f64 * SECTOR_BYTES);
            e.push(&OPERATIONS, &attributes, operations as f64);
            e.push(&MERGED, &attributes, merged as f64);
            e.push(&OPERATION_TIME, &attributes, ms as f64 / 1000.0);
        }
        e.push(&IO_TIME, &[device], busy_ms as f64 / 1000.0);
        e.push(&PENDING, &[device], pending as f64);
    }
}
