//! Backups of VictoriaMetrics: the wrong program, a snapshot asked of who has none, a storage that is not there.

use super::{
    address::Address,
    command::{Command, Flag},
    finding::{Findings, Severity, Told},
};

pub(super) fn check(c: &Command, found: &mut Findings) {
    if c.runs("vmbackupmanager") {
        manager(c, found);
    }
    for flag in c.values(&["snapshot.createURL"]) {
        if let Some(told) = snapshot(&flag) {
            found.add(flag.word.at, &flag.word.path, told);
        }
    }
    storage(c, found);
}

/// It is a service with a schedule of its own, and part of the Enterprise edition.
fn manager(c: &Command, found: &mut Findings) {
    // `vmbackupmanager restore` and `… backup list` end by themselves.
    if c.has_word("restore") || c.has_word("backup") || c.has_word("backups") {
        return;
    }
    let licensed = c.flags().iter().any(|f| f.name.contains("license") || f.name == "eula")
        || c.variables.iter().any(|(name, _)| name.to_ascii_lowercase().contains("license"));
    let license = match licensed {
        true => "",
        false => ", and without -license or -licenseFile it refuses to start at all",
    };
    if c.kind == "CronJob" || c.kind == "Job" {
        let told = Told {
            severity: Severity::Error,
            rule: "backup-manager-as-job",
            message: format!("vmbackupmanager runs as a {}", c.kind),
            effect: format!(
                "it is a service with a schedule of its own and never ends: the job never completes, and the next \
                 ones pile up or never start. It is part of VictoriaMetrics Enterprise{license}"
            ),
            instead:
                "vmbackup, which is open source and ends when the backup is made, beside the storage; or \
                      vmbackupmanager as a sidecar of vmstorage, with a licence"
                    .to_owned(),
        };
        found.add(c.at, &c.path, told);
    } else if !licensed {
        let told = Told {
            severity: Severity::Warning,
            rule: "backup-manager-without-license",
            message: "vmbackupmanager is part of VictoriaMetrics Enterprise, and no licence is given"
                .to_owned(),
            effect: "it refuses to start, and there are no backups".to_owned(),
            instead: "-licenseFile=…, or vmbackup on a schedule".to_owned(),
        };
        found.add(c.at, &c.path, told);
    }
}

fn snapshot(flag: &Flag<'_>) -> Option<Told> {
    let a = Address::of(flag.value)?;
    let wrong_program = ["vmselect", "vminsert", "vmauth", "vmagent"].into_iter().find(|p| a.goes_to(p));
    let wrong_port = [(8480, "vminsert"), (8481, "vmselect")].into_iter().find(|(p, _)| a.is_at(*p));
    let whom = wrong_program.or(wrong_port.map(|(_, p)| p));
    let message = match (whom, a.path.ends_with("/snapshot/create")) {
        (Some(whom), _) => format!("the snapshot is asked of {whom} ({})", a.shown()),
        (None, false) => format!("the address of the snapshot ends in no /snapshot/create ({})", a.shown()),
        (None, true) => return None,
    };
    Some(Told {
        severity: Severity::Error,
        rule: "snapshot-address",
        message,
        effect: "snapshots are made by the storage; anything else answers an error, so every backup fails and there is \
                 nothing to restore"
            .to_owned(),
        instead: "http://localhost:8482/snapshot/create, in the pod of each vmstorage (8428 for a single node)".to_owned(),
    })
}

/// The snapshot is a directory of hard links in the storage's own volume: it is read from there.
fn storage(c: &Command, found: &mut Findings) {
    let Some(mounts) = &c.mounts else { return };
    let is_backup = c.runs("vmbackup") || (c.runs("vmbackupmanager") && !c.has_word("restore"));
    let data = c.values(&["storageDataPath"]);
    let path = data.first().map_or("victoria-metrics-data", |f| f.value);
    if !is_backup
        || mounts.iter().any(|m| path.starts_with(m.trim_end_matches('/')) || !path.starts_with('/'))
    {
        return;
    }
    let (at, key) = data.first().map_or((c.at, c.path.as_str()), |f| (f.word.at, f.word.path.as_str()));
    let told = Told {
        severity: Severity::Error,
        rule: "backup-without-storage",
        message: format!("no volume is mounted at {path}, where the storage's data is looked for"),
        effect: "the snapshot lies in the volume of the storage; from this pod nothing of it can be read, so every \
                 backup fails"
            .to_owned(),
        instead: "a container in the pod of vmstorage with its volume mounted, and -storageDataPath there".to_owned(),
    };
    found.add(at, key, told);
}
