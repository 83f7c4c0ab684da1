//! The HR export: semicolons, umlauts, one row twice, one broken, one nobody.

use crate::Failed;
use crate::office::Office;
use offboard_sim::population::Cast;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

/// Who leaves, and how.
struct Row {
    who: fn(&Cast) -> &str,
    immediate: bool,
    tenant: usize,
}

const fn planned(tenant: usize, who: fn(&Cast) -> &str) -> Row {
    Row {
        who,
        immediate: false,
        tenant,
    }
}

const fn immediate(tenant: usize, who: fn(&Cast) -> &str) -> Row {
    Row {
        who,
        immediate: true,
        tenant,
    }
}

/// One of the staff. The first is whom most report to: what they leave is his,
/// so he stays.
fn other(cast: &Cast, n: usize) -> &str {
    cast.others.get(n + 1).map_or(&cast.plain, String::as_str)
}

const ROWS: &[Row] = &[
    planned(0, |c| &c.plain),
    immediate(0, |c| &c.privileged),
    planned(0, |c| &c.devices),
    planned(0, |c| &c.big_mailbox),
    immediate(0, |c| &c.hybrid),
    immediate(0, |c| &c.break_glass),
    planned(0, |c| other(c, 0)),
    planned(0, |c| other(c, 1)),
    planned(1, |c| &c.sole_owner),
    immediate(1, |c| &c.forwarder),
    planned(1, |c| &c.group_licensed),
    planned(1, |c| &c.no_drive),
    planned(1, |c| &c.lost_laptop),
    planned(1, |c| other(c, 0)),
    immediate(2, |c| &c.plain),
    planned(2, |c| &c.devices),
    planned(2, |c| &c.sole_owner),
    planned(2, |c| &c.group_licensed),
    planned(2, |c| other(c, 0)),
];

/// Writes the export into the working folder.
pub(crate) fn write(office: &Office, folder: &Path) -> Result<PathBuf, Failed> {
    let mut lines = vec!["Vorgang;Mandant;Name;Anmeldename;Art;Letzter Tag;Gemeinsame Kennwörter;Bemerkung".to_owned()];
    let world = office.world.lock().unwrap_or_else(PoisonError::into_inner);
    for (n, row) in ROWS.iter().enumerate() {
        let tenant = &office.tenants[row.tenant];
        let id = (row.who)(&tenant.cast);
        let person = world
            .tenant(&tenant.id)
            .and_then(|t| t.people.get(id))
            .ok_or_else(|| format!("the simulated {} has no account {id}", tenant.short))?;
        let shared = if n == 0 { "\"Türcode; Firmenkarte\"" } else { "" };
        let manner = if row.immediate { "immediate" } else { "planned" };
        lines.push(format!(
            "HR-{:03};{};\"{}\";{};{manner};19.11.2026 08:30;{shared};Kündigung, \"\"fristgerecht\"\"",
            n + 1,
            tenant.short,
            person.display_name,
            person.upn
        ));
    }
    let twice = lines[3].clone();
    lines.push(twice);
    let first = &office.tenants[0].short;
    lines.push(format!(
        "HR-090;{first};=HYPERLINK(\"http://x\");nobody.at.all@{first}.example;immediate;19.11.2026 08:30;;"
    ));
    lines.push(format!(
        "HR-091;{first};Max Müller;max.mueller@{first}.example;planned;31.02.2026;;"
    ));
    let file = folder.join("leavers.csv");
    // As spreadsheet programs write it: with a byte-order mark.
    fs::write(&file, format!("\u{feff}{}\r\n", lines.join("\r\n")))?;
    Ok(file)
}
