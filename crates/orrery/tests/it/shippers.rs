//! A shipper of logs of another project, unmodified: every line of rotated files arrives, while the node is killed and
//! started again. It runs where `ORRERY_FILEBEAT` names a `filebeat` binary.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    node::{Home, Node, encode, eventually},
    peers::{Peer, free_port},
};

const LINES: usize = 40_000;
const LASTS: Duration = Duration::from_secs(20);

fn program(variable: &str) -> Option<PathBuf> {
    let found = std::env::var_os(variable).map(PathBuf::from).filter(|p| p.is_file());
    if found.is_none() {
        println!("skipped: {variable} names no program");
    }
    found
}

/// Starts a shipper whose output goes to a file.
fn ship(command: &mut Command, log: &Path) -> Peer {
    let file = File::options().create(true).append(true).open(log).unwrap();
    Peer(command.stdout(Stdio::null()).stderr(file).spawn().unwrap())
}

/// Writes numbered lines, renaming the file every second, while the node dies twice: at once, and as it is told to.
fn write_and_restart(dir: &Path, home: &Home, mut node: Node) -> Node {
    let path = dir.join("in.log");
    let (began, mut written, mut second) = (Instant::now(), 0, 0);
    let mut file = File::options().create(true).append(true).open(&path).unwrap();
    while written < LINES {
        let due = LINES as f64 * began.elapsed().as_secs_f64() / LASTS.as_secs_f64();
        let mut text = String::new();
        while written < LINES.min(due as usize + 1) {
            text.push_str(&format!("{written:07} is the number of this line\n"));
            written += 1;
        }
        file.write_all(text.as_bytes()).unwrap();
        if began.elapsed().as_secs() > second {
            second += 1;
            fs::rename(&path, dir.join(format!("in.log.{second}"))).unwrap();
            file = File::options().create(true).append(true).open(&path).unwrap();
            if second == 7 || second == 13 {
                match second {
                    7 => node.kill(),
                    _ => _ = node.terminate(),
                }
                node = home.start();
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    node
}

async fn number(node: &Node, query: &str) -> u64 {
    let v = node.json(&format!("/loki/api/v1/query?query={}", encode(query))).await;
    v["data"]["result"][0]["value"][1].as_str().and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// Waits until every number is there, and says how often any is there more than once.
async fn arrived(what: &str, node: &Node, selector: &str) -> u64 {
    let numbers = format!("{selector} | regexp `(?P<n>\\d{{7}}) is the number`");
    let distinct = format!("count(sum by (n) (count_over_time({numbers} [1h])))");
    let all = LINES as u64;
    let began = Instant::now();
    let found = eventually(what, Duration::from_secs(120), async || {
        let found = number(node, &distinct).await;
        (found >= all || began.elapsed() > Duration::from_secs(90)).then_some(found)
    })
    .await;
    assert_eq!(found, all, "{what}: distinct lines");
    let counted = number(node, &format!("sum(count_over_time({selector}[1h]))")).await;
    println!("{what}: {all} lines, {} of them doubled", counted - all);
    counted - all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filebeat_ships_every_line_once_through_rotations_and_restarts() {
    let Some(filebeat) = program("ORRERY_FILEBEAT") else { return };
    let home = Home::on_port(free_port(), "");
    let node = home.start();
    let dir = home.dir.path().to_owned();
    fs::create_dir_all(dir.join("logs")).unwrap();
    let config = format!(
        "filebeat.inputs:\n- type: filestream\n  id: numbers\n  paths: ['{at}/logs/in.log*']\n  \
         prospector.scanner: {{check_interval: 1s, fingerprint.enabled: false}}\n  file_identity.native: ~\n\
         output.elasticsearch: {{hosts: ['{http}/es'], backoff.max: 2s}}\n\
         path.home: {at}/beat\nlogging: {{level: info, to_stderr: true}}\n",
        at = dir.display(),
        http = node.http
    );
    fs::write(dir.join("filebeat.yml"), config).unwrap();
    let log = dir.join("filebeat.log");
    let _shipper = ship(
        Command::new(filebeat).args(["run", "--strict.perms=false", "-c"]).arg(dir.join("filebeat.yml")),
        &log,
    );
    let node = write_and_restart(&dir.join("logs"), &home, node);
    let doubled = arrived("filebeat", &node, "{index=~\"filebeat-.+\"}").await;
    let said = fs::read_to_string(&log).unwrap();
    for word in
        ["Cannot index event", "dropping", "mapper_parsing", "Failed to load template", "403 Forbidden"]
    {
        assert!(!said.contains(word), "{word}: {said}");
    }
    assert_eq!(doubled, 0);
}
