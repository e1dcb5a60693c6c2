//! What one backup holds.
//!
//! ```text
//! backups/<yyyymmddThhmmssmmmZ>.backup
//! | "orrery backup 1 " | SHA-256 of everything behind this line, in hex | "\n" | JSON, UTF-8 |
//! {"id": "20260101T120000000Z", "taken_ns": …, "log": "<identity of the log>",
//!  "files": [{"path": "objects/segments/…", "bytes": 123, "pieces": ["<sha-256>", …]}, …]}
//! ```
//! Pieces follow each other; each is [`super::blobs::PIECE`] bytes long but the last. Paths are relative to the data
//! directory. The version is raised whenever an older reader would misunderstand.

use std::path::{Component, Path as FsPath};

use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, path::Path};
use serde::{Deserialize, Serialize};

use super::{Place, blobs};
use crate::{Error, Result};

const FIRST_LINE: &str = "orrery backup ";
const VERSION: u32 = 1;
const DIR: &str = "backups";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) id: String,
    pub(super) taken_ns: i64,
    pub(super) log: String,
    pub(super) files: Vec<FileEntry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileEntry {
    pub(super) path: String,
    pub(super) bytes: u64,
    pub(super) pieces: Vec<String>,
}

/// One backup in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    pub id: String,
    pub taken_ns: i64,
    pub files: u64,
    pub bytes: u64,
}

impl Manifest {
    pub(super) fn path(id: &str) -> Path {
        Path::from(format!("{DIR}/{id}.backup"))
    }

    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|f| f.bytes).sum()
    }

    pub(super) fn summary(&self) -> Summary {
        let files = self.files.len() as u64;
        Summary { id: self.id.clone(), taken_ns: self.taken_ns, files, bytes: self.bytes() }
    }

    pub(super) async fn write(&self, place: &Place) -> Result<()> {
        let path = Manifest::path(&self.id);
        let json =
            serde_json::to_vec(self).map_err(|e| Error::Internal(format!("writing backup {path}: {e}")))?;
        let mut bytes = format!("{FIRST_LINE}{VERSION} {}\n", blobs::hash(&json)).into_bytes();
        bytes.extend(json);
        match place.objects.put_opts(&path, bytes.into(), PutMode::Create.into()).await {
            Ok(_) => Ok(()),
            Err(e) => Err(Error::object(&path, e)),
        }
    }

    pub(super) async fn read(place: &Place, id: &str) -> Result<Manifest> {
        if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(Error::Corrupt(format!(
                "{id:?} is not the name of a backup: `orrery backup list` shows them"
            )));
        }
        let path = Manifest::path(id);
        let got = match place.objects.get(&path).await {
            Ok(got) => got,
            Err(object_store::Error::NotFound { .. }) => {
                return Err(Error::NotFound(format!(
                    "there is no backup {id}: `orrery backup list` names those that are there"
                )));
            }
            Err(e) => return Err(Error::object(&path, e)),
        };
        let bytes = got.bytes().await.map_err(|e| Error::object(&path, e))?;
        parse(&bytes).map_err(|what| match what {
            Bad::Version(v) => Error::FutureVersion(format!(
                "backup {path} has version {v}, this version of orrery reads up to {VERSION}: use the newer version that wrote it"
            )),
            Bad::Damaged(what) => Error::Corrupt(format!("backup {path}: {what}")),
        })
    }

    /// Names of all backups, oldest first.
    pub(super) async fn ids(place: &Place) -> Result<Vec<String>> {
        let dir = Path::from(DIR);
        let found: Vec<_> = place
            .objects
            .list(Some(&dir))
            .map_ok(|m| m.location)
            .try_collect()
            .await
            .map_err(|e| Error::object(&dir, e))?;
        let name = |p: &Path| p.filename()?.strip_suffix(".backup").map(str::to_owned);
        let mut ids: Vec<String> = found.iter().filter_map(name).collect();
        ids.sort_unstable();
        Ok(ids)
    }

    /// The one asked for, else the newest.
    pub(super) async fn find(place: &Place, id: Option<&str>) -> Result<Manifest> {
        let ids = Manifest::ids(place).await?;
        let id = match id {
            Some(id) => id.to_owned(),
            None => ids.last().cloned().ok_or_else(none)?,
        };
        Manifest::read(place, &id).await
    }
}

/// Said where a place holds nothing, which is more often a wrong directory than an empty one.
pub(super) fn none() -> Error {
    Error::NotFound("no backup is kept there: name the directory that backups were written to".to_owned())
}

#[derive(Debug, PartialEq, Eq)]
enum Bad {
    Version(u32),
    Damaged(String),
}

fn parse(bytes: &[u8]) -> Result<Manifest, Bad> {
    let damaged = |what: &str| Bad::Damaged(what.to_owned());
    let end = bytes.iter().position(|b| *b == b'\n').ok_or_else(|| damaged("it has no first line"))?;
    let (line, rest) = bytes.split_at(end);
    let line = std::str::from_utf8(line).ok().and_then(|l| l.strip_prefix(FIRST_LINE));
    let (version, hash) =
        line.and_then(|l| l.split_once(' ')).ok_or_else(|| damaged("it does not begin like a backup"))?;
    match version.parse() {
        Ok(VERSION) => {}
        Ok(v) => return Err(Bad::Version(v)),
        Err(_) => return Err(damaged("it does not begin like a backup")),
    }
    let json = rest.get(1..).unwrap_or_default();
    if blobs::hash(json) != hash {
        return Err(damaged("its hash does not match"));
    }
    let m: Manifest = serde_json::from_slice(json).map_err(|e| Bad::Damaged(e.to_string()))?;
    for f in &m.files {
        let plain = |c: Component<'_>| matches!(c, Component::Normal(_));
        if f.path.is_empty() || !FsPath::new(&f.path).components().all(plain) {
            return Err(Bad::Damaged(format!("path {:?} leaves the data directory", f.path)));
        }
        if f.bytes.div_ceil(blobs::PIECE as u64) != f.pieces.len() as u64 {
            return Err(Bad::Damaged(format!(
                "{} has {} bytes in {} pieces",
                f.path,
                f.bytes,
                f.pieces.len()
            )));
        }
    }
    Ok(m)
}

/// All backups of a place, oldest first.
impl Place {
    pub async fn list(&self) -> Result<Vec<Summary>> {
        let mut all = Vec::new();
        for id in Manifest::ids(self).await? {
            all.push(Manifest::read(self, &id).await?.summary());
        }
        Ok(all)
    }
}

/// `20260101T120000123Z`, so that names sort by time.
pub(super) fn id_of(taken_ns: i64) -> String {
    let ms = taken_ns.div_euclid(1_000_000);
    let (days, of_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    // Civil date of a day number (H. Hinnant, "chrono-compatible low-level date algorithms").
    let z = days + 719_468;
    let (era, doe) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let year = yoe + era * 400 + i64::from(month <= 2);
    let (h, m, s) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1000 % 60);
    format!("{year:04}{month:02}{day:02}T{h:02}{m:02}{s:02}{:03}Z", of_day % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_is_named_by_its_time() {
        assert_eq!(id_of(0), "19700101T000000000Z");
        assert_eq!(id_of(1_709_208_245_678_000_000), "20240229T120405678Z");
        assert_eq!(id_of(1_798_761_599_999_000_000), "20261231T235959999Z");
    }

    #[test]
    fn a_damaged_or_foreign_manifest_says_what_is_wrong() {
        let json = |path: &str| {
            format!(
                r#"{{"id":"x","taken_ns":1,"log":"l","files":[{{"path":{path:?},"bytes":0,"pieces":[]}}]}}"#
            )
        };
        let whole = |version: u32, json: &str| {
            format!("orrery backup {version} {}\n{json}", blobs::hash(json.as_bytes()))
        };
        assert!(parse(whole(1, &json("wal/identity")).as_bytes()).is_ok());
        assert_eq!(parse(whole(2, "").as_bytes()), Err(Bad::Version(2)));
        for bad in ["", "x\n", "orrery backup 1 00\n{}"] {
            assert!(matches!(parse(bad.as_bytes()), Err(Bad::Damaged(_))), "{bad}");
        }
        for path in ["../x", "/etc/x", "", "a/../../x"] {
            assert!(parse(whole(1, &json(path)).as_bytes()).is_err(), "{path}");
        }
        let mut flipped = whole(1, &json("wal/identity")).into_bytes();
        let at = flipped.len() - 5;
        flipped[at] ^= 1;
        assert_eq!(parse(&flipped), Err(Bad::Damaged("its hash does not match".to_owned())));
    }
}
