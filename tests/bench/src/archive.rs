//! A mailbox kept by Offboard, beside mbsync pulling the same mailbox from the
//! same Dovecot, in turns. Each is a process of its own, so that its largest
//! memory is its own too.
//!
//! mbsync is a peer in speed alone: it changes each message (an `X-TUID` header,
//! other line ends), and hashes nothing.

use crate::embedded::Failed;
use crate::median;
use offboard_connectors::Connector;
use offboard_connectors::graph::HttpClient;
use offboard_connectors::imap::{Access, ImapConnector, ImapSettings, Security};
use offboard_domain::{
    Assignment, CaseId, Digest, Facts, Kind, Lane, Mode, Said, Subject, System, Target, TaskId, TenantId,
};
use offboard_runtime::{Clock, SystemClock};
use offboard_servers::{ARCHIVER, ARCHIVER_PASSWORD, Dovecot, OWN_PASSWORD};
use offboard_store::Store;
use offboard_workers::{Connectors, Context, attempt};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

const USER: &str = "alice";
/// How many messages are appended by one command.
const AT_ONCE: usize = 100;

/// How large it is.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Sizes {
    /// Messages in the mailbox.
    #[arg(long, default_value_t = 5_000)]
    messages: u64,
    /// Rounds; the medians count.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

/// What the process that keeps the mailbox is told.
#[derive(Serialize, Deserialize)]
struct Setup {
    port: u16,
    ca: PathBuf,
    store: PathBuf,
}

/// What a contestant took.
struct Took {
    seconds: f64,
    peak_kb: u64,
}

/// Letters that look like base64, the same for the same seed.
fn body(seed: u64, bytes: usize, out: &mut Vec<u8>) {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let end = out.len() + bytes;
    while out.len() < end {
        for _ in 0..7 {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            out.extend((0..10).map(|i| LETTERS[usize::try_from(x >> (i * 6) & 63).unwrap_or(0)]));
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// A quarter with attachments of 10 to 900 kB, a few of 9 MB, the others small.
fn message(n: u64) -> Vec<u8> {
    let bytes = match n {
        n if n % 1_000 == 999 => 9 << 20,
        n if n.is_multiple_of(4) => 10_000 + (n * 7_919) % 890_000,
        n => 500 + (n * 37) % 8_000,
    };
    let mut out = format!("From: a@x.test\r\nTo: b@x.test\r\nSubject: message {n}\r\nMessage-ID: <{n}@x.test>\r\n\r\n")
        .into_bytes();
    body(n, usize::try_from(bytes).unwrap_or(0), &mut out);
    out
}

fn fill(dovecot: &Dovecot, messages: u64) -> Result<u64, Failed> {
    let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", dovecot.plain_port()))?);
    let said = |stream: &mut BufReader<TcpStream>, command: &[u8]| -> Result<(), Failed> {
        stream.get_mut().write_all(command)?;
        loop {
            let mut line = String::new();
            stream.read_line(&mut line)?;
            if line.starts_with("A OK") {
                return Ok(());
            }
            if line.starts_with("A ") || line.is_empty() {
                return Err(format!("the mailbox could not be filled: {line}").into());
            }
        }
    };
    said(&mut stream, format!("A LOGIN {USER} {OWN_PASSWORD}\r\n").as_bytes())?;
    let mut total = 0;
    let all: Vec<u64> = (0..messages).collect();
    for batch in all.chunks(AT_ONCE) {
        let mut command = b"A APPEND INBOX".to_vec();
        for n in batch {
            let message = message(*n);
            total += message.len() as u64;
            command.extend_from_slice(format!(" {{{}+}}\r\n", message.len()).as_bytes());
            command.extend_from_slice(&message);
        }
        command.extend_from_slice(b"\r\n");
        said(&mut stream, &command)?;
    }
    Ok(total)
}

/// Measures.
pub(crate) fn measure(sizes: &Sizes) -> Result<Value, Failed> {
    let folder = tempfile::tempdir()?;
    let dovecot = Dovecot::start(&[USER])?;
    let bytes = fill(&dovecot, sizes.messages)?;
    let megabytes = bytes as f64 / 1e6;
    println!(
        "{} messages, {megabytes:.0} MB; one Dovecot, TLS, warm cache; everything synced unless said",
        sizes.messages
    );
    println!(
        "{:>5} {:>24} {:>9} {:>9} {:>9}",
        "round", "contestant", "seconds", "MB/s", "peak MB"
    );
    let contestants = ["offboard", "mbsync, FSync yes", "mbsync, FSync no"];
    let mut raw = Vec::new();
    let mut rates: Vec<Vec<f64>> = vec![Vec::new(); contestants.len()];
    let mut peaks: Vec<Vec<f64>> = vec![Vec::new(); contestants.len()];
    for round in 1..=sizes.rounds {
        for (at, name) in contestants.iter().enumerate() {
            let place = folder.path().join(format!("{round}-{at}"));
            std::fs::create_dir_all(&place)?;
            let took = match at {
                0 => offboard(&dovecot, &place, sizes.messages)?,
                _ => mbsync(&dovecot, &place, at == 1)?,
            };
            std::fs::remove_dir_all(&place)?;
            let (rate, peak) = (megabytes / took.seconds, took.peak_kb as f64 / 1024.0);
            println!("{round:>5} {name:>24} {:>9.2} {rate:>9.1} {peak:>9.1}", took.seconds);
            raw.push(json!({"round": round, "contestant": name, "seconds": took.seconds, "peak_kb": took.peak_kb, "bytes": bytes}));
            rates[at].push(rate);
            peaks[at].push(peak);
        }
    }
    for (at, name) in contestants.iter().enumerate() {
        println!(
            "{:>5} {name:>24} {:>9} {:>9.1} {:>9.1}",
            "med",
            "",
            median(rates[at].clone()),
            median(peaks[at].clone())
        );
    }
    Ok(json!(raw))
}

fn offboard(dovecot: &Dovecot, place: &Path, messages: u64) -> Result<Took, Failed> {
    let setup = Setup {
        port: dovecot.port(),
        ca: dovecot.authority().to_owned(),
        store: place.join("store"),
    };
    let file = place.join("setup.json");
    std::fs::write(&file, serde_json::to_vec(&setup)?)?;
    let began = Instant::now();
    let ran = Command::new(std::env::current_exe()?)
        .args(["role", "archive"])
        .arg(&file)
        .stderr(Stdio::inherit())
        .output()?;
    let seconds = began.elapsed().as_secs_f64();
    let said: Value = serde_json::from_slice(&ran.stdout)?;
    if said["archived"] != messages {
        return Err(format!("not everything was kept: {said}").into());
    }
    Ok(Took {
        seconds,
        peak_kb: said["peak_kb"].as_u64().unwrap_or(0),
    })
}

fn mbsync(dovecot: &Dovecot, place: &Path, sync: bool) -> Result<Took, Failed> {
    let config = format!(
        "FSync {}\nIMAPAccount d\nHost localhost\nPort {}\nUser {USER}\nPass {OWN_PASSWORD}\nSSLType IMAPS\nCertificateFile {}\n\n\
         IMAPStore remote\nAccount d\n\nMaildirStore local\nPath {root}/mail/\nInbox {root}/mail/INBOX\nSubFolders Verbatim\n\n\
         Channel c\nFar :remote:\nNear :local:\nPatterns INBOX\nCreate Near\nSyncState {root}/state/\n",
        if sync { "yes" } else { "no" },
        dovecot.port(),
        dovecot.authority().display(),
        root = place.display(),
    );
    for dir in ["mail", "state"] {
        std::fs::create_dir_all(place.join(dir))?;
    }
    let file = place.join("mbsyncrc");
    std::fs::write(&file, config)?;
    let began = Instant::now();
    let mut child = Command::new("mbsync")
        .args(["-q", "-c"])
        .arg(&file)
        .arg("c")
        .spawn()
        .map_err(|e| format!("failed to start mbsync: {e} (Debian package 'isync')"))?;
    let (status, peak_kb) = peak_of(&mut child)?;
    let seconds = began.elapsed().as_secs_f64();
    if !status.success() {
        return Err(format!("mbsync failed: {status}").into());
    }
    Ok(Took { seconds, peak_kb })
}

/// Waits for a process, looking at its largest memory as long as it runs.
fn peak_of(child: &mut std::process::Child) -> Result<(std::process::ExitStatus, u64), Failed> {
    let (pid, mut peak) = (child.id(), 0);
    loop {
        peak = high_water(pid).unwrap_or(0).max(peak);
        if let Some(status) = child.try_wait()? {
            return Ok((status, peak));
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// The most memory that a process ever had, in kB.
fn high_water(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

struct One(Arc<ImapConnector>);

impl Connectors for One {
    fn get(&self, _: &TenantId, _: &System) -> Option<Arc<dyn Connector>> {
        Some(self.0.clone())
    }
}

/// The process that keeps the mailbox: attempts as a worker makes them, until it is settled.
pub(crate) fn role(setup: &Path) -> Result<(), Failed> {
    let setup: Setup = serde_json::from_slice(&std::fs::read(setup)?)?;
    let system = System::new("mail")?;
    let settings = ImapSettings {
        system: system.clone(),
        host: "localhost".to_owned(),
        port: setup.port,
        security: Security::Tls,
        ca: Some(setup.ca),
        access: Access::Joined {
            user: ARCHIVER.to_owned(),
            password: ARCHIVER_PASSWORD.into(),
            separator: "*".to_owned(),
        },
        exact_sizes: true,
        probe: None,
    };
    let connector = ImapConnector::open(&HttpClient::new()?, &settings)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let context = Context {
        store: Store::folder(&setup.store)?,
        connectors: Arc::new(One(Arc::new(connector))),
        escrow: None,
        clock: clock.clone(),
    };
    let (tenant, mut checkpoint) = (TenantId::new("bench")?, None);
    let case = CaseId::derive(&tenant, "1");
    let archived = crate::wait_for(async {
        loop {
            let assignment = Assignment {
                task: TaskId::derive(case, Kind::ArchiveMailbox.name(), &system, None),
                tenant: tenant.clone(),
                case,
                attempt: 1,
                kind: Kind::ArchiveMailbox,
                target: Target {
                    system: system.clone(),
                    object: None,
                },
                subject: Subject::default(),
                params: Facts::new().with("mail_login", USER),
                mode: Mode::Full,
                checkpoint: checkpoint.take(),
                checks: Vec::new(),
                start_by: clock.now().plus(60_000),
                run_for_ms: Kind::ArchiveMailbox.spec().run_for_ms,
                version: 1,
                head: Digest::ZERO,
                traceparent: None,
            };
            match attempt(&assignment, Lane::Normal, false, &context).await.said {
                Said::Progress { checkpoint: more } => checkpoint = Some(more),
                Said::Satisfied { after, .. } => return Ok(after.facts.int("archived_messages")),
                other => return Err(format!("the mailbox was not kept: {other:?}").into()),
            }
        }
    })?;
    let peak_kb = high_water(std::process::id());
    println!("{}", json!({"archived": archived, "peak_kb": peak_kb}));
    Ok(())
}
