//! Which number a case has, by its id.
//!
//! Ids are digests: sorted by id, cases that are opened together lie on pages
//! far apart, and each opening would cost its commit a page of its own, more
//! surely so the more cases there are. So new ids gather in a table so small
//! that its pages are shared (`new_ids`), and are merged into the large one
//! (`ids`) in their order, many to a page. Both are looked at by whoever asks.

use super::{Failure, Session};
use offboard_domain::CaseId;
use rusqlite::params;

/// New ids before they are merged: the more, the fewer pages of the large
/// table are written for each, and the longer the commit that does it (some ten
/// milliseconds at a hundred thousand cases).
const MERGED_AT: i64 = 4_096;

/// A condition that finds the row of `cases` by tenant (`?1`) and id (`?2`).
macro_rules! by_id {
    ($select:literal) => {
        concat!(
            $select,
            " FROM cases WHERE number = (SELECT number FROM new_ids WHERE tenant = ?1 AND id = ?2
                UNION ALL SELECT number FROM ids WHERE tenant = ?1 AND id = ?2)"
        )
    };
}
pub(super) use by_id;

/// The numbers of a tenant's cases after an id, in the order of their ids.
pub(super) const LISTED: &str = "SELECT id, number FROM new_ids WHERE tenant = ?1 AND id > ?2
    UNION ALL SELECT id, number FROM ids WHERE tenant = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
/// Of those that are not over: what is over is passed by without its row.
pub(super) const LISTED_OPEN: &str = "SELECT id, number FROM new_ids WHERE tenant = ?1 AND id > ?2 AND ended = 0
    UNION ALL SELECT id, number FROM ids WHERE tenant = ?1 AND id > ?2 AND ended = 0 ORDER BY id LIMIT ?3";

/// Keeps the number of a case that is in neither table yet.
pub(super) fn add(session: &mut Session, tenant: i64, case: CaseId, ended: bool, number: i64) -> Result<(), Failure> {
    session
        .db
        .prepare_cached("INSERT INTO new_ids (tenant, id, ended, number) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![tenant, case.0, ended, number])?;
    let gathered = match session.new_ids {
        Some(before) => before + 1,
        None => session
            .db
            .prepare_cached("SELECT count(*) FROM new_ids")?
            .query_row([], |row| row.get(0))?,
    };
    session.new_ids = Some(gathered);
    if gathered >= MERGED_AT {
        merge(session)?;
    }
    Ok(())
}

fn merge(session: &mut Session) -> Result<(), Failure> {
    session
        .db
        .prepare_cached("INSERT INTO ids SELECT tenant, id, ended, number FROM new_ids ORDER BY tenant, id")?
        .execute([])?;
    session.db.prepare_cached("DELETE FROM new_ids")?.execute([])?;
    session.new_ids = Some(0);
    Ok(())
}

/// Says whether the case is over.
pub(super) fn set_ended(session: &Session, tenant: i64, case: CaseId, ended: bool) -> Result<(), Failure> {
    let is_new = session
        .db
        .prepare_cached("UPDATE new_ids SET ended = ?3 WHERE tenant = ?1 AND id = ?2")?
        .execute(params![tenant, case.0, ended])?
        > 0;
    if !is_new {
        session
            .db
            .prepare_cached("UPDATE ids SET ended = ?3 WHERE tenant = ?1 AND id = ?2")?
            .execute(params![tenant, case.0, ended])?;
    }
    Ok(())
}
