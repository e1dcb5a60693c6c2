use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use proptest::prelude::*;
use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::*;

/// 2027-01-15.
const NOW: i64 = 1_800_000_000;

fn leaf(cluster: &str, days: u32) -> Leaf {
    let (dns, ips) = (vec!["node.example.com".to_owned()], vec!["10.0.0.1".parse().unwrap()]);
    Leaf { cluster: cluster.to_owned(), dns, ips, days }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn an_authority_is_made_once_and_its_key_is_its_owners() {
    let dir = tempfile::tempdir().unwrap();
    let made = init(dir.path(), "Our CA", 3650, NOW).unwrap();
    assert!(made.facts.is_ca && made.facts.is_self_signed());
    assert_eq!(made.facts.subject, "CN=Our CA");
    assert_eq!((mode(&made.key), mode(&made.cert)), (0o600, 0o644));
    let before = fs::read(&made.key).unwrap();
    let e = init(dir.path(), "Our CA", 3650, NOW).unwrap_err().to_string();
    assert!(e.contains("ca.crt: it exists already"), "{e}");
    fs::remove_file(&made.cert).unwrap();
    assert!(init(dir.path(), "Our CA", 3650, NOW).unwrap_err().to_string().contains("ca.key"));
    assert_eq!(fs::read(&made.key).unwrap(), before);
}

#[test]
fn what_is_issued_names_its_cluster_and_hosts_and_outlives_nothing_that_signed_it() {
    let dir = tempfile::tempdir().unwrap();
    init(dir.path(), "Our CA", 100, NOW).unwrap();
    let first = issue(dir.path(), &leaf("dev-01", 50), NOW).unwrap();
    let facts = &first.made.facts;
    assert_eq!(facts.cluster().unwrap(), Some("dev-01"));
    assert_eq!((facts.dns.join(","), facts.ips.len()), ("node.example.com".to_owned(), 1));
    assert!(facts.server_auth && facts.client_auth && !facts.is_ca);
    assert_eq!((facts.not_before, facts.not_after), (NOW - 3600, NOW + 50 * DAY_S));
    assert_eq!(mode(&first.made.key), 0o600);
    assert!(first.replaced.is_none() && !first.shortened);
    let again = issue(dir.path(), &leaf("dev-01", 365), NOW).unwrap();
    assert_eq!(again.replaced.as_ref(), Some(facts));
    assert!(again.shortened);
    assert_eq!(again.made.facts.not_after, NOW + 100 * DAY_S);
    assert_ne!(again.made.facts.serial, facts.serial);
    assert_eq!(mode(&again.made.key), 0o600);
}

#[test]
fn what_cannot_be_issued_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let said = |leaf: Leaf, now_s: i64| issue(dir.path(), &leaf, now_s).unwrap_err().to_string();
    assert!(said(leaf("dev-01", 1), NOW).contains("ca.crt: it cannot be read"));
    init(dir.path(), "Our CA", 100, NOW).unwrap();
    assert!(said(leaf("ca", 1), NOW).contains("\"ca\""));
    assert!(said(leaf("a/b", 1), NOW).contains("cluster"));
    assert!(said(leaf("dev-01", 0), NOW).contains("a day at least"));
    assert!(said(Leaf { dns: vec!["no host".to_owned()], ..leaf("dev-01", 1) }, NOW).contains("\"no host\""));
    assert!(said(leaf("dev-01", 1), NOW + 101 * DAY_S).contains("the authority expired on 2027-04-25"));
    let other = tempfile::tempdir().unwrap();
    init(other.path(), "Our CA", 100, NOW).unwrap();
    fs::copy(other.path().join(CA_KEY), dir.path().join(CA_KEY)).unwrap();
    assert!(said(leaf("dev-01", 1), NOW).contains("the key does not belong to the certificate in ca.crt"));
    fs::write(dir.path().join(CA_KEY), "secret words").unwrap();
    let e = said(leaf("dev-01", 1), NOW);
    assert!(e.contains("ca.key") && !e.contains("secret"), "{e}");
}

#[test]
fn a_whole_set_has_no_problem_and_a_stranger_has_one() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for d in [&dir, &other] {
        init(d.path(), "Our CA", 3650, NOW).unwrap();
        issue(d.path(), &leaf("dev-01", 365), NOW).unwrap();
    }
    let files = ["dev-01.crt", "dev-01.key", CA_CERT].map(|f| dir.path().join(f));
    let ca = dir.path().join(CA_CERT);
    let report = check(&files, Some(&ca), NOW).unwrap();
    assert_eq!((report.problems.len(), report.advice.len()), (0, 0), "{report:#?}");
    let text = report.lines.join("\n");
    for part in [
        "dev-01.crt\n  subject   CN=dev-01\n  serial    ",
        "  cluster   dev-01\n  names     node.example.com, 10.0.0.1\n",
        "to 2028-01-15 08:00 UTC (365 days left)\n  signed by CN=Our CA\n  is for    serving and calling",
        "  chain     leads to an authority of --ca",
        "dev-01.key\n  key       belongs to ",
        "  is for    an authority: signs others",
    ] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    let strangers = other.path().join(CA_CERT);
    let report = check(&files, Some(&strangers), NOW).unwrap();
    assert!(report.problems[0].ends_with("dev-01.crt is signed by an unknown authority"), "{report:#?}");
    assert!(report.problems[1].ends_with("ca.crt is not among the authorities of --ca"), "{report:#?}");
    let mixed = [dir.path().join("dev-01.crt"), other.path().join("dev-01.key")];
    let report = check(&mixed, None, NOW).unwrap();
    assert!(report.problems[0].contains("belongs to none of the certificates given"), "{report:#?}");
    assert!(report.advice[0].contains("give its certificate by --ca"), "{report:#?}");
}

#[test]
fn what_is_wrong_comes_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    init(dir.path(), "Our CA", 3650, NOW).unwrap();
    issue(dir.path(), &Leaf { dns: vec![], ips: vec![], ..leaf("dev-01", 40) }, NOW).unwrap();
    let (cert, key, ca) =
        (dir.path().join("dev-01.crt"), dir.path().join("dev-01.key"), dir.path().join(CA_CERT));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let of = |days: i64| check(&[cert.clone(), key.clone()], Some(&ca), NOW + days * DAY_S).unwrap();
    assert!(of(0).problems.is_empty());
    assert!(of(0).advice[0].contains("names no host"), "{:#?}", of(0));
    assert!(of(0).advice[1].contains("chmod 600"), "{:#?}", of(0));
    assert!(of(20).advice[0].contains("expires on 2027-02-24 08:00 UTC: issue it again"), "{:#?}", of(20));
    let late = of(41);
    assert_eq!(late.problems.len(), 1, "{late:#?}");
    assert!(late.problems[0].contains("expired on 2027-02-24 08:00 UTC: issue it again"), "{late:#?}");
    assert!(late.lines.iter().any(|l| l.contains("(expired 1 days ago)")), "{late:#?}");
    let early = of(-2);
    assert!(early.problems[0].contains("is not valid before 2027-01-15 07:00 UTC"), "{early:#?}");
    fs::write(dir.path().join("x"), "nothing").unwrap();
    let e = check(&[dir.path().join("x")], None, NOW).unwrap_err().to_string();
    assert!(e.contains("neither a certificate nor a private key"), "{e}");
}

#[test]
fn the_deny_list_takes_numbers_and_files_once() {
    let dir = tempfile::tempdir().unwrap();
    init(dir.path(), "Our CA", 3650, NOW).unwrap();
    let made = issue(dir.path(), &leaf("dev-01", 40), NOW).unwrap().made;
    let added = deny(dir.path(), made.cert.to_str().unwrap(), NOW).unwrap();
    assert_eq!((added.serial.as_str(), added.known, added.total), (made.facts.serial.as_str(), false, 1));
    assert!(deny(dir.path(), &made.facts.serial.to_uppercase(), NOW).unwrap().known);
    assert_eq!(
        deny(dir.path(), "0x0A:0b:c", NOW).unwrap().serial,
        "0a0bc".to_owned().replace("0a0bc", "a0bc")
    );
    let text = fs::read_to_string(dir.path().join(DENY_LIST)).unwrap();
    assert!(text.contains("# CN=dev-01, denied 2027-01-15 08:00 UTC"), "{text}");
    let list = Denied::parse(&text).unwrap();
    assert!(list.has(&made.facts.serial) && list.has("a0bc") && list.len() == 2);
    let e = deny(dir.path(), "neither", NOW).unwrap_err().to_string();
    assert!(e.contains("neither"), "{e}");
    assert!(Denied::parse("# only words\n\n").unwrap().is_empty());
    assert!(Denied::parse("ab\nxy # z\n").unwrap_err().starts_with("line 2: \"xy\""));
}

#[test]
fn a_certificate_that_names_two_clusters_names_none() {
    let dir = tempfile::tempdir().unwrap();
    init(dir.path(), "Our CA", 3650, NOW).unwrap();
    let mut facts = issue(dir.path(), &leaf("dev-01", 40), NOW).unwrap().made.facts;
    facts.uris.push(format!("{CLUSTER_URI}dev-01"));
    assert_eq!(facts.cluster().unwrap(), Some("dev-01"));
    facts.uris.push(format!("{CLUSTER_URI}prod-01"));
    assert!(facts.cluster().unwrap_err().contains("more than one"));
    facts.uris = vec![format!("{CLUSTER_URI}a/b")];
    assert!(facts.cluster().is_err());
}

fn one() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    init(dir.path(), "Our CA", 3650, NOW).unwrap();
    CertificateDer::from_pem_file(dir.path().join(CA_CERT)).unwrap().to_vec()
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = Facts::read(&bytes).map(|f| f.cluster().map(|c| c.map(str::to_owned)));
    }

    #[test]
    fn no_text_makes_the_deny_list_panic(text in "(\\PC{0,40}\n){0,4}") {
        let _ = Denied::parse(&text);
    }

    #[test]
    fn every_serial_number_is_found_again(bytes in proptest::collection::vec(any::<u8>(), 1..=20)) {
        let text = serial_text(&bytes);
        prop_assert!(Denied::parse(&text.to_uppercase()).unwrap().has(&text));
        let colons: Vec<String> = bytes.iter().map(|b| format!("{b:02X}")).collect();
        prop_assert!(Denied::parse(&colons.join(":")).unwrap().has(&text));
    }
}

#[test]
fn a_certificate_with_a_changed_byte_is_read_or_refused() {
    let whole = one();
    for at in 0..whole.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut changed = whole.clone();
            changed[at] ^= change;
            let _ = Facts::read(&changed).map(|f| f.cluster().is_ok());
        }
        let _ = Facts::read(&whole[..at]);
    }
}
