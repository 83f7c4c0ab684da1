//! The SQLite backend, in a folder that goes with the test.

use crate::backend::{Backend, conformance};
use async_trait::async_trait;
use offboard_domain::{CaseId, TenantId};
use offboard_ledger::{Ledger, SqliteLedger};
use rusqlite::{Connection, params};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

pub(crate) struct Sqlite {
    folder: TempDir,
    ledger: Arc<SqliteLedger>,
}

impl Sqlite {
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("ledger.db")
    }

    /// Lets the ledger go, has something done to its file, and opens it again.
    pub(crate) fn tampered(self, tamper: impl FnOnce(&Connection)) -> Self {
        let path = self.path();
        let Self { folder, ledger } = self;
        assert_eq!(Arc::strong_count(&ledger), 1, "nobody else still holds it");
        drop(ledger);
        let db = Connection::open(&path).unwrap();
        tamper(&db);
        db.close().unwrap();
        Self {
            ledger: SqliteLedger::open(&path).unwrap(),
            folder,
        }
    }
}

#[async_trait]
impl Backend for Sqlite {
    async fn fresh() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ledger = SqliteLedger::open(&folder.path().join("ledger.db")).unwrap();
        Self { folder, ledger }
    }

    fn ledger(&self) -> Arc<dyn Ledger> {
        Arc::clone(&self.ledger) as Arc<dyn Ledger>
    }

    async fn restart(self) -> Self {
        self.tampered(|_| {})
    }

    async fn lose_last_append(self, tenant: &TenantId, case: CaseId) -> Self {
        let tenant = tenant.to_string();
        self.tampered(|db| {
            let place = params![case.0, tenant];
            let last = "SELECT last FROM cases WHERE id = ?1 AND tenant = (SELECT number FROM tenants WHERE name = ?2)";
            let seq: i64 = db.query_row(last, place, |row| row.get(0)).unwrap();
            let before: i64 = db.query_row("SELECT before FROM records WHERE seq = ?1", [seq], |row| row.get(0)).unwrap();
            db.execute("DELETE FROM records WHERE seq = ?1", [seq]).unwrap();
            db.execute(
                "UPDATE cases SET (last, version, head) = (SELECT seq, version, hash FROM records WHERE seq = ?2) WHERE last = ?1",
                [seq, before],
            )
            .unwrap();
        })
    }
}

conformance!(Sqlite);
