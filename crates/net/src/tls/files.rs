//! From files to what a handshake needs: certificates, a key that fits them, authorities, a deny list.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
    sign::CertifiedKey,
};

use super::provider;
use crate::{
    Error,
    certs::{Denied, Facts},
};

/// Certificates, keys and deny lists are small; a larger file is a mistake.
const MAX_FILE_BYTES: usize = 4 << 20;

/// Where the material is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Paths {
    pub cert: PathBuf,
    pub key: PathBuf,
    pub ca: Option<PathBuf>,
    pub deny: Option<PathBuf>,
}

/// What the files hold, unread.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct Contents {
    cert: Vec<u8>,
    key: Vec<u8>,
    ca: Option<Vec<u8>>,
    deny: Option<Vec<u8>>,
}

impl Contents {
    pub(super) fn read(paths: &Paths) -> Result<Self, Error> {
        Ok(Contents {
            cert: read(&paths.cert)?,
            key: read(&paths.key)?,
            ca: paths.ca.as_deref().map(read).transpose()?,
            deny: paths.deny.as_deref().map(read).transpose()?,
        })
    }

    /// Tells contents apart; it is kept in place of keys.
    pub(super) fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }
}

/// Material that is known to fit together.
pub(super) struct Material {
    pub own: Arc<CertifiedKey>,
    /// What our certificate says.
    pub facts: Facts,
    pub roots: Option<Arc<RootCertStore>>,
    pub denied: Arc<Denied>,
}

impl Material {
    pub(super) fn build(paths: &Paths, contents: &Contents) -> Result<Self, Error> {
        let chain = certificates(&paths.cert, &contents.cert)?;
        let own = chain.first().ok_or_else(|| file(&paths.cert, "it holds no certificate"))?;
        let facts = Facts::read(own).map_err(|e| file(&paths.cert, e))?;
        let key = private_key(&paths.key, &contents.key)?;
        let certified = CertifiedKey::from_der(chain, key, &provider()).map_err(|e| match e {
            rustls::Error::InconsistentKeys(_) => file(
                &paths.key,
                format!("the key does not belong to the certificate in {}", paths.cert.display()),
            ),
            other => file(&paths.key, format!("the key cannot be used: {other}")),
        })?;
        let roots = match (&paths.ca, &contents.ca) {
            (Some(path), Some(pem)) => Some(Arc::new(authorities(path, pem)?)),
            _ => None,
        };
        let denied = match (&paths.deny, &contents.deny) {
            (Some(path), Some(text)) => {
                let text = std::str::from_utf8(text).map_err(|_| file(path, "it is not text"))?;
                Denied::parse(text).map_err(|e| file(path, e))?
            }
            _ => Denied::default(),
        };
        Ok(Material { own: Arc::new(certified), facts, roots, denied: Arc::new(denied) })
    }
}

pub(crate) fn file(path: &Path, reason: impl Into<String>) -> Error {
    Error::File { path: path.to_owned(), reason: reason.into() }
}

/// Reads a file under the cap.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let opened = std::fs::File::open(path).map_err(|e| file(path, format!("it cannot be read: {e}")))?;
    base::cap::read_capped(opened, MAX_FILE_BYTES, "file").map_err(|e| file(path, e.to_string()))
}

/// All certificates of a PEM text in their order; none is no error.
pub(crate) fn certificates(path: &Path, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    CertificateDer::pem_slice_iter(text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| file(path, format!("it is not PEM: {}", plain(&e))))
}

/// The first private key of a PEM text.
pub(crate) fn private_key(path: &Path, text: &[u8]) -> Result<PrivateKeyDer<'static>, Error> {
    PrivateKeyDer::from_pem_slice(text).map_err(|e| match e {
        pem::Error::NoItemsFound => file(path, "it holds no private key that can be read without a password"),
        other => file(path, format!("it is not PEM: {}", plain(&other))),
    })
}

/// The authorities of a PEM text, at least one.
pub(crate) fn authorities(path: &Path, text: &[u8]) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, text)? {
        roots.add(certificate).map_err(|e| file(path, format!("a certificate in it cannot be used: {e}")))?;
    }
    match roots.is_empty() {
        true => Err(file(path, "it holds no certificate")),
        false => Ok(roots),
    }
}

/// The error without the bytes it quotes, which may be those of a key.
fn plain(e: &pem::Error) -> &'static str {
    match e {
        pem::Error::MissingSectionEnd { .. } => "a section has no end",
        pem::Error::IllegalSectionStart { .. } => "a section begins wrongly",
        pem::Error::Base64Decode(_) => "a section is not base64",
        pem::Error::SectionTooLarge => "a section is too large",
        _ => "it cannot be read",
    }
}
