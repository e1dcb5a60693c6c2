//! Which files there are, and what their place says about what is in them.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use model::{Attributes, Labels, LogStream, attributes::Resource};

use super::{Source, glob, records::Format};

const POD_FILES: &str = "*/*/*.log";
/// Compressed files are finished ones that were read when they were written.
const COMPRESSED: [&str; 6] = ["gz", "zst", "bz2", "xz", "lz4", "zip"];

/// All files of a source, without those excluded, each once.
pub(super) fn files(source: &Source) -> BTreeSet<PathBuf> {
    let patterns = match source {
        Source::Files { paths, .. } => paths.clone(),
        Source::Pods { root, .. } => vec![format!("{}/{POD_FILES}", root.display())],
    };
    let found = patterns.iter().flat_map(|p| glob::expand(p));
    found
        .filter(|p| !p.extension().and_then(|e| e.to_str()).is_some_and(|e| COMPRESSED.contains(&e)))
        .filter(|p| !is_excluded(source, p))
        .collect()
}

pub(super) fn is_excluded(source: &Source, path: &Path) -> bool {
    let (Source::Files { exclude, .. } | Source::Pods { exclude, .. }) = source;
    exclude.iter().any(|e| glob::matches_path(e, path))
}

/// Whether `name` is what a rotation makes of `live`: a number or a date behind it, as the kubelet
/// (`0.log.20240506-070809`) and logrotate (`app.log.1`, `app.log-20240506`) write them.
pub(super) fn is_rotated(name: &str, live: &str) -> bool {
    let behind = name.strip_prefix(live).and_then(|rest| rest.strip_prefix(['.', '-']));
    behind.is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_ascii_digit())
            && rest.bytes().all(|b| b.is_ascii_digit() || b"-_.:TZ".contains(&b))
    })
}

/// Directories in which new files can appear, for watching.
pub(super) fn bases(source: &Source) -> BTreeSet<PathBuf> {
    match source {
        Source::Files { paths, .. } => paths.iter().map(|p| glob::base(p)).collect(),
        Source::Pods { root, .. } => BTreeSet::from([root.clone()]),
    }
}

pub(super) fn format(source: &Source) -> Format {
    match source {
        Source::Files { .. } => Format::Plain,
        Source::Pods { .. } => Format::Container,
    }
}

/// The stream of a file's records: labels to select by, and the resource.
pub(super) fn stream(source: &Source, path: &Path, host_name: &str) -> LogStream {
    match source {
        Source::Files { job, service_name, .. } => {
            let service = service_name.clone().unwrap_or_else(|| stem(path));
            file_stream(path, job, &service, host_name)
        }
        Source::Pods { .. } => pod(path).map_or_else(
            || file_stream(path, "pods", &stem(path), host_name),
            |p| pod_stream(&p, path, host_name),
        ),
    }
}

/// What `<namespace>_<pod>_<uid>/<container>/<restart>.log` says.
#[derive(Debug, PartialEq, Eq)]
struct Pod<'a> {
    namespace: &'a str,
    name: &'a str,
    uid: &'a str,
    container: &'a str,
    restarts: Option<i64>,
}

fn pod(path: &Path) -> Option<Pod<'_>> {
    let container = path.parent()?;
    let dir = container.parent()?.file_name()?.to_str()?;
    // None of the three may hold an underscore.
    let mut words = dir.splitn(3, '_');
    Some(Pod {
        namespace: words.next()?,
        name: words.next()?,
        uid: words.next()?,
        container: container.file_name()?.to_str()?,
        restarts: path.file_name()?.to_str()?.split('.').next()?.parse().ok(),
    })
}

fn pod_stream(p: &Pod<'_>, path: &Path, host_name: &str) -> LogStream {
    let labels = Labels::from_pairs([
        ("job", "pods"),
        ("service_name", p.container),
        ("k8s_namespace_name", p.namespace),
        ("k8s_pod_name", p.name),
        ("k8s_container_name", p.container),
        ("host_name", host_name),
    ]);
    let mut attributes = Attributes::default();
    attributes.push("service.name", p.container);
    attributes.push("k8s.namespace.name", p.namespace);
    attributes.push("k8s.pod.name", p.name);
    attributes.push("k8s.pod.uid", p.uid);
    attributes.push("k8s.container.name", p.container);
    if let Some(n) = p.restarts {
        attributes.push("k8s.container.restart_count", n);
    }
    with_file(labels, attributes, path, host_name)
}

fn file_stream(path: &Path, job: &str, service: &str, host_name: &str) -> LogStream {
    let shown = path.to_string_lossy();
    let labels = Labels::from_pairs([
        ("job", job),
        ("service_name", service),
        ("filename", &*shown),
        ("host_name", host_name),
    ]);
    let mut attributes = Attributes::default();
    attributes.push("service.name", service);
    with_file(labels, attributes, path, host_name)
}

fn with_file(labels: Labels, mut attributes: Attributes, path: &Path, host_name: &str) -> LogStream {
    attributes.push("log.file.path", path.to_string_lossy().into_owned());
    attributes.push("host.name", host_name);
    LogStream { labels, resource: Resource { attributes, ..Resource::default() }, ..LogStream::default() }
}

/// The file's name without extensions and rotation numbers.
fn stem(path: &Path) -> String {
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let stem = name.split('.').find(|s| !s.is_empty()).unwrap_or(name);
    stem.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_path_says_who_wrote_the_lines() {
        let source = Source::Pods { root: "/var/log/pods".into(), exclude: vec![] };
        let path = Path::new("/var/log/pods/kube-system_coredns-5d7_aa-bb/coredns/3.log");
        let s = stream(&source, path, "box");
        assert_eq!(
            s.labels.to_string(),
            "{host_name=\"box\", job=\"pods\", k8s_container_name=\"coredns\", k8s_namespace_name=\"kube-system\", \
             k8s_pod_name=\"coredns-5d7\", service_name=\"coredns\"}"
        );
        let a = &s.resource.attributes;
        assert_eq!(a.get_str("k8s.pod.uid"), Some("aa-bb"));
        assert_eq!(a.get("k8s.container.restart_count"), Some(&3i64.into()));
    }

    #[test]
    fn a_plain_file_is_named_by_its_path_and_serves_under_its_own_name() {
        let source =
            Source::Files { paths: vec![], exclude: vec![], job: "files".into(), service_name: None };
        let s = stream(&source, Path::new("/var/log/nginx/access.log.1"), "box");
        assert_eq!((s.labels.value("service_name"), s.labels.value("job")), ("access", "files"));
        assert_eq!(s.labels.value("filename"), "/var/log/nginx/access.log.1");
    }

    #[test]
    fn a_rotation_puts_a_number_or_a_date_behind_a_name() {
        for name in ["0.log.20240506-070809", "0.log.1", "0.log-20240506", "0.log.2024-05-06T07:08:09Z"] {
            assert!(is_rotated(name, "0.log"), "{name}");
        }
        for name in ["0.log", "0.log.", "0.log.1.gz", "0.log.20240506-070809.tmp", "0.log.bak", "10.log.1"] {
            assert!(!is_rotated(name, "0.log"), "{name}");
        }
    }

    #[test]
    fn compressed_and_excluded_files_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.log", "b.log", "a.log.1.gz", "c.txt"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let root = dir.path().display();
        let source = Source::Files {
            paths: vec![format!("{root}/*")],
            exclude: vec![format!("{root}/b*"), "*.txt".into()],
            job: "x".into(),
            service_name: None,
        };
        let names: Vec<String> = files(&source).iter().map(|p| stem(p)).collect();
        assert_eq!(names, ["a", "c"], "an exclude pattern is compared with the whole path");
    }
}
