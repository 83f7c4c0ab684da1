//! Whatever is changed is found and named: outside by anybody, inside even by
//! the holder of the key.

use super::world::{T0, World, departure, rich, small};
use super::*;
use crate::case::CaseState;
use crate::command::Command;
use crate::id::Digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as B64;

fn sealed(world: &World) -> Vec<u8> {
    seal(&statement(&world.history).unwrap(), &key())
}

fn wrong(file: &[u8]) -> Invalid {
    verify(file, &key().verifying_key()).expect_err("it was changed")
}

#[test]
fn what_was_sealed_verifies_and_is_what_was_sealed() {
    for world in [small(), rich()] {
        let said = statement(&world.history).unwrap();
        let file = seal(&said, &key());
        assert_eq!(file, seal(&said, &key()), "sealing is deterministic");
        assert_eq!(verify(&file, &key().verifying_key()), Ok(said));
    }
}

/// Every byte of the file, under every change of one bit where the file is
/// envelope; in the long payload, where every byte is alike, under one change
/// each, and under the others here and there.
#[test]
fn no_byte_of_the_file_can_change_unseen() {
    let file = sealed(&small());
    let verifying = key().verifying_key();
    let found = |changed: &[u8], i: usize, how: &str| {
        let named = verify(changed, &verifying).expect_err(&format!("byte {i} {how}"));
        assert!(!named.to_string().is_empty());
    };
    let payload = 12..file.len() - 200;
    for i in 0..file.len() {
        let thorough = !payload.contains(&i) || i % 41 == 0;
        let flips: &[u8] = if thorough {
            &[0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80]
        } else {
            &[0x01]
        };
        let mut changed = file.clone();
        for flip in flips {
            changed[i] = file[i] ^ flip;
            found(&changed, i, "flipped");
        }
        if !thorough {
            continue;
        }
        for other in [b'\n', b'=', b' ', b'"'] {
            changed[i] = other;
            if other != file[i] {
                found(&changed, i, "replaced");
            }
        }
        let mut other_length = file.clone();
        other_length.remove(i);
        found(&other_length, i, "removed");
        other_length.insert(i, file[i]);
        other_length.insert(i, file[i]);
        found(&other_length, i, "doubled");
    }
    for extra in [b" ".as_slice(), b"\n", b"{}", b"\0"] {
        assert!(matches!(
            wrong(&[&file, extra].concat()),
            Invalid::NotAsSealed { .. } | Invalid::NotJson(_)
        ));
        assert!(verify(&[extra, &file].concat(), &verifying).is_err());
    }
}

#[test]
fn the_outside_has_one_form_only() {
    let file = String::from_utf8(sealed(&small())).unwrap();
    let change = |from: &str, to: &str| {
        assert!(file.contains(from), "{from}");
        wrong(file.replacen(from, to, 1).as_bytes())
    };
    assert!(matches!(wrong(b"not json"), Invalid::NotJson(_)));
    assert!(matches!(wrong(b"{}"), Invalid::NotAnEnvelope(_)));
    assert!(matches!(
        change("\"payload\"", "\"unknown\":1,\"payload\""),
        Invalid::NotAnEnvelope(_)
    ));
    assert!(matches!(
        change("\",\"payloadType", "\", \"payloadType"),
        Invalid::NotAsSealed { .. }
    ));
    assert!(matches!(
        change("in-toto+json", "in-toto-json"),
        Invalid::PayloadType { .. }
    ));
    assert!(matches!(
        change("vnd.in-toto", "vnd\\u002ein-toto"),
        Invalid::NotAsSealed { .. }
    ));
    let id = key_id(&key().verifying_key());
    assert!(matches!(
        change(&id, "0000000000000000"),
        Invalid::NoSignatureByThisKey { .. }
    ));
    let other = SigningKey::from_bytes(&[43; 32]).verifying_key();
    assert!(matches!(
        verify(file.as_bytes(), &other),
        Err(Invalid::NoSignatureByThisKey { .. })
    ));
    let mut two: serde_json::Value = serde_json::from_str(&file).unwrap();
    let copy = two["signatures"][0].clone();
    two["signatures"].as_array_mut().unwrap().push(copy);
    assert!(matches!(
        wrong(&serde_json::to_vec(&two).unwrap()),
        Invalid::SignatureCount { found: 2 }
    ));
    // Unused bits of the last base64 digit: the same bytes, another file.
    let mut short = file.clone();
    let at = short.rfind("==\"").unwrap() - 1;
    let digit = char::from(short.as_bytes()[at] + 1).to_string();
    short.replace_range(at..=at, &digit);
    assert_eq!(wrong(short.as_bytes()), Invalid::SignatureEncoding);
}

/// A changed payload is named by the signature, and by what it says now.
#[test]
fn a_changed_payload_says_where_it_changed() {
    let file = sealed(&small());
    let mut envelope: serde_json::Value = serde_json::from_slice(&file).unwrap();
    let payload = B64.decode(envelope["payload"].as_str().unwrap()).unwrap();
    let said: Statement = serde_json::from_slice(&payload).unwrap();
    let body = said.predicate.chain.events[3].body.to_string();
    let other = Digest::of(b"another body").to_string();
    let forged = String::from_utf8(payload).unwrap().replace(&body, &other);
    envelope["payload"] = B64.encode(forged).into();
    let found = wrong(&serde_json::to_vec(&envelope).unwrap());
    assert_eq!(
        found,
        Invalid::SignatureDoesNotFit {
            seen: Some(Box::new(Invalid::ChainBroken { version: 4 }))
        }
    );
    assert!(found.to_string().contains("version 4"));
}

/// What the holder of the key could forge, were the account not to bear
/// itself out.
#[test]
fn a_sound_signature_over_an_unsound_account_is_no_evidence() {
    let honest = statement(&rich().history).unwrap();
    let forged = |f: &dyn Fn(&mut Statement)| {
        let mut s = honest.clone();
        f(&mut s);
        wrong(&seal(&s, &key()))
    };
    let task = |s: &Statement, kind: &str| s.predicate.tasks.iter().position(|t| t.kind == kind).unwrap();

    let named = forged(&|s| s.statement_type = "https://in-toto.io/Statement/v0.1".into());
    assert!(matches!(named, Invalid::StatementType { .. }));
    let named = forged(&|s| s.predicate_type.push('0'));
    assert!(matches!(named, Invalid::PredicateType { .. }));
    assert_eq!(
        forged(&|s| s.predicate.chain.events[4].hash = Digest::ZERO),
        Invalid::ChainBroken { version: 5 }
    );
    let named = forged(&|s| {
        s.predicate.chain.events.pop();
    });
    assert!(matches!(named, Invalid::HeadDiffers { .. }));
    let named = forged(&|s| s.subject[0].digest.sha256 = Digest::ZERO);
    assert!(matches!(
        named,
        Invalid::HeadDiffers {
            what: "the statement's first subject",
            ..
        }
    ));
    let named = forged(&|s| {
        s.subject.pop();
    });
    assert!(matches!(named, Invalid::ArtifactMismatch { .. }));
    let named = forged(&|s| {
        let i = s
            .predicate
            .artifacts
            .iter()
            .position(|a| a.name.ends_with("/attested"))
            .unwrap();
        s.predicate.artifacts.remove(i);
        s.subject.remove(i + 1);
    });
    assert!(matches!(named, Invalid::AttestedFileMissing { .. }));
    let named = forged(&|s| {
        let copy = s.predicate.tasks[0].clone();
        s.predicate.tasks.push(copy);
    });
    assert!(matches!(named, Invalid::TaskTwice { .. }));
    let named = forged(&|s| {
        let i = task(s, "device.wipe");
        s.predicate.tasks[i].object = Some("another-laptop".into());
    });
    assert!(matches!(named, Invalid::TaskDigest { .. }));
    let named = forged(&|s| s.predicate.plan.digest = Digest::ZERO);
    assert!(matches!(named, Invalid::PlanDigest { .. }));
    let named = forged(&|s| {
        s.predicate.request.subject.clear();
    });
    assert!(matches!(named, Invalid::PlanDigest { .. }));
    let named = forged(&|s| s.predicate.approvals[0].digest = Digest::ZERO);
    assert!(matches!(named, Invalid::ApprovesSomethingElse { .. }));
    let named = forged(&|s| s.predicate.request.requested_by = s.predicate.approvals[0].by.clone());
    assert!(matches!(named, Invalid::ApprovedByRequester { .. }));
    let named = forged(&|s| s.predicate.request.handed_in_by = Some(s.predicate.approvals[0].by.clone()));
    assert!(matches!(named, Invalid::ApprovedByRequester { .. }));
    let named = forged(&|s| s.predicate.approvals.retain(|a| a.task.is_none()));
    assert!(matches!(named, Invalid::LeftOut { .. }));
    let named = forged(&|s| {
        let i = task(s, "identity.disable_sign_in");
        s.predicate.tasks[i].steps.remove(0);
    });
    assert!(matches!(named, Invalid::LeftOut { event, .. } if event == "task_assigned"));
    let named = forged(&|s| {
        let i = task(s, "identity.disable_sign_in");
        s.predicate.tasks[i].steps[0].version += 1;
    });
    assert!(matches!(named, Invalid::WithoutEvent { .. }));
    let named = forged(&|s| {
        let i = task(s, "device.unassign_autopilot");
        s.predicate.tasks[i].outcome = Some(OutcomeAccount::Verified);
    });
    assert!(matches!(named, Invalid::NoReading { .. }));
    let named = forged(&|s| {
        let i = task(s, "device.wipe");
        s.predicate.tasks[i].settled_version = Some(1);
    });
    assert!(matches!(named, Invalid::OutcomeWithoutEvent { .. }));
    let named = forged(&|s| {
        let i = task(s, "device.wipe");
        let t = &mut s.predicate.tasks[i];
        (t.outcome, t.settled_version, t.settled_at, t.closing_proof) = (None, None, None, None);
    });
    assert!(matches!(named, Invalid::NotSettled { .. }));
    let named = forged(&|s| {
        let i = task(s, "identity.disable_sign_in");
        let proof = &mut s.predicate.tasks[i].closing_proof;
        if let Some(ClosingProofAccount::ReadAgain { round, .. }) = proof {
            *round = 1;
        }
    });
    assert!(matches!(named, Invalid::NotReadAgain { .. }));
    let named = forged(&|s| {
        let i = task(s, "identity.disable_sign_in");
        s.predicate.tasks[i].closing_proof = Some(ClosingProofAccount::Person);
    });
    assert!(matches!(named, Invalid::NotReadAgain { .. }));
    let named = forged(&|s| s.predicate.ending = Ending::Cancelled);
    assert!(matches!(named, Invalid::Ending { said: "cancelled", .. }));
    let named = forged(&|s| s.predicate.waivers.clear());
    assert!(matches!(
        named,
        Invalid::DoesNotFollow {
            what: "the list of waivers"
        }
    ));
    let named = forged(&|s| s.predicate.summary.faults = 0);
    assert!(matches!(named, Invalid::DoesNotFollow { what: "the summary" }));
    let named = forged(&|s| s.predicate.times.seconds_from_request_to_last_access_cut = Some(1));
    assert!(matches!(
        named,
        Invalid::DoesNotFollow {
            what: "the time to the last access cut"
        }
    ));
}

/// A task that needs its own approval and began before it.
#[test]
fn an_approval_after_the_act_is_none() {
    let mut s = statement(&rich().history).unwrap();
    let wipe = s.predicate.tasks.iter().position(|t| t.kind == "device.wipe").unwrap();
    let id = s.predicate.tasks[wipe].id;
    // The approval is moved to where another task's is.
    let steps = &mut s.predicate.tasks[wipe].steps;
    let approval = steps.remove(0);
    assert_eq!(approval.event, "task_approved");
    let other = s
        .predicate
        .tasks
        .iter_mut()
        .find(|t| t.kind == "person.validate")
        .unwrap();
    other.steps.insert(0, approval);
    for a in s.predicate.approvals.iter_mut().filter(|a| a.task == Some(id)) {
        a.task = Some(other.id);
        a.digest = crate::plan::approval_digest(other.digest, a.from.unwrap().timestamp());
    }
    assert_eq!(wrong(&seal(&s, &key())), Invalid::Unapproved { task: id });
}

#[test]
fn only_a_whole_history_at_its_end_is_accounted_for() {
    let world = rich();
    assert_eq!(statement(&[]), Err(EvidenceError::Empty));
    assert!(matches!(
        statement(&world.history[1..]),
        Err(EvidenceError::ChainBroken { version: 1 })
    ));
    let mut gap = world.history.clone();
    gap.remove(7);
    assert_eq!(statement(&gap), Err(EvidenceError::ChainBroken { version: 8 }));
    let mut changed = world.history.clone();
    changed[7].record.body.push(b' ');
    assert_eq!(statement(&changed), Err(EvidenceError::ChainBroken { version: 8 }));
    let mut other = world.history.clone();
    other[7].event = other[6].event.clone();
    other[7].at = T0;
    assert_eq!(statement(&other), Err(EvidenceError::OtherEvent { version: 8 }));
    let whole = world.history.len();
    for n in 1..whole {
        let early = statement(&world.history[..n]);
        assert!(
            matches!(early, Err(EvidenceError::NotAtItsEnd { .. })),
            "{n} of {whole}: {early:?}"
        );
    }
}

#[test]
fn a_cancelled_case_is_accounted_for_with_what_happened() {
    let mut world = World::open(
        departure(crate::departure::Manner::Immediate),
        &[
            crate::Kind::Resolve,
            crate::Kind::SnapshotAccess,
            crate::Kind::DisableSignIn,
        ],
        crate::Policy::default(),
    );
    world
        .extra
        .insert(crate::Kind::Resolve, crate::Facts::new().with("object_id", "u-1"));
    world.drain();
    world.order(Command::Cancel {
        by: "m.weiß@msp.example".into(),
        reason: "he stays".into(),
    });
    world.drain();
    assert_eq!(world.case().state, CaseState::Cancelled);
    let said = statement(&world.history).unwrap();
    assert_eq!(said.predicate.ending, Ending::Cancelled);
    assert_eq!(
        said.predicate.cancellation.as_ref().map(|c| c.reason.as_str()),
        Some("he stays")
    );
    assert!(said.predicate.tasks.iter().any(|t| t.outcome.is_none()));
    assert!(!said.predicate.times.access_not_cut.is_empty());
    assert!(verify(&seal(&said, &key()), &key().verifying_key()).is_ok());
}
