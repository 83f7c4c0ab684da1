//! Ring 2: seeds of the whole, on one thread each, with paused time.
//!
//! `OFFBOARD_SEEDS` runs that many seeds, `OFFBOARD_SEEDS_FROM` begins
//! elsewhere; a violated invariant prints the one command that replays it.

use offboard_suites::{Befell, Broken, Invariant, Judged, Outcome, Processes, Shape, Simulation, Workers};

/// Seeds with the real workers in a normal run. All the suites together were measured to take
/// 363 to 923 s on two cores, by how fast the machine was on the day.
const REAL_SEEDS: u64 = 1_000;
/// Seeds with the model's workers in a normal run.
const MODEL_SEEDS: u64 = 1_000;
/// Seeds with several dispatchers and the model's workers: each takes ten times
/// as long, because leases are renewed and looked after all the time.
const SEVERAL_SEEDS: u64 = 40;
/// Seeds with several dispatchers and the real workers.
const SEVERAL_REAL_SEEDS: u64 = 8;
/// Seeds in which all who administer a tenant leave it at the same second.
const ADMINISTRATORS_SEEDS: u64 = 100;
/// Threads, each with a runtime of its own.
const THREADS: u64 = 2;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn told(outcome: &Outcome, shape: &Shape) -> String {
    let violated: Vec<String> = outcome.violated.iter().map(|v| format!("  {v}")).collect();
    let seed = outcome.seed;
    format!(
        "seed {seed}:\n{}\n  replay: {}",
        violated.join("\n"),
        shape.replay(seed)
    )
}

fn run(workers: Workers, processes: Processes, usual: u64) {
    let shape = Shape {
        workers,
        processes,
        ..Shape::default()
    };
    run_as(&shape, usual);
}

fn run_as(shape: &Shape, usual: u64) {
    let asked = number("OFFBOARD_SEEDS");
    let (from, count) = (number("OFFBOARD_SEEDS_FROM").unwrap_or(0), asked.unwrap_or(usual));
    let bad: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn(move || {
                    let seeds = (from..from.saturating_add(count)).filter(|seed| seed % THREADS == thread);
                    let outcomes = seeds.map(|seed| Simulation::run(seed, shape));
                    let bad = outcomes.filter(|outcome| !outcome.violated.is_empty());
                    bad.map(|outcome| told(&outcome, shape)).collect::<Vec<_>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|t| t.join().expect("a simulation does not panic"))
            .collect()
    });
    assert!(bad.is_empty(), "{} of {count} seeds:\n{}", bad.len(), bad.join("\n"));
}

#[test]
fn every_seed_with_the_real_workers_keeps_the_invariants() {
    run(Workers::Real, Processes::One, REAL_SEEDS);
}

#[test]
fn every_seed_with_the_models_workers_keeps_the_invariants() {
    run(Workers::Model, Processes::One, MODEL_SEEDS);
}

#[test]
fn every_seed_with_several_dispatchers_keeps_the_invariants() {
    run(Workers::Model, Processes::Several, SEVERAL_SEEDS);
}

#[test]
fn every_seed_with_several_dispatchers_and_the_real_workers_keeps_the_invariants() {
    run(Workers::Real, Processes::Several, SEVERAL_REAL_SEEDS);
}

#[test]
fn every_seed_in_which_all_administrators_leave_keeps_the_invariants() {
    let shape = Shape {
        administrators: true,
        ..Shape::default()
    };
    run_as(&shape, ADMINISTRATORS_SEEDS);
}

#[test]
fn two_runs_of_a_seed_have_one_transcript() {
    let each = [Workers::Real, Workers::Model]
        .into_iter()
        .flat_map(|w| [Processes::One, Processes::Several].map(|p| (w, p)));
    for (workers, processes) in each {
        let shape = Shape {
            workers,
            processes,
            verbose: true,
            ..Shape::default()
        };
        let seeds = if processes == Processes::One { 20 } else { 3 };
        for seed in 0..seeds {
            let (one, two) = (Simulation::run(seed, &shape), Simulation::run(seed, &shape));
            let parted = one.transcript.iter().zip(&two.transcript).find(|(a, b)| a != b);
            assert_eq!(parted, None, "{}", shape.replay(seed));
            assert_eq!(
                (one.digest, one.lines),
                (two.digest, two.lines),
                "{}",
                shape.replay(seed)
            );
        }
    }
}

/// Seeds until each thing beside the vendor was there to be judged.
const JUDGED_WITHIN: u64 = 60;

/// Of what no seed has, nothing is ever wrong.
#[test]
fn archives_tickets_dead_desks_pages_and_accounts_elsewhere_are_there_to_be_judged() {
    let mut seen = Judged::default();
    for seed in 0..JUDGED_WITHIN {
        let judged = Simulation::run(seed, &Shape::default()).judged;
        seen.archives += judged.archives;
        seen.tickets += judged.tickets;
        seen.dead_desks += judged.dead_desks;
        seen.pages += judged.pages;
        seen.in_apps += judged.in_apps;
        seen.in_workspaces += judged.in_workspaces;
        seen.transfers += judged.transfers;
        let beside = [seen.archives, seen.tickets, seen.dead_desks, seen.pages];
        let accounts = [seen.in_apps, seen.in_workspaces, seen.transfers];
        if beside.iter().chain(&accounts).all(|n| *n > 0) {
            return;
        }
    }
    panic!("within {JUDGED_WITHIN} seeds there were no more than {seen:?}");
}

/// Seeds until each thing befell several processes.
const BEFALLS_WITHIN: u64 = 40;

/// What never comes is not tried.
#[test]
fn several_processes_lose_the_broker_and_the_ledgers_end_and_their_clocks_are_set() {
    let shape = Shape {
        workers: Workers::Model,
        processes: Processes::Several,
        ..Shape::default()
    };
    let mut seen = Befell::default();
    for seed in 0..BEFALLS_WITHIN {
        let befell = Simulation::run(seed, &shape).befell;
        seen.emptied += befell.emptied;
        seen.long_tails += befell.long_tails;
        seen.broad_tails += befell.broad_tails;
        seen.clocks_set += befell.clocks_set;
        if [seen.emptied, seen.long_tails, seen.broad_tails, seen.clocks_set]
            .iter()
            .all(|n| *n > 0)
        {
            return;
        }
    }
    panic!("within {BEFALLS_WITHIN} seeds there was no more than {seen:?}");
}

/// `tests/readme` runs these two as they stand here.
#[test]
fn a_seed_is_replayed_by_the_readmes_own_command() {
    let plain = Shape::default();
    assert_eq!(plain.replay(1), "cargo simulate --seed 1");
    let other = Shape {
        workers: Workers::Model,
        processes: Processes::Several,
        ..plain
    };
    assert_eq!(other.replay(1), "cargo simulate --model --several --seed 1");
}

/// Seeds until one of them shows what is broken.
const BITES_WITHIN: u64 = 40;

fn bites(workers: Workers, broken: Broken, invariant: Invariant) {
    bites_among(Processes::One, workers, broken, invariant);
}

fn bites_among(processes: Processes, workers: Workers, broken: Broken, invariant: Invariant) {
    let shape = Shape {
        workers,
        processes,
        broken: Some(broken),
        administrators: broken == Broken::NobodyKnowsWhoLeaves,
        ..Shape::default()
    };
    let caught = (0..BITES_WITHIN).any(|seed| {
        Simulation::run(seed, &shape)
            .violated
            .iter()
            .any(|v| v.invariant == invariant)
    });
    assert!(
        caught,
        "{broken:?} was not caught as {invariant} within {BITES_WITHIN} seeds"
    );
}

#[test]
fn a_licence_that_goes_early_is_caught() {
    bites(
        Workers::Real,
        Broken::LicencesGoEarly,
        Invariant::LicenceAfterPreservation,
    );
}

#[test]
fn a_second_wipe_is_caught() {
    bites(Workers::Real, Broken::WipesAreSentTwice, Invariant::WipeNeverTwice);
}

#[test]
fn a_lost_case_is_caught() {
    bites(Workers::Real, Broken::NewCasesAreLost, Invariant::AcceptedNeverLost);
}

#[test]
fn a_licence_that_goes_early_in_the_models_world_is_caught() {
    bites(
        Workers::Model,
        Broken::LicencesGoWithAnything,
        Invariant::LicenceAfterPreservation,
    );
}

#[test]
fn another_leaver_of_the_same_tenant_is_caught() {
    bites(
        Workers::Real,
        Broken::AnotherLeaverIsRevoked,
        Invariant::NeverAnotherSubject,
    );
}

#[test]
fn a_device_that_is_wiped_although_it_was_given_away_is_caught() {
    bites(Workers::Real, Broken::OwnersStayOld, Invariant::NeverAnothersDevice);
}

#[test]
fn a_tenant_that_is_locked_out_is_caught() {
    bites(Workers::Real, Broken::NobodyKnowsWhoLeaves, Invariant::NoHarm);
}

#[test]
fn a_message_that_an_archive_lacks_is_caught() {
    bites(Workers::Real, Broken::MessagesAreHidden, Invariant::ArchiveIsWhole);
}

#[test]
fn a_second_ticket_is_caught() {
    bites(Workers::Real, Broken::TicketsAreOpenedTwice, Invariant::TicketOnce);
}

#[test]
fn a_ticket_that_is_closed_early_is_caught() {
    bites(
        Workers::Real,
        Broken::TicketsAreClosedEarly,
        Invariant::TicketAfterValidation,
    );
}

#[test]
fn a_second_page_is_caught() {
    bites(Workers::Real, Broken::PagesAreAddedTwice, Invariant::NotesOnce);
}

#[test]
fn an_account_that_stays_open_in_an_application_is_caught() {
    bites(
        Workers::Real,
        Broken::TheAppCallsEverybodyEnded,
        Invariant::NothingOpenElsewhere,
    );
}

#[test]
fn a_colleague_who_is_ended_in_an_application_is_caught() {
    bites(
        Workers::Real,
        Broken::AnotherEndsInTheApp,
        Invariant::NeverAnotherSubject,
    );
}

#[test]
fn an_account_that_stays_open_in_a_workspace_is_caught() {
    bites(
        Workers::Real,
        Broken::TheWorkspaceCallsEverybodySuspended,
        Invariant::NothingOpenElsewhere,
    );
}

#[test]
fn a_colleague_who_is_suspended_in_a_workspace_is_caught() {
    bites(
        Workers::Real,
        Broken::AnotherEndsInTheWorkspace,
        Invariant::NeverAnotherSubject,
    );
}

#[test]
fn files_that_are_given_away_twice_are_caught() {
    bites(Workers::Real, Broken::FilesAreTransferredTwice, Invariant::TransferOnce);
}

#[test]
fn a_case_that_waits_for_a_dead_desk_is_caught() {
    bites(
        Workers::Real,
        Broken::SealingWaitsForTheDesk,
        Invariant::NothingWaitsForTheDesk,
    );
}

/// As it would be if the product took a secret for something that it may keep.
#[test]
fn a_secret_that_gets_into_messages_events_and_artifacts_is_caught_in_each() {
    let shape = Shape {
        workers: Workers::Real,
        broken: Some(Broken::SecretsStandForNames),
        ..Shape::default()
    };
    let mut missing = vec!["in a message", "in the event", "in artifact"];
    for seed in 0..BITES_WITHIN {
        let outcome = Simulation::run(seed, &shape);
        let secrets = outcome.violated.iter().filter(|v| v.invariant == Invariant::NoSecret);
        let seen: Vec<&str> = secrets.map(|v| v.what.as_str()).collect();
        missing.retain(|place| !seen.iter().any(|what| what.contains(place)));
        if missing.is_empty() {
            return;
        }
    }
    panic!("within {BITES_WITHIN} seeds no secret was caught {missing:?}");
}

#[test]
fn a_request_that_another_leavers_case_swallows_is_caught() {
    bites(Workers::Model, Broken::ClaimsAreAnothers, Invariant::NoRequestForgotten);
}

#[test]
fn a_changed_account_is_caught() {
    bites(Workers::Model, Broken::EvidenceIsChanged, Invariant::EvidenceVerifies);
}

/// Of several processes the auditor sees as much as of one.
#[test]
fn what_is_broken_is_caught_among_several_processes_too() {
    for (broken, invariant) in [
        (Broken::NewCasesAreLost, Invariant::AcceptedNeverLost),
        (Broken::LicencesGoWithAnything, Invariant::LicenceAfterPreservation),
        (Broken::EvidenceIsChanged, Invariant::EvidenceVerifies),
    ] {
        bites_among(Processes::Several, Workers::Model, broken, invariant);
    }
}
