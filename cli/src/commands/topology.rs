//! `offboard topology`: what the broker must hold.

use super::Ctx;
use crate::backends::sites;
use crate::error::{CliError, Exit};
use offboard_domain::Area;
use offboard_queue::rabbit::{Topology, password_hash};
use offboard_runtime::Configuration;

pub(super) fn run(ctx: &Ctx, vhost: &str) -> Result<Exit, CliError> {
    let config = ctx.load()?;
    let mut topology = of(&config, vhost);
    let mut without = Vec::new();
    for user in topology.users() {
        match std::env::var(variable(&user)).ok().filter(|p| !p.is_empty()) {
            Some(password) => {
                let mut salt = [0; 4];
                getrandom::fill(&mut salt).map_err(|e| CliError::failed(format!("failed to get random bytes: {e}")))?;
                topology.password_hashes.insert(user, password_hash(&password, salt));
            }
            None => without.push(user),
        }
    }
    let definitions = topology.definitions().map_err(|e| CliError::of(&e))?;
    ctx.out.document(&definitions)?;
    if !without.is_empty() {
        ctx.out.say(format!(
            "Without a password, and so unable to log in: {}. Set {} and so on.",
            without.join(", "),
            variable(&without[0])
        ));
    }
    Ok(Exit::Done)
}

/// What this installation's broker must hold.
pub(super) fn of(config: &Configuration, vhost: &str) -> Topology {
    let mut topology = Topology::new(vhost);
    topology.report_shards = config.engine.shards;
    topology.sites = sites(config)
        .into_iter()
        .map(|site| (site, Area::MACHINES.to_vec()))
        .collect();
    topology
}

fn variable(user: &str) -> String {
    let name: String = user
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect();
    format!("OFFBOARD_BROKER_PASSWORD_{name}")
}
