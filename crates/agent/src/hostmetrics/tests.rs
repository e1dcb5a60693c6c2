use std::fs;

use base::Clock;
use model::{MetricKind, labels::METRIC_NAME};
use proptest::prelude::*;

use super::*;
use crate::context::tests::context;

/// A small machine as files.
fn machine() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("proc/stat", STAT);
    write("proc/loadavg", "0.50 1.25 2.00 1/123 4567\n");
    write("proc/uptime", "1000.50 3000.00\n");
    write(
        "proc/meminfo",
        "MemTotal: 1000 kB\nMemFree: 400 kB\nMemAvailable: 700 kB\nBuffers: 50 kB\nCached: 200 kB\n\
         SReclaimable: 50 kB\nSUnreclaim: 10 kB\nSwapTotal: 100 kB\nSwapFree: 75 kB\nHugePages_Total: 0\n",
    );
    write("proc/vmstat", "pgfault 1000\npgmajfault 10\npswpin 1\npswpout 2\npgpgin 3\npgpgout 4\n");
    write(
        "proc/diskstats",
        " 254 0 vda 100 5 2000 300 50 6 4000 700 1 900 1000 0 0 0 0\n 254 1 vda1 90 5 1900 290 50 6 4000 700 0 890 990\n \
         7 0 loop0 0 0 0 0 0 0 0 0 0 0 0\n",
    );
    fs::create_dir_all(dir.path().join("sys/block/vda")).unwrap();
    write(
        "proc/1/mountinfo",
        "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n23 22 0:5 / /proc rw - proc proc rw\n\
         24 22 254:0 /x /bind\\040mount rw - ext4 /dev/vda rw\n",
    );
    write(
        "proc/net/dev",
        "Inter-|   Receive  |  Transmit\n face |bytes packets errs drop fifo frame compressed multicast|bytes ...\n    \
         lo: 10 1 0 0 0 0 0 0 10 1 0 0 0 0 0 0\n  eth0: 1000 20 3 4 0 0 0 0 500 15 1 2 0 0 0 0\n",
    );
    write(
        "proc/net/tcp",
        "  sl  local_address rem_address   st\n   0: 0100007F:1F90 00000000:0000 0A 0\n   1: 0100007F:1F90 0100007F:1 01 0\n",
    );
    write("proc/self/stat", SELF_STAT);
    fs::create_dir_all(dir.path().join("proc/self/fd/0")).unwrap();
    write("proc/1/stat", "1 (init (x) y) S 0 1 1 0 -1 4 1 0 2 0 5 6 0 0 20 0 1 0 0 1000 10\n");
    dir
}

const STAT: &str = "cpu  100 0 50 800 10 0 5 0 0 0\ncpu0 60 0 30 400 5 0 5 0 0 0\n\
                    cpu1 40 0 20 400 5 0 0 0 0 0\nintr 1\nctxt 999\nbtime 1700000000\nprocesses 77\n";
const SELF_STAT: &str = "42 (orrery) S 1 42 42 0 -1 4 11 0 3 0 250 50 0 0 20 0 8 0 50000 104857600 2560 0\n";

fn collector(dir: &tempfile::TempDir) -> Collector {
    let options =
        Options { proc: dir.path().join("proc"), sys: dir.path().join("sys"), ..Options::default() };
    Collector::new(options, "box")
}

/// `name{own labels}` → value.
fn value(batch: &MetricBatch, text: &str) -> f64 {
    let found = (0..batch.samples.len()).find(|i| {
        let labels =
            batch.series[batch.samples.series[*i] as usize].without(&["job", "instance", "host_name"]);
        labels.to_string() == text
    });
    let all: Vec<String> =
        batch.series.iter().map(|l| l.without(&["job", "instance", "host_name"]).to_string()).collect();
    batch.samples.value[found.unwrap_or_else(|| panic!("no {text} in {all:#?}"))]
}

#[test]
fn a_machine_is_read_under_the_names_of_the_conventions() {
    let dir = machine();
    let (b, problems) = collector(&dir).collect(5_000);
    assert_eq!(problems, Vec::<&str>::new());
    for (series, expected) in [
        ("system_cpu_time_seconds_total{cpu_logical_number=\"0\", cpu_mode=\"user\"}", 0.6),
        ("system_cpu_load_average_5m", 1.25),
        ("system_uptime_seconds", 1000.5),
        ("system_memory_usage_bytes{system_memory_state=\"used\"}", 300.0 * 1024.0),
        ("system_memory_usage_bytes{system_memory_state=\"cached\"}", 250.0 * 1024.0),
        ("system_memory_utilization_ratio{system_memory_state=\"free\"}", 0.4),
        ("system_paging_usage_bytes{system_paging_state=\"used\"}", 25.0 * 1024.0),
        ("system_paging_faults_total{system_paging_fault_type=\"minor\"}", 990.0),
        ("system_disk_io_bytes_total{disk_io_direction=\"write\", system_device=\"vda\"}", 2_048_000.0),
        ("system_disk_operations_total{disk_io_direction=\"read\", system_device=\"vda\"}", 100.0),
        ("system_disk_io_time_seconds_total{system_device=\"vda\"}", 0.9),
        (
            "system_network_io_bytes_total{network_interface_name=\"eth0\", network_io_direction=\"receive\"}",
            1000.0,
        ),
        (
            "system_network_dropped_total{network_interface_name=\"eth0\", network_io_direction=\"transmit\"}",
            2.0,
        ),
        ("system_network_connections{network_connection_state=\"listen\", network_transport=\"tcp\"}", 1.0),
        ("system_processes_count{process_state=\"sleeping\"}", 1.0),
        ("system_processes_created_total", 77.0),
        ("process_cpu_time_seconds_total{cpu_mode=\"user\", process_executable_name=\"orrery\"}", 2.5),
        ("process_memory_virtual_bytes{process_executable_name=\"orrery\"}", 104_857_600.0),
        ("process_open_file_descriptor_count{process_executable_name=\"orrery\"}", 1.0),
        ("process_uptime_seconds{process_executable_name=\"orrery\"}", 500.5),
    ] {
        assert_eq!(value(&b, series), expected, "{series}");
    }
    assert!(b.samples.timestamp_ms.iter().all(|t| *t == 5_000));
    assert!(b.series.iter().all(|l| l.value("job") == "hostmetrics" && l.value("instance") == "box"));
    assert!(
        !b.series.iter().any(|l| l.value("system_device") == "vda1" || l.value("system_device") == "loop0")
    );
    let mounts: Vec<&Labels> =
        b.series.iter().filter(|l| l.metric_name() == "system_filesystem_limit_bytes").collect();
    assert_eq!(mounts.len(), 1, "a bind mount and a pseudo file system do not count: {mounts:?}");
    assert_eq!(mounts[0].value("system_filesystem_mountpoint"), "/");
}

use model::Labels;

#[test]
fn every_family_has_metadata_once() {
    let dir = machine();
    let (b, _) = collector(&dir).collect(0);
    let mut families: Vec<&str> = b.metadata.iter().map(|m| m.family.as_str()).collect();
    let time = b.metadata.iter().find(|m| m.family == "system_cpu_time_seconds_total").unwrap();
    assert_eq!((time.kind, time.unit.as_str()), (MetricKind::Counter, "seconds"));
    families.sort_unstable();
    let mut names: Vec<&str> = b.series.iter().map(|l| l.value(METRIC_NAME)).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(families, names);
}

#[test]
fn cpu_utilization_is_the_share_since_the_last_reading() {
    let dir = machine();
    let mut c = collector(&dir);
    c.collect(0);
    let later = STAT.replace("cpu0 60 0 30 400", "cpu0 85 0 30 475");
    fs::write(dir.path().join("proc/stat"), later).unwrap();
    let (b, _) = c.collect(1000);
    assert_eq!(value(&b, "system_cpu_utilization_ratio{cpu_logical_number=\"0\", cpu_mode=\"user\"}"), 0.25);
    assert_eq!(value(&b, "system_cpu_utilization_ratio{cpu_logical_number=\"0\", cpu_mode=\"idle\"}"), 0.75);
}

#[test]
fn what_cannot_be_read_costs_only_itself() {
    let dir = machine();
    fs::remove_file(dir.path().join("proc/meminfo")).unwrap();
    fs::write(dir.path().join("proc/self/stat"), "garbage").unwrap();
    let (b, problems) = collector(&dir).collect(0);
    assert_eq!(problems, ["meminfo", "self/stat"]);
    assert_eq!(value(&b, "system_cpu_load_average_1m"), 0.5);
}

#[test]
fn escaped_mount_points_are_read() {
    let m =
        filesystem::parse("24 22 254:0 /x /bind\\040mount\\134 ro shared:1 master:2 - ext4 /dev/vda rw\n");
    assert_eq!((m[0].point.as_str(), m[0].read_only), ("/bind mount\\", true));
}

#[tokio::test]
async fn readings_are_appended_every_interval_until_shutdown() {
    let dir = machine();
    let clock = Clock::manual(1_000_000_000);
    let (c, recorder) = context(clock.clone());
    let options = Options {
        proc: dir.path().join("proc"),
        sys: dir.path().join("sys"),
        interval: Duration::from_secs(10),
        ..Options::default()
    };
    start(&c, options);
    for n in 1..=3usize {
        while recorder.units.lock().len() < n {
            tokio::task::yield_now().await;
            clock.advance(Duration::from_secs(1));
        }
    }
    c.shutdown.start();
    c.shutdown.finished(Duration::from_secs(5)).await.unwrap();
    let ids: Vec<_> = recorder.units.lock().iter().map(|u| u.batch_id).collect();
    assert!(ids.windows(2).all(|w| w[0] < w[1]));
}

#[test]
fn the_machine_this_runs_on_is_read() {
    let (b, problems) = Collector::new(Options::default(), "here").collect(0);
    assert!(b.series.len() > 50, "{} series, problems {problems:?}", b.series.len());
    assert!(value(&b, "system_uptime_seconds") > 0.0);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn no_text_makes_a_parser_panic(text in "[a-z0-9:() /\\\\.\n-]{0,300}") {
        let mut e = Emit::new(0, &[]);
        if let Some(s) = cpu::parse_stat(&text) {
            cpu::emit(&mut e, &s, Some(&s));
        }
        cpu::emit_load(&mut e, &text);
        memory::emit(&mut e, &text);
        memory::emit_paging(&mut e, &text);
        disk::parse(&text);
        filesystem::parse(&text);
        network::emit(&mut e, &text);
        network::emit_connections(&mut e, &text, Some(text.clone()));
        process::parse_stat(&text);
    }
}
