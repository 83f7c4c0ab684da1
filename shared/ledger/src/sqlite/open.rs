//! Opening the file: the lock, the settings, the schema and its version.

use super::failure::explained;
use crate::LedgerError;
use rusqlite::{Connection, OpenFlags};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const OPEN: &str = "open the ledger";

/// Marks the file as ours (`PRAGMA application_id`): "offb".
const APPLICATION_ID: i32 = 0x6f66_6662;

/// What each schema version adds to the one before. The last is ours; a file
/// of a later one is refused, never guessed at.
const MIGRATIONS: &[&str] = &[
    include_str!("schema.sql"),
    include_str!("trim.sql"),
    include_str!("one_id_index.sql"),
    include_str!("ids.sql"),
];

/// How long a connection waits for a program that holds the file from outside
/// (a backup, a shell) before it gives up.
const BUSY: Duration = Duration::from_secs(5);
/// How long a lock that another holds is waited for.
const LOCK_WAIT: Duration = Duration::from_millis(500);
/// How often it is looked at meanwhile.
const LOCK_POLL: Duration = Duration::from_millis(5);
/// Page cache of the writer, in KiB: holds the rows of 100,000 open cases.
const WRITER_CACHE_KIB: i64 = 64 * 1024;
/// Page cache of the reader, in KiB: for one question. Each commit of the writer
/// empties it, which takes the longer, the larger it was.
const READER_CACHE_KIB: i64 = 2 * 1024;
/// Pages (of 4 KiB) in the write-ahead log before they are folded into the
/// file: 32 MiB, so that a page changed often is folded once.
const CHECKPOINT_PAGES: i64 = 8_192;
/// Distinct statements that a connection keeps prepared.
const STATEMENTS: usize = 64;

/// What holds an open ledger.
pub(super) struct Opened {
    pub(super) writer: Connection,
    pub(super) reader: Connection,
    pub(super) lock: File,
}

pub(super) fn open(path: &Path) -> Result<Opened, LedgerError> {
    let broken = |detail: String| LedgerError::Broken {
        attempted: OPEN,
        detail: format!("{}: {detail}", path.display()),
    };
    let lock = lock(path).map_err(|e| match e {
        NotLocked::Held(who) => LedgerError::Held {
            detail: format!("{}: {who}", path.display()),
        },
        NotLocked::Broken(why) => broken(why),
    })?;
    create_private(path).map_err(|e| {
        broken(format!(
            "cannot be created ({e}); its folder must exist and be writable"
        ))
    })?;
    let writer = connect(path, false).map_err(|e| named(path, &e))?;
    migrate(&writer, MIGRATIONS).map_err(|e| match e {
        Migration::Sql(e) => named(path, &e),
        Migration::Refused(why) => broken(why),
    })?;
    let reader = connect(path, true).map_err(|e| named(path, &e))?;
    Ok(Opened { writer, reader, lock })
}

/// What holds a ledger that is open to be read alone.
pub(super) struct ToRead {
    pub(super) reader: Connection,
    pub(super) unchanged: Option<File>,
}

/// Opens it without the lock. SQLite keeps readers and the writer of another process apart
/// by itself, and also reads a log that a dead one left. Where nothing can be written it
/// cannot make the index of a log that it needs for that: then the file is read as one that
/// never changes, which holds as long as there is no log and nobody has the lock.
pub(super) fn to_read(path: &Path) -> Result<ToRead, LedgerError> {
    let beside = connect(path, true).and_then(|db| Ok((standing(&db)?, db, None)));
    let (standing, reader, unchanged) = match beside {
        Ok(opened) => opened,
        Err(error) => {
            let unchanged = unchanged(path).ok_or_else(|| named(path, &error))?;
            let opened = immutable(path).and_then(|db| Ok((standing(&db)?, db)));
            let (standing, db) = opened.map_err(|e| named(path, &e))?;
            (standing, db, Some(unchanged))
        }
    };
    let ours = (i64::from(APPLICATION_ID), MIGRATIONS.len());
    if standing != ours {
        let detail = format!(
            "{}: is not a ledger of this program's schema version ({}), and cannot be made one while it is read alone",
            path.display(),
            MIGRATIONS.len()
        );
        return Err(LedgerError::Broken {
            attempted: OPEN,
            detail,
        });
    }
    Ok(ToRead { reader, unchanged })
}

/// Whose file it is, and of which schema version.
fn standing(db: &Connection) -> rusqlite::Result<(i64, usize)> {
    let number = |pragma: &str| db.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let version = usize::try_from(number("user_version")?).unwrap_or(usize::MAX);
    Ok((number("application_id")?, version))
}

/// The lock, shared with others who only read, if that proves that the file is whole and
/// nobody writes it.
fn unchanged(path: &Path) -> Option<File> {
    let beside = |end: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let lock = File::open(beside(".lock")).ok()?;
    lock.try_lock_shared().ok()?;
    match std::fs::metadata(beside("-wal")) {
        Ok(log) if log.len() > 0 => None,
        Ok(_) => Some(lock),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Some(lock),
        Err(_) => None,
    }
}

/// Opens a file that never changes.
fn immutable(path: &Path) -> rusqlite::Result<Connection> {
    let name = path.to_string_lossy();
    let name = name.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(format!("file:{name}?immutable=1"), flags)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    db.pragma_update(None, "trusted_schema", false)?;
    db.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    Ok(db)
}

fn named(path: &Path, error: &rusqlite::Error) -> LedgerError {
    match explained(OPEN, error) {
        LedgerError::Unavailable { attempted, detail } => LedgerError::Unavailable {
            attempted,
            detail: format!("{}: {detail}", path.display()),
        },
        LedgerError::Broken { attempted, detail } => LedgerError::Broken {
            attempted,
            detail: format!("{}: {detail}", path.display()),
        },
        held @ LedgerError::Held { .. } => held,
    }
}

/// Why the lock could not be had.
enum NotLocked {
    /// Another process has it.
    Held(String),
    /// It could not be used.
    Broken(String),
}

/// Takes the lock file beside the ledger. The system lets it go when the
/// process ends, however it ends; the file itself stays.
fn lock(path: &Path) -> Result<File, NotLocked> {
    let broken = |why: &str, beside: &Path, e: std::io::Error| {
        NotLocked::Broken(format!("its lock file {} cannot be {why} ({e})", beside.display()))
    };
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let beside = PathBuf::from(name);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    private(&mut options);
    let mut file = options.open(&beside).map_err(|e| {
        NotLocked::Broken(format!(
            "its lock file {} cannot be opened ({e}); its folder must exist and be writable",
            beside.display()
        ))
    })?;
    match lock_soon(&file) {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Only for the message: an unreadable number is left out of it.
            let known = file.read_to_string(&mut holder).is_ok() && !holder.trim().is_empty();
            let who = if known {
                format!("process {}", holder.trim())
            } else {
                "another process".to_owned()
            };
            return Err(NotLocked::Held(format!(
                "{who} has it open (lock file {}); stop that one, or use another file",
                beside.display()
            )));
        }
        Err(TryLockError::Error(e)) => return Err(broken("locked", &beside, e)),
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(|e| broken("written", &beside, e))?;
    Ok(file)
}

/// Takes the lock, also if it is let go only a moment later: by a process that
/// is just ending, or by a child that this one is just starting, which holds
/// copies of its files until it runs its own program.
fn lock_soon(file: &File) -> Result<(), TryLockError> {
    let until = Instant::now() + LOCK_WAIT;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(LOCK_POLL),
            taken_or_not => return taken_or_not,
        }
    }
}

/// The salts stand in the file: nobody but its owner reads it. SQLite gives
/// the files beside it the same mode.
fn create_private(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    private(&mut options);
    options.open(path).map(drop)
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt as _;
    options.mode(0o600);
}

#[cfg(not(unix))]
fn private(_: &mut OpenOptions) {}

fn connect(path: &Path, read_only: bool) -> rusqlite::Result<Connection> {
    let access = if read_only {
        OpenFlags::SQLITE_OPEN_READ_ONLY
    } else {
        OpenFlags::SQLITE_OPEN_READ_WRITE
    };
    let db = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(BUSY)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    db.pragma_update(None, "trusted_schema", false)?;
    db.pragma_update(
        None,
        "cache_size",
        if read_only {
            -READER_CACHE_KIB
        } else {
            -WRITER_CACHE_KIB
        },
    )?;
    if !read_only {
        db.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0))?;
        db.pragma_update(None, "synchronous", "full")?;
        // A destroyed salt is overwritten, not only unlinked.
        db.pragma_update_and_check(None, "secure_delete", true, |row| row.get::<_, i64>(0))?;
        db.pragma_update_and_check(None, "wal_autocheckpoint", CHECKPOINT_PAGES, |row| row.get::<_, i64>(0))?;
    }
    Ok(db)
}

#[derive(Debug)]
enum Migration {
    Sql(rusqlite::Error),
    Refused(String),
}

impl From<rusqlite::Error> for Migration {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

fn migrate(db: &Connection, migrations: &[&str]) -> Result<(), Migration> {
    let number = |pragma: &str| db.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables > 0 && application != i64::from(APPLICATION_ID) {
        return Err(Migration::Refused(
            "is a database of another program; name another file".to_owned(),
        ));
    }
    let done = usize::try_from(version)
        .ok()
        .filter(|v| *v <= migrations.len())
        .ok_or_else(|| {
            let ours = migrations.len();
            Migration::Refused(format!(
                "has schema version {version}, this program knows up to {ours}; use the newer program"
            ))
        })?;
    for (sql, reached) in migrations.iter().zip(1_i64..).skip(done) {
        let tx = db.unchecked_transaction()?;
        tx.execute_batch(sql)?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.pragma_update(None, "user_version", reached)?;
        tx.commit()?;
    }
    Ok(())
}
