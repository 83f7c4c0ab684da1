//! The private servers that all contestants share, each in its own virtual
//! host and with the store emptied before it begins; and the children.

use super::child::Child;
use super::least;
use super::setup::{BARE_VHOST, CELERY_VHOST, LEAST_VHOST, OFFBOARD_VHOST, Setup};
use super::sink::Sink;
use crate::embedded::{Failed, TENANTS};
use offboard_cli::compose::{concurrency, limits};
use offboard_domain::{Area, Lane};
use offboard_queue::QueueName;
use offboard_queue::rabbit::{CLOSER, DISPATCHER, Topology, WORKER, password_hash};
use offboard_runtime::config::Engine;
use offboard_runtime::keys::{DispatchKey, create_missing};
use offboard_servers::redis::{Fsync, RedisOptions};
use offboard_servers::{ADMINISTRATOR, Rabbit, RabbitOptions, Redis};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How the contestants are set up: what an operator with a machine and vendors this
/// quick would write into `offboard.toml`. Whatever is not here is as if he wrote nothing.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, clap::Args)]
pub(crate) struct Tuning {
    /// Over how many shards (queues of reports) tenants are spread.
    #[arg(long, default_value_t = 16)]
    pub(crate) shards: u16,
    /// Most assignments that Offboard has in flight in each queue.
    #[arg(long, default_value_t = 256)]
    pub(crate) credit: u32,
    /// Most that it has in flight in all urgent lanes together.
    #[arg(long, default_value_t = 256)]
    pub(crate) urgent_cap: u32,
    /// Most deliveries that each consumer holds (of every contestant but Celery; Offboard
    /// holds half as many of a normal lane).
    #[arg(long, default_value_t = 256)]
    pub(crate) prefetch: u16,
    /// How long each call of an outside system takes, of those that Offboard's worker calls.
    #[arg(long, default_value_t = 0)]
    pub(crate) vendor_ms: u64,
}

impl Tuning {
    /// The configuration of an installation that is tuned so.
    pub(crate) fn engine(self, folder: &Path) -> Engine {
        let mut engine = Engine::defaults(folder);
        engine.shards = self.shards;
        let admission = &mut engine.admission;
        (admission.urgent_cap, admission.prefetch) = (self.urgent_cap, self.prefetch);
        for credit in admission.credit.values_mut() {
            *credit = self.credit;
        }
        engine
    }

    /// One line, of what the engine and its workers are told in the end.
    pub(crate) fn in_words(self) -> String {
        let engine = self.engine(Path::new(""));
        let (limits, hands) = (limits(&engine.admission), concurrency(&engine.admission));
        format!(
            "Offboard: {} shards; in flight {} a queue, {} in all urgent lanes, {} % of a queue for one tenant; a worker \
             holds {} urgent and {} normal assignments of each area; each call outside takes {} ms",
            engine.shards,
            (limits.credit)((Area::Identity, Lane::Urgent)),
            limits.urgent_together,
            limits.tenant_percent,
            hands.urgent,
            hands.normal,
            self.vendor_ms
        )
    }
}

/// How long the store may take to forget.
const FORGETTING: Duration = Duration::from_secs(60);

/// Broker, store and collector.
pub(crate) struct Stage {
    pub(crate) rabbit: Rabbit,
    pub(crate) redis: Redis,
    sink: Sink,
    tuning: Tuning,
    passwords: BTreeMap<String, String>,
    /// The runs' folders, until the bench ends: some file systems are slow to
    /// make files where many were just removed.
    runs: Vec<TempDir>,
}

impl Stage {
    /// Starts them.
    pub(crate) fn set(tuning: Tuning) -> Result<Self, Failed> {
        let users = [DISPATCHER, WORKER, CLOSER];
        let passwords = users.map(|user| (user.to_owned(), format!("only for the bench: {user}")));
        let mut passwords: BTreeMap<String, String> = passwords.into();
        let topology = |vhost| Topology {
            report_shards: tuning.shards,
            ..Topology::new(vhost)
        };
        let hashes = passwords.iter().map(|(user, password)| {
            let mut salt = [0; 4];
            getrandom::fill(&mut salt)?;
            Ok::<_, Failed>((user.clone(), password_hash(password, salt)))
        });
        let mine = Topology {
            password_hashes: hashes.collect::<Result<_, _>>()?,
            ..topology(OFFBOARD_VHOST)
        };
        let rabbit = Rabbit::start(RabbitOptions {
            definitions: Some(mine.definitions()?),
            ..RabbitOptions::default()
        })?;
        let mut same = topology(BARE_VHOST).definitions()?;
        // Users are the broker's and not a virtual host's.
        for of_users in ["users", "permissions", "topic_permissions"] {
            same[of_users] = json!([]);
        }
        for others in [
            same,
            least_definitions(),
            json!({ "vhosts": [{ "name": CELERY_VHOST }] }),
        ] {
            rabbit.import(&others)?;
        }
        let redis = Redis::start(&RedisOptions {
            fsync: Fsync::Always,
            // No contestant's rewriting falls into another's time.
            more: vec!["auto-aof-rewrite-percentage 0".to_owned()],
            ..RedisOptions::default()
        })?;
        passwords.insert(ADMINISTRATOR.to_owned(), rabbit.password().to_owned());
        Ok(Self {
            rabbit,
            redis,
            sink: Sink::start()?,
            tuning,
            passwords,
            runs: Vec::new(),
        })
    }

    /// Empties the store, makes a new folder, and says what a child of the
    /// next run needs to know.
    pub(crate) fn clean(&mut self) -> Result<Setup, Failed> {
        self.forget()?;
        let run = tempfile::Builder::new().prefix("offboard-bench-").tempdir()?;
        let folder = run.path().to_owned();
        self.runs.push(run);
        keys(&folder)?;
        let setup = Setup {
            rabbit_port: self.rabbit.port(),
            passwords: self.passwords.clone(),
            redis: self.redis.url(),
            folder: folder.clone(),
            otlp: self.sink.endpoint(),
            tenants: TENANTS,
            tuning: self.tuning,
        };
        std::fs::write(folder.join("setup.json"), serde_json::to_vec(&setup)?)?;
        Ok(setup)
    }

    /// Starts this program in a role.
    pub(crate) fn child(&self, role: &'static str, setup: &Setup) -> Result<Child, Failed> {
        let mut program = std::process::Command::new(std::env::current_exe()?);
        program.arg("role").arg(role).arg(setup.folder.join("setup.json"));
        Child::start(role, program, &setup.folder)
    }

    /// Empties the store, and its log.
    fn forget(&self) -> Result<(), Failed> {
        self.redis.command(&["FLUSHALL"])?;
        self.redis.command(&["BGREWRITEAOF"])?;
        let began = Instant::now();
        while !self.rewritten()? {
            if began.elapsed() > FORGETTING {
                return Err("Redis does not end rewriting its log".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn rewritten(&self) -> Result<bool, Failed> {
        let info = self.redis.command(&["INFO", "persistence"])?.text();
        let is = |what: &str| info.lines().any(|line| line.trim() == what);
        Ok(is("aof_rewrite_in_progress:0") && is("aof_rewrite_scheduled:0"))
    }

    /// How many bytes of telemetry came.
    pub(crate) fn telemetry_bytes(&self) -> u64 {
        self.sink.bytes()
    }

    /// A figure of the store's own.
    pub(crate) fn redis_info(&self, section: &str, name: &str) -> Result<String, Failed> {
        let info = self.redis.command(&["INFO", section])?.text();
        let line = info.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
        Ok(line.ok_or("Redis does not say it")?.trim().to_owned())
    }
}

/// All keys for dispatcher and closer, and for the worker those of its queues
/// alone.
fn keys(folder: &Path) -> Result<(), Failed> {
    let all = folder.join("keys");
    create_missing(&all)?;
    let dispatch = DispatchKey::load(&all)?;
    let workers = folder.join("worker-keys");
    offboard_runtime::private::create_folder(&workers)?;
    for queue in Topology::new("").queues() {
        if let QueueName::Assignments { .. } = queue {
            let name = queue.to_string();
            dispatch.queue(&name).save(&workers, &name)?;
        }
    }
    Ok(())
}

fn least_definitions() -> Value {
    json!({
        "vhosts": [{ "name": LEAST_VHOST }],
        "queues": [{
            "name": least::QUEUE, "vhost": LEAST_VHOST, "durable": true, "auto_delete": false,
            "arguments": { "x-queue-type": "quorum" },
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offboard_is_admitted_as_an_installation_is() {
        let tuning = Tuning {
            shards: 4,
            credit: 200,
            urgent_cap: 100,
            prefetch: 50,
            vendor_ms: 7,
        };
        let said = tuning.in_words();
        // One tenant's share is nobody's to tune here: it is what every installation has.
        let share = Engine::defaults(Path::new("")).admission.tenant_percent;
        assert!(share < 100);
        for part in [
            "4 shards",
            "200 a queue",
            "100 in all urgent lanes",
            &format!("{share} % of a queue for one tenant"),
            "50 urgent and 25 normal",
            "takes 7 ms",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
}
