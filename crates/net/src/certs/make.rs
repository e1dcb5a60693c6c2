//! An authority of one's own and what it signs, for those who have none. Keys are ECDSA P-256, files are PEM,
//! keys are readable by their owner only.

use std::{
    fs,
    io::Write,
    net::IpAddr,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};
use x509_parser::time::ASN1Time;

use super::{CA_CERT, CA_KEY, CLUSTER_URI, DAY_S, DENY_LIST, Facts, date};
use crate::{
    Error,
    tls::{certificates, file_error, read_file},
};

/// File modes.
pub(super) const PRIVATE: u32 = 0o600;
pub(super) const PUBLIC: u32 = 0o644;

/// Certificates begin this long ago: clocks of other machines may be behind ours.
const BACKDATED_S: i64 = 3600;
/// Far enough for anybody, and representable everywhere.
const MAX_DAYS: u32 = 36_500;

/// A certificate and its key, written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    pub cert: PathBuf,
    pub key: PathBuf,
    pub facts: Facts,
}

/// What to issue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leaf {
    /// The cluster it speaks for, and the name of its files.
    pub cluster: String,
    pub dns: Vec<String>,
    pub ips: Vec<IpAddr>,
    pub days: u32,
}

/// What was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    pub made: Made,
    /// What the files held before.
    pub replaced: Option<Facts>,
    /// The authority expires first, so this does too.
    pub shortened: bool,
}

/// Makes an authority in `dir`, and an empty deny list beside it.
///
/// # Errors
/// There is one already, or the directory cannot be written.
pub fn init(dir: &Path, name: &str, days: u32, now_s: i64) -> Result<Made, Error> {
    let (cert, key) = (dir.join(CA_CERT), dir.join(CA_KEY));
    for path in [&cert, &key] {
        if path.exists() {
            return Err(file_error(
                path,
                "it exists already, and what it signed would become worthless without it",
            ));
        }
    }
    fs::create_dir_all(dir).map_err(|e| file_error(dir, format!("it cannot be made: {e}")))?;
    let unusable = |e: rcgen::Error| file_error(&cert, format!("the certificate cannot be made: {e}"));
    let mut params = CertificateParams::default();
    params.distinguished_name = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(&mut params, now_s, until(now_s, days)?)?;
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(unusable)?;
    let certificate = params.self_signed(&pair).map_err(unusable)?;
    create(&key, &pair.serialize_pem(), PRIVATE)?;
    create(&cert, &certificate.pem(), PUBLIC)?;
    let list = dir.join(DENY_LIST);
    if !list.exists() {
        create(&list, "# Serial numbers of certificates that are refused, one a line.\n", PUBLIC)?;
    }
    let facts = Facts::read(certificate.der()).map_err(|e| file_error(&cert, e))?;
    Ok(Made { cert, key, facts })
}

/// Issues a certificate for a cluster by the authority in `dir`; what was issued for it before is replaced.
///
/// # Errors
/// The names cannot stand in a certificate, or the authority cannot be read or has expired.
pub fn issue(dir: &Path, leaf: &Leaf, now_s: i64) -> Result<Issued, Error> {
    let setup = |reason: String| Error::Setup { reason };
    model::ClusterName::new(&leaf.cluster).map_err(|e| setup(e.to_string()))?;
    let cert = dir.join(format!("{}.crt", leaf.cluster));
    if cert == dir.join(CA_CERT) {
        return Err(setup(
            "a cluster cannot be called \"ca\" here: its files would replace the authority's".to_owned(),
        ));
    }
    let key = dir.join(format!("{}.key", leaf.cluster));
    let authority = Authority::read(dir)?;
    if authority.facts.not_after <= now_s {
        let when = date(authority.facts.not_after);
        return Err(file_error(
            &dir.join(CA_CERT),
            format!("the authority expired on {when}: make another one"),
        ));
    }
    let wanted = until(now_s, leaf.days)?;
    let not_after = wanted.min(authority.facts.not_after);
    let mut params = CertificateParams::default();
    params.distinguished_name = named(&leaf.cluster);
    params.subject_alt_names = names(leaf)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    set_validity(&mut params, now_s, not_after)?;
    let unusable = |e: rcgen::Error| file_error(&cert, format!("the certificate cannot be made: {e}"));
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(unusable)?;
    let certificate = params.signed_by(&pair, &authority.issuer).map_err(unusable)?;
    let replaced = replaced(&cert);
    // One right after the other: a node that looks in between keeps what it has and looks again.
    replace(&key, &pair.serialize_pem(), PRIVATE)?;
    replace(&cert, &certificate.pem(), PUBLIC)?;
    let facts = Facts::read(certificate.der()).map_err(|e| file_error(&cert, e))?;
    Ok(Issued { made: Made { cert, key, facts }, replaced, shortened: not_after < wanted })
}

/// The authority of a directory, able to sign.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    facts: Facts,
}

impl Authority {
    fn read(dir: &Path) -> Result<Self, Error> {
        let (cert, key) = (dir.join(CA_CERT), dir.join(CA_KEY));
        let found = certificates(&cert, &read_file(&cert)?)?;
        let first = found.first().ok_or_else(|| file_error(&cert, "it holds no certificate"))?;
        let facts = Facts::read(first).map_err(|e| file_error(&cert, e))?;
        if !facts.is_ca {
            return Err(file_error(
                &cert,
                "it is not the certificate of an authority, so it can sign nothing",
            ));
        }
        let text = String::from_utf8(read_file(&key)?).map_err(|_| file_error(&key, "it is not text"))?;
        // The library's reason may quote what it read.
        let pair = KeyPair::from_pem(&text).map_err(|_| {
            file_error(&key, "it is not a key that can sign: PKCS#8 in PEM without a password")
        })?;
        check_pair(first, &pair).map_err(|e| file_error(&key, e))?;
        let issuer = Issuer::from_ca_cert_der(first, pair).map_err(|e| file_error(&cert, e.to_string()))?;
        Ok(Authority { issuer, facts })
    }
}

/// What the wrong key signs nobody would accept.
fn check_pair(der: &[u8], pair: &KeyPair) -> Result<(), String> {
    let (_, cert) = x509_parser::parse_x509_certificate(der).map_err(|e| e.to_string())?;
    match cert.public_key().subject_public_key.data.as_ref() == pair.public_key_raw() {
        true => Ok(()),
        false => Err(format!("the key does not belong to the certificate in {CA_CERT}")),
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut dn = DistinguishedName::new();
    dn.push(DnType::CommonName, name);
    dn
}

fn names(leaf: &Leaf) -> Result<Vec<SanType>, Error> {
    let text = |name: &str| {
        name.to_owned().try_into().map_err(|_| Error::Setup {
            reason: format!(
                "{name:?} cannot stand in a certificate: names are ASCII, others in their xn-- form"
            ),
        })
    };
    let mut names = vec![SanType::URI(text(&format!("{CLUSTER_URI}{}", leaf.cluster))?)];
    for name in &leaf.dns {
        if rustls::pki_types::DnsName::try_from(name.trim_start_matches("*.")).is_err() {
            return Err(Error::Setup { reason: format!("{name:?} is no host name") });
        }
        names.push(SanType::DnsName(text(name)?));
    }
    names.extend(leaf.ips.iter().map(|ip| SanType::IpAddress(*ip)));
    Ok(names)
}

fn until(now_s: i64, days: u32) -> Result<i64, Error> {
    match days {
        0 => Err(Error::Setup { reason: "a certificate must be valid for a day at least".to_owned() }),
        d if d > MAX_DAYS => Err(Error::Setup {
            reason: format!("{d} days are more than the {MAX_DAYS} a certificate may be valid"),
        }),
        d => Ok(now_s + i64::from(d) * DAY_S),
    }
}

fn set_validity(params: &mut CertificateParams, now_s: i64, not_after: i64) -> Result<(), Error> {
    let time = |s: i64| {
        let made = ASN1Time::from_timestamp(s);
        made.map(|t| t.to_datetime())
            .map_err(|_| Error::Setup { reason: format!("{} cannot be written", date(s)) })
    };
    params.not_before = time(now_s - BACKDATED_S)?;
    params.not_after = time(not_after)?;
    Ok(())
}

/// What is about to be replaced, if it can be read.
fn replaced(cert: &Path) -> Option<Facts> {
    let text = read_file(cert).ok()?;
    Facts::read(certificates(cert, &text).ok()?.first()?).ok()
}

/// Writes a file that must not be there yet.
fn create(path: &Path, text: &str, mode: u32) -> Result<(), Error> {
    let write = || -> std::io::Result<()> {
        let mut f = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        f.write_all(text.as_bytes())?;
        f.sync_all()
    };
    write().map_err(|e| file_error(path, format!("it cannot be written: {e}")))
}

/// Writes a file whole or not at all, whoever reads it meanwhile.
pub(super) fn replace(path: &Path, text: &str, mode: u32) -> Result<(), Error> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.new", std::process::id()));
    let beside = PathBuf::from(beside);
    // Of an attempt that was killed.
    let _ = fs::remove_file(&beside);
    create(&beside, text, mode)?;
    fs::rename(&beside, path).map_err(|e| {
        let _ = fs::remove_file(&beside);
        file_error(path, format!("it cannot be written: {e}"))
    })
}
