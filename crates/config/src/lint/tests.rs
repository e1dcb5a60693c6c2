use std::{
    fs,
    path::{Path, PathBuf},
};

use proptest::prelude::*;

use super::*;

/// Small files in pairs: `x.bad.*` has the findings that comments at its end want, `x.good.*` has none.
fn cases(ending: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("ORRERY_CHECKOUT")).join("crates/config/testdata/lint");
    let mut all: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    all.retain(|p| p.file_stem().unwrap().to_string_lossy().ends_with(ending));
    all.sort();
    all
}

fn found(path: &Path) -> Vec<String> {
    let checked = check(&[path.to_owned()]);
    checked
        .iter()
        .flat_map(|c| &c.findings)
        .map(|f| format!("{}:{} {} {} {}", f.line, f.column, f.severity, f.rule, f.key).trim_end().to_owned())
        .collect()
}

#[test]
fn each_defect_is_found_where_it_stands() {
    let cases = cases(".bad");
    assert!(cases.len() >= 20);
    for path in &cases {
        let text = fs::read_to_string(path).unwrap();
        let wanted = text.lines().filter_map(|l| l.trim_end_matches(" -->").split_once("want: "));
        let wanted: Vec<&str> = wanted.map(|(_, w)| w).collect();
        let found = found(path);
        if std::env::var_os("ORRERY_UPDATE_TESTS").is_some() && wanted != found {
            let is_markdown = path.extension().is_some_and(|e| e == "md");
            let mut kept: String =
                text.lines().filter(|l| !l.contains("want: ")).map(|l| format!("{l}\n")).collect();
            for f in &found {
                let line =
                    if is_markdown { format!("<!-- want: {f} -->\n") } else { format!("# want: {f}\n") };
                kept.push_str(&line);
            }
            fs::write(path, kept).unwrap();
            continue;
        }
        assert!(!wanted.is_empty(), "{} wants nothing", path.display());
        assert_eq!(found, wanted, "{}", path.display());
    }
}

#[test]
fn what_is_written_instead_gives_no_finding() {
    for path in &cases(".good") {
        let twin = path.to_string_lossy().replace(".good.", ".bad.");
        assert!(Path::new(&twin).exists(), "{twin}");
        assert_eq!(found(path), Vec::<String>::new(), "{}", path.display());
    }
}

/// The defects have numbers; each has a file and a twin.
#[test]
fn all_fourteen_defects_have_a_case() {
    let numbers = |ending| {
        let names =
            cases(ending).into_iter().map(|p| p.file_name().unwrap().to_string_lossy()[..2].to_owned());
        let mut numbers: Vec<u32> = names.filter_map(|n| n.parse().ok()).collect();
        numbers.dedup();
        numbers
    };
    let all: Vec<u32> = (1..=14).collect();
    assert_eq!(numbers(".bad"), all);
    assert_eq!(numbers(".good"), all);
}

#[test]
fn every_finding_says_what_it_does_and_what_to_write_and_no_secret() {
    for path in cases(".bad") {
        for c in check(&[path]) {
            for f in &c.findings {
                assert!(!f.effect.is_empty() && !f.instead.is_empty(), "{f}");
                let all = format!("{f} {}", serde_json::to_string(f).unwrap());
                assert!(!all.contains("secret@") && !all.contains("abcdefghij"), "{all}");
            }
        }
    }
}

#[test]
fn defects_between_files_are_found_wherever_they_are_given() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let logs = write("filebeat.yml", "output.elasticsearch:\n  hosts: ['https://es.ops.example.com:9200']\n");
    let traces = write(
        "jaeger.yaml",
        "extensions:\n  jaeger_storage:\n    backends:\n      es:\n        elasticsearch:\n          server_urls: \
         https://es.ops.example.com:9200\n",
    );
    let tenants = write("tenants.yaml", "tenants: [platform, security]\n");
    let vmauth = write(
        "vmauth.yaml",
        "users:\n- {username: platform, password: x, url_prefix: 'http://vmselect:8481/select/1/prometheus'}\n",
    );
    let all = check(&[logs, traces, tenants, vmauth]);
    let told: Vec<(String, &str, u64)> = all
        .iter()
        .flat_map(|c| &c.findings)
        .map(|f| (f.path.file_name().unwrap().to_string_lossy().into_owned(), f.rule, f.line))
        .collect();
    let expected = [
        ("jaeger.yaml".to_owned(), "one-failure-domain", 6),
        ("tenants.yaml".to_owned(), "vmauth-tenant-without-user", 1),
    ];
    assert_eq!(told, expected);
    let kinds: Vec<Kind> = all.iter().flat_map(|c| c.kinds.clone()).collect();
    assert_eq!(kinds, [Kind::Shipper, Kind::Collector, Kind::Tenants, Kind::Vmauth]);
}

#[test]
fn files_that_a_file_names_are_checked_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("orrery.yaml"), "cluster: a\nprometheus: prometheus.yml\n").unwrap();
    fs::write(at("prometheus.yml"), "rule_files: [r*.yml]\n").unwrap();
    fs::write(
        at("r1.yml"),
        "groups:\n- name: g\n  rules:\n  - {record: a, expr: thanos_sidecar_uploads_total}\n",
    )
    .unwrap();
    let all = check(&[at("orrery.yaml")]);
    let files: Vec<_> =
        all.iter().map(|c| c.path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(files, ["orrery.yaml", "prometheus.yml", "r1.yml"]);
    assert!(all[0].node.is_some());
    assert_eq!(
        all[2].findings.iter().map(|f| (f.rule, f.line, f.column)).collect::<Vec<_>>(),
        [("no-such-metric", 4, 23)]
    );
}

#[test]
fn what_cannot_be_read_or_told_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let said = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        found(&path)
    };
    assert!(said("a.yaml", "a: [\n")[0].ends_with(" error not-read"));
    assert_eq!(said("b.yaml", "favourite: blue\n"), ["1:1 warning not-recognised"]);
    assert_eq!(said("orrery.yaml", "clutser: a\n").len(), 1);
    assert_eq!(said("c.yaml", "# nothing\n"), Vec::<String>::new());
    let refused = said("d.yaml", "cluster: a\nlisten: {http: nowhere}\n");
    assert!(refused.len() == 1 && refused[0].starts_with("2:"), "{refused:?}");
    assert!(refused[0].ends_with("error invalid listen.http"), "{refused:?}");
    assert_eq!(found(&dir.path().join("none.yaml")), ["0:0 error not-read"]);
    let template = said("t.yaml", "a: {{ .Values.x }}\nb: 1: 2\n");
    assert_eq!(template.len(), 1);
}

/// Files of Prometheus, Alertmanager and the usual mixins that their programs take: whatever is said of one of
/// them is a false alarm, unless its name says that it is bad.
#[test]
fn real_files_that_are_correct_give_no_finding() {
    let data = Path::new(env!("ORRERY_CHECKOUT")).join("../shared/data");
    if !data.exists() {
        println!("no data beside the checkout: skipped");
        return;
    }
    let mut files = Vec::new();
    for set in ["prom-config", "alertmanager", "promtool-testdata", "rules", "dashboards"] {
        below(&data.join(set), &mut files);
    }
    files.sort();
    let good = |p: &PathBuf| {
        let name = p.file_name().unwrap().to_string_lossy().into_owned();
        REFUSED.iter().all(|r| !name.contains(r))
    };
    let (mut checked, mut said) = (0, Vec::new());
    for path in files.into_iter().filter(good) {
        checked += 1;
        said.extend(check(&[path]).into_iter().flat_map(|c| c.findings).map(|f| f.to_string()));
    }
    assert!(checked > 100, "{checked}");
    assert_eq!(said, Vec::<String>::new(), "of {checked} files");
}

/// Parts of names of files that are there to be refused, or that are no configuration of the kinds we know.
const REFUSED: [&str; 7] = [
    ".bad.",
    "bad-",
    "rules-bad",
    ".incompatible.",
    "config_with_deprecated_am_api_config",
    "openapi",
    // Its route leads to a receiver that it does not define.
    "opsgenie-default-apikey-old-team",
];

fn below(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let extension = path.extension().map(|e| e.to_string_lossy().into_owned()).unwrap_or_default();
        match path.is_dir() {
            true => below(&path, out),
            false if ["yml", "yaml", "json", "rules"].contains(&extension.as_str()) => out.push(path),
            false => {}
        }
    }
}

proptest! {
    /// Whatever a file holds, it is answered.
    #[test]
    fn no_text_makes_the_check_panic(text in "[-:a-c0-9 \\[\\]{},&*!|\"'\n#`~>/=.(_]{0,120}", markdown: bool) {
        let mut found = Findings::default();
        let path = if markdown { "a.md" } else { "a.yaml" };
        let source = Source::read(Path::new(path), text, &mut found);
        let trees: Vec<Tree<'_>> = source.documents.iter().map(Tree::of).collect();
        let file = File { path: Path::new(path), source: &source, trees: &trees };
        one(&file, &mut found);
        across(&[file], &mut [Findings::default()]);
    }
}
