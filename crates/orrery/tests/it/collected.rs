//! What the node collects of files: every byte of it, every line once, whatever rotations and restarts come between.
//!
//! `ORRERY_ROTATED_LINES` and `ORRERY_ROTATED_RESTARTS` set how much (default 40000 lines and 6 restarts; a release is
//! shown with 600000 and 20).

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    lifecycle::now_ns,
    node::{Home, Node, encode, eventually, root},
};

/// A node that follows `pods` and `files` below its directory and nothing else.
fn home(more: &str) -> Home {
    let mut home = Home::with("");
    let at = home.dir.path().display();
    home.extra = format!(
        "collect:\n  host: {{enabled: false}}\n  traces: {{enabled: false}}\n  defaults: false\n  \
         files: {{paths: ['{at}/files/*.log'], start_at: beginning}}\n  \
         pods: {{path: '{at}/pods', start_at: beginning}}\n{more}"
    );
    home
}

/// The file of a pod that the kubelet would write to.
fn pod_log(home: &Home, pod: &str) -> PathBuf {
    let dir = home.dir.path().join(format!("pods/default_{pod}_{pod}-uid/app"));
    fs::create_dir_all(&dir).unwrap();
    dir.join("0.log")
}

/// (nanoseconds, line) of all entries between two times, in order of time.
async fn entries(node: &Node, selector: &str, from_ns: i64, to_ns: i64) -> Vec<(i64, String)> {
    let path = format!(
        "/loki/api/v1/query_range?query={}&start={from_ns}&end={to_ns}&limit=5000&direction=forward",
        encode(selector)
    );
    let v = node.json(&path).await;
    assert_eq!(v["status"], "success", "{selector}: {v}");
    let mut out = Vec::new();
    for stream in v["data"]["result"].as_array().unwrap() {
        for e in stream["values"].as_array().unwrap() {
            out.push((e[0].as_str().unwrap().parse().unwrap(), e[1].as_str().unwrap().to_owned()));
        }
    }
    // Streams come one after the other.
    out.sort_by_key(|(ns, _)| *ns);
    out
}

async fn count(node: &Node, selector: &str) -> u64 {
    let path =
        format!("/loki/api/v1/query?query={}", encode(&format!("sum(count_over_time({selector}[1h]))")));
    let v = node.json(&path).await;
    v["data"]["result"][0]["value"][1].as_str().and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// What a container wrote, read from the runtime's file in the most literal way: time and text of each record.
fn literal(bytes: &[u8]) -> Vec<(i64, String)> {
    let mut out: Vec<(i64, String)> = Vec::new();
    let mut open: BTreeMap<String, (i64, String)> = BTreeMap::new();
    for line in bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
        let (time, stream, ends, text) = match serde_json::from_slice::<Value>(line) {
            Ok(v) => {
                let log = v["log"].as_str().unwrap();
                let text = log.strip_suffix('\n').unwrap_or(log).to_owned();
                let of = |key: &str| v[key].as_str().unwrap().to_owned();
                (of("time"), of("stream"), log.ends_with('\n'), text)
            }
            Err(_) => {
                let line = std::str::from_utf8(line).unwrap();
                let words: Vec<&str> = line.splitn(4, ' ').collect();
                (words[0].to_owned(), words[1].to_owned(), words[2] == "F", words[3].to_owned())
            }
        };
        let at = chrono::DateTime::parse_from_rfc3339(&time).unwrap().timestamp_nanos_opt().unwrap();
        let record = open.entry(stream.clone()).or_insert((at, String::new()));
        record.1.push_str(&text);
        if ends {
            out.extend(open.remove(&stream));
        }
    }
    out.extend(open.into_values());
    out
}

/// Lines as runtimes write them that the corpus has none of.
fn awkward() -> String {
    let long = "x".repeat(16_384);
    let mut out = String::new();
    for (n, (stream, tag, text)) in [
        ("stdout", "F", "plain"),
        ("stdout", "F", ""),
        ("stdout", "F", "  blanks around  "),
        ("stderr", "F", "ends in a carriage return\r"),
        ("stdout", "F", "\ttab, \u{1}, \u{7f}, \u{feff}, \u{2028}, é, 漢字, 🚀, \\n \\u0041 \"quoted\""),
        ("stdout", "P", "first part, "),
        ("stderr", "F", "between the parts"),
        ("stdout", "P", &long),
        ("stdout", "F", " and the last"),
        ("stdout", "F", "{\"log\":\"an object\\n\",\"stream\":\"stdout\",\"time\":\"2024-01-01T00:00:00Z\"}"),
        ("stderr", "F", "2024-05-06T07:08:09Z stdout F looks like one more"),
    ]
    .into_iter()
    .enumerate()
    {
        out.push_str(&format!("2024-05-06T07:08:09.{n:09}Z {stream} {tag} {text}\n"));
    }
    out
}

#[tokio::test]
async fn pod_logs_of_real_clusters_arrive_byte_for_byte() {
    let home = home("retention: {logs: 0}\n");
    let mut pods: Vec<(String, Vec<u8>)> = vec![("awkward".to_owned(), awkward().into_bytes())];
    let corpus = root().join("../shared/data/fluentbit-k8s/log");
    match fs::read_dir(&corpus) {
        Err(_) => println!("{} is not there: only our own lines are compared", corpus.display()),
        Ok(folders) => {
            for folder in folders.flatten() {
                for file in fs::read_dir(folder.path()).unwrap().flatten() {
                    let name = format!("pod-{}", pods.len());
                    pods.push((name, fs::read(file.path()).unwrap()));
                }
            }
        }
    }
    for (pod, bytes) in &pods {
        fs::write(pod_log(&home, pod), bytes).unwrap();
    }
    let node = home.start();
    let (mut lines, mut all_bytes) = (0, 0);
    for (pod, bytes) in &pods {
        let mut expected = literal(bytes);
        expected.sort();
        let (first, last) = (expected.first().unwrap().0, expected.last().unwrap().0);
        let selector = format!("{{k8s_pod_name=\"{pod}\"}}");
        let mut found = eventually(pod, Duration::from_secs(60), async || {
            let found = entries(&node, &selector, first, last + 1).await;
            (found.len() >= expected.len()).then_some(found)
        })
        .await;
        found.sort();
        assert_eq!(found, expected, "{pod}");
        lines += found.len();
        all_bytes += found.iter().map(|(_, l)| l.len()).sum::<usize>();
    }
    println!("{lines} records of {} files, {all_bytes} bytes, each as it was written", pods.len());
}

#[tokio::test]
async fn collected_lines_have_a_level_as_lines_that_are_sent_have() {
    let home = home("");
    let lines = [
        ("level=warn x=1", "warn"),
        ("there was no error at all", "error"),
        ("GET / 200", "unknown"),
        ("E0102 15:04:05.678901 1 main.go:1] klog", "error"),
    ];
    let now = chrono::Utc::now().to_rfc3339();
    let text: String = lines.iter().map(|(l, _)| format!("{now} stdout F {l}\n")).collect();
    fs::write(pod_log(&home, "levels"), text).unwrap();
    fs::create_dir_all(home.dir.path().join("files")).unwrap();
    fs::write(home.dir.path().join("files/plain.log"), "plain [ERROR] it failed\n").unwrap();
    let node = home.start();
    let all = "{job=~\".+\"}";
    eventually("all lines", Duration::from_secs(30), async || (count(&node, all).await == 5).then_some(()))
        .await;
    for (line, level) in lines.into_iter().chain([("plain [ERROR] it failed", "error")]) {
        let query = format!("{all} |= `{line}` | detected_level=\"{level}\"");
        assert_eq!(node.lines(&query).await, [line], "{level}");
    }
}

/// Someone who logs, and a kubelet who rotates.
struct Writer<'a> {
    path: &'a Path,
    lines: usize,
    lasts: Duration,
    /// When each line was written, as it says itself.
    times: Vec<i64>,
    rotated: Vec<PathBuf>,
}

/// Rotated files that are kept, packed ones included. The last that was rotated is not packed, as the kubelet does it.
const KEPT: usize = 40;

impl Writer<'_> {
    fn write(&mut self, written: &AtomicUsize) {
        let began = Instant::now();
        let (mut file, mut rotations) = (self.open(), 0);
        while self.times.len() < self.lines {
            let due = self.lines as f64 * began.elapsed().as_secs_f64() / self.lasts.as_secs_f64();
            let mut text = String::new();
            while self.times.len() < self.lines.min(due as usize + 1) {
                let after = self.times.last().map_or(0, |t| t + 1);
                let at = now_ns().max(after);
                let time = chrono::DateTime::from_timestamp_nanos(at);
                let number = self.times.len();
                text.push_str(&format!(
                    "{} stdout F {number:07} is the number of this line, which one of many wrote\n",
                    time.format("%Y-%m-%dT%H:%M:%S%.9fZ")
                ));
                self.times.push(at);
            }
            file.write_all(text.as_bytes()).unwrap();
            written.store(self.times.len(), Relaxed);
            if began.elapsed().as_secs() > rotations {
                rotations += 1;
                drop(file);
                self.rotate(rotations);
                file = self.open();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        println!("{} lines with {rotations} rotations in {:?}", self.lines, began.elapsed());
    }

    fn open(&self) -> File {
        File::options().create(true).append(true).open(self.path).unwrap()
    }

    fn rotate(&mut self, number: u64) {
        if let Some(before) = self.rotated.last_mut() {
            pack(before);
        }
        let to = PathBuf::from(format!("{}.20240506-{number:06}", self.path.display()));
        fs::rename(self.path, &to).unwrap();
        self.rotated.push(to);
        if self.rotated.len() > KEPT {
            fs::remove_file(self.rotated.remove(0)).unwrap();
        }
    }
}

/// As the kubelet does: under another name, renamed, and the original goes.
fn pack(path: &mut PathBuf) {
    let named = |end: &str| PathBuf::from(format!("{}{end}", path.display()));
    let status = std::process::Command::new("gzip")
        .args(["-1", "-c"])
        .arg(&*path)
        .stdout(File::create(named(".tmp")).unwrap())
        .status();
    assert!(status.unwrap().success());
    fs::rename(named(".tmp"), named(".gz")).unwrap();
    fs::remove_file(&*path).unwrap();
    *path = named(".gz");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbered_lines_arrive_once_each_under_rotation_every_second_and_restarts() {
    let set =
        |name: &str, otherwise| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(otherwise);
    let (lines, restarts) = (set("ORRERY_ROTATED_LINES", 40_000), set("ORRERY_ROTATED_RESTARTS", 6));
    let home = home("");
    let path = pod_log(&home, "numbers");
    let first = home.start();
    let written = AtomicUsize::new(0);
    let lasts = Duration::from_secs(2 * restarts as u64 + 2);
    let mut writer = Writer { path: &path, lines, lasts, times: Vec::new(), rotated: Vec::new() };
    let (node, times) = std::thread::scope(|s| {
        let mut node = first;
        let writing = s.spawn(|| {
            writer.write(&written);
            writer.times
        });
        for n in 0..restarts {
            // Spread over what is written, and over what a second has.
            let due = lines / (restarts + 1) * (n + 1) + lines / (restarts * 7) * (n % 7) / 7;
            while written.load(Relaxed) < due {
                std::thread::sleep(Duration::from_millis(10));
            }
            match n % 2 {
                0 => node.kill(),
                _ => _ = node.terminate(),
            }
            node = home.start();
        }
        (node, writing.join().unwrap())
    });
    let selector = "{k8s_pod_name=\"numbers\"}";
    eventually("all lines", Duration::from_secs(180), async || {
        (count(&node, selector).await >= lines as u64).then_some(())
    })
    .await;
    let (mut lost, mut doubled, mut torn) = (Vec::new(), Vec::new(), Vec::new());
    for (first, window) in times.chunks(4000).enumerate().map(|(n, w)| (n * 4000, w)) {
        let found = entries(&node, selector, window[0], window[window.len() - 1] + 1).await;
        let mut at = found.iter().peekable();
        for (number, ns) in (first..).zip(window) {
            let expected = format!("{number:07} is the number of this line, which one of many wrote");
            let mut times = 0;
            while let Some((_, line)) = at.next_if(|(found, _)| found == ns) {
                times += 1;
                if *line != expected {
                    torn.push(line.clone());
                }
            }
            match times {
                0 => lost.push(number),
                1 => {}
                _ => doubled.push(number),
            }
        }
        torn.extend(at.map(|(_, line)| line.clone()));
    }
    println!(
        "{lines} lines, {restarts} restarts: {} lost, {} doubled, {} torn",
        lost.len(),
        doubled.len(),
        torn.len()
    );
    let few = |n: &[usize]| n.iter().take(10).copied().collect::<Vec<_>>();
    assert!(
        lost.is_empty() && doubled.is_empty() && torn.is_empty(),
        "lost {:?}, doubled {:?}, torn {:?}\n{}",
        few(&lost),
        few(&doubled),
        torn.first(),
        home.log_text()
    );
    assert_eq!(count(&node, selector).await, lines as u64);
    let answer = node.get("/metrics").await;
    let problems = String::from_utf8_lossy(&answer.body).into_owned();
    let problems: Vec<&str> = problems.lines().filter(|l| l.starts_with("orrery_agent_problems")).collect();
    println!("{}", json!(problems));
}
