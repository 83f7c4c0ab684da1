use super::*;
use offboard_domain::evidence::{Begun, Cancellation, InFlight, LostTail, Named, OutcomeAccount, RefusalAccount, Step};

/// The account that the domain's own tests keep: much goes wrong in it.
const RICH: &str = include_str!("../../../shared/domain/src/evidence/testdata/rich.json");
const SMALL: &str = include_str!("../../../shared/domain/src/evidence/testdata/small.json");
const FILE: &str = "musterwerk/c-1/evidence-130.dsse.json";

fn statement(json: &str) -> Statement {
    serde_json::from_str(json).unwrap()
}

/// The texts between the tags of a name, without tags inside them.
fn texts(page: &str, tag: &str) -> Vec<String> {
    let (open, close) = (format!("<{tag}"), format!("</{tag}>"));
    page.split(&open)
        .skip(1)
        .filter(|rest| rest.starts_with(['>', ' ']))
        .filter_map(|rest| rest.split_once('>'))
        .filter_map(|(_, rest)| rest.split_once(&close))
        .map(|(inside, _)| {
            inside
                .split('<')
                .enumerate()
                .map(|(i, p)| {
                    if i == 0 {
                        p
                    } else {
                        p.split_once('>').map_or("", |x| x.1)
                    }
                })
                .collect()
        })
        .collect()
}

#[test]
fn the_page_has_its_parts_in_order() {
    let page = render(&statement(RICH), FILE);
    assert_eq!(texts(&page, "h1"), ["Jürgen Groß"]);
    assert_eq!(
        texts(&page, "h2"),
        [
            "Exceptions",
            "Course",
            "Tasks",
            "Devices",
            "Licences freed",
            "Closing rounds",
            "Approvals",
            "Controls that this supports",
            "How to verify this"
        ]
    );
    assert_eq!(
        texts(&page, "h3"),
        [
            "Initiation",
            "Access revocation",
            "Device recovery",
            "Mail and files",
            "Licences",
            "Closure"
        ]
    );
    assert_eq!(
        texts(&page, "dt")[..5],
        [
            "Sign-in and sessions cut",
            "Last access cut",
            "Licences freed",
            "Exceptions",
            "Closed"
        ]
    );
    let exceptions = &page[page.find("id=\"exceptions\"").unwrap()..page.find("id=\"course\"").unwrap()];
    let sorts: Vec<String> = texts(exceptions, "td").into_iter().step_by(3).collect();
    assert_eq!(
        sorts,
        [
            "waived",
            "attested without file",
            "attested without file",
            "was undone",
            "needed a person",
            "needed a person",
            "late report",
            "overdue",
            "not applicable"
        ]
    );
    assert_eq!(
        texts(&page, "pre"),
        ["offboard verify evidence-130.dsse.json --key public.pem"]
    );
}

/// One row for each task, each with a bar and a cell for each column.
#[test]
fn every_task_is_in_its_table_and_in_the_picture() {
    let said = statement(RICH);
    let page = render(&said, FILE);
    let tables = &page[page.find("id=\"tasks\"").unwrap()..page.find("id=\"devices\"").unwrap()];
    assert_eq!(tables.matches("<th scope=\"row\"").count(), said.predicate.tasks.len());
    assert_eq!(tables.matches("<td").count(), 5 * said.predicate.tasks.len());
    let plotted = said.predicate.tasks.iter().filter(|t| !t.nature.closing_round).count();
    assert_eq!(page.matches("<g><title>").count(), plotted);
    assert!(page.contains("roles: 2 → none") && page.contains("enabled: yes → no"));
    assert!(page.contains("Read again in round 2"));
    assert!(page.contains("49.60 EUR"));
}

#[test]
fn nothing_is_loaded_and_nothing_runs() {
    let page = render(&statement(RICH), FILE);
    for forbidden in [
        "<script", "<img", "<link", "<iframe", "<object", "http://", "https://", "@import", "url(",
    ] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    let body = &page[page.find("</style>").unwrap()..];
    for tag in body
        .split('<')
        .skip(1)
        .filter_map(|rest| rest.split_once('>'))
        .map(|(tag, _)| tag)
    {
        assert!(
            !tag.contains(" on") && !tag.contains(" style=") && !tag.contains(" src="),
            "<{tag}>"
        );
    }
    let style = &page[page.find("<style>").unwrap() + 7..page.find("</style>").unwrap()];
    let digest = B64.encode(Sha256::digest(style.as_bytes()));
    assert!(
        page.contains(&format!("style-src 'sha256-{digest}'")),
        "the policy names the style sheet that there is"
    );
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn hostile_names_are_only_text() {
    const HOSTILE: &str = "<img src=x onerror=alert(1)>\"'&</title><script>x()</script>";
    let mut said = statement(RICH);
    let p = &mut said.predicate;
    p.request.named = Named {
        display_name: Some(HOSTILE.into()),
        user_principal_name: Some(HOSTILE.into()),
        ..Named::default()
    };
    p.request.successor = Some(p.request.named.clone());
    p.request.reference = Some(HOSTILE.into());
    p.request.requested_by = HOSTILE.into();
    p.request.choices.set(HOSTILE, HOSTILE);
    p.cancellation = Some(Cancellation {
        version: 1,
        at: p.times.ended_at,
        by: HOSTILE.into(),
        reason: HOSTILE.into(),
        in_flight: vec![InFlight {
            task: p.tasks[0].id,
            attempt: 1,
            ended_version: None,
            ended_at: None,
            became: HOSTILE.into(),
        }],
        begun: vec![Begun {
            task: p.tasks[0].id,
            attempts: 1,
            last: HOSTILE.into(),
        }],
        heard_late: Some(vec![Begun {
            task: p.tasks[0].id,
            attempts: 1,
            last: HOSTILE.into(),
        }]),
    });
    p.refusal = Some(RefusalAccount {
        version: 1,
        at: p.times.ended_at,
        reason: HOSTILE.into(),
        nothing_written: true,
    });
    p.plan.unserved = vec![HOSTILE.into()];
    for a in &mut p.approvals {
        a.by = HOSTILE.into();
    }
    for t in &mut p.tasks {
        t.kind.push_str(HOSTILE);
        t.title = HOSTILE.into();
        t.object = Some(HOSTILE.into());
        t.outcome = Some(OutcomeAccount::Attested {
            by: HOSTILE.into(),
            file: None,
            note: HOSTILE.into(),
        });
        t.params.set(HOSTILE, HOSTILE);
        t.controls.soc2 = vec![HOSTILE.into()];
        for s in &mut t.steps {
            s.text = HOSTILE.into();
            s.rule = Some(HOSTILE.into());
        }
    }
    for d in p.rounds.iter_mut().flat_map(|r| &mut r.differences) {
        d.differs = HOSTILE.into();
    }
    for ending in [Ending::Completed, Ending::Cancelled, Ending::Refused] {
        said.predicate.ending = ending;
        let page = render(&said, HOSTILE);
        assert!(!page.contains("<img") && !page.contains("<script") && !page.contains("onerror=alert(1)>\""));
        assert_eq!(page.matches("</title>").count(), page.matches("<title").count());
        assert!(page.contains("&lt;img src=x onerror=alert(1)&gt;"));
    }
}

#[test]
fn what_a_reader_cannot_see_is_shown() {
    let mut said = statement(SMALL);
    said.predicate.request.named.display_name = Some("Anna\u{202e}gpj.exe\u{200b}\u{7}\u{2066}".into());
    let page = render(&said, FILE);
    assert!(page.contains("Anna⟦U+202E⟧gpj.exe⟦U+200B⟧⟦U+0007⟧⟦U+2066⟧"));
    assert!(!page.chars().any(is_invisible));
    // Joiners belong to names of some scripts, and umlauts are letters.
    said.predicate.request.named.display_name = Some("نیم\u{200c}فاصله Ößler".into());
    assert!(render(&said, FILE).contains("نیم\u{200c}فاصله Ößler"));
}

#[test]
fn a_departure_that_was_called_off_says_so() {
    let mut said = statement(SMALL);
    let p = &mut said.predicate;
    p.ending = Ending::Cancelled;
    p.cancellation = Some(Cancellation {
        version: 1,
        at: p.times.ended_at,
        by: "boss".into(),
        reason: "he stays".into(),
        in_flight: vec![InFlight {
            task: p.tasks[1].id,
            attempt: 1,
            ended_version: Some(9),
            ended_at: Some(p.times.ended_at),
            became: "verified".into(),
        }],
        begun: vec![Begun {
            task: p.tasks[3].id,
            attempts: 108,
            last: "the device has not checked in since the wipe was ordered".into(),
        }],
        heard_late: None,
    });
    p.tasks[2].outcome = None;
    p.tasks[3].outcome = None;
    p.summary.outcomes = [("verified".to_owned(), 2), ("not_done".to_owned(), 2)].into();
    let page = render(&said, FILE);
    assert!(page.contains("Called off.") && page.contains("2 tasks were settled until then and 1 was not done"));
    assert!(page.contains("1 more was begun and not proven: what was sent may still take effect."));
    assert!(page.contains("has not checked in since the wipe was ordered."));
    assert!(page.contains("not done"));
    assert!(page.contains("1 was with a worker at that moment"));
    assert!(page.contains("A worker held it when the case was called off: verified."));
    assert!(texts(&page, "dt").contains(&"Called off".to_owned()));
}

/// The case ended, and part of its history is gone.
fn lose_history(p: &mut offboard_domain::evidence::Predicate) {
    p.lost_tails = vec![LostTail {
        version: 9,
        at: p.times.ended_at,
        known: 12,
    }];
}

#[test]
fn after_a_loss_nothing_is_said_not_to_have_been_done() {
    let mut said = statement(SMALL);
    let p = &mut said.predicate;
    p.ending = Ending::Cancelled;
    lose_history(p);
    p.cancellation = Some(Cancellation {
        version: 1,
        at: p.times.ended_at,
        by: "boss".into(),
        reason: "he stays".into(),
        in_flight: Vec::new(),
        begun: Vec::new(),
        heard_late: Some(Vec::new()),
    });
    p.tasks[2].outcome = None;
    p.summary.outcomes = [("verified".to_owned(), 3), ("not_done".to_owned(), 1)].into();
    let page = render(&said, FILE);
    assert!(
        page.contains("nobody knows whether any of 1 other task was begun"),
        "{page}"
    );
    assert!(page.contains("so it may have been: look at the system itself."));
    for claim in [
        "was not done; both are listed",
        "The case was called off before.",
        "Nothing was with a worker",
    ] {
        assert!(!page.contains(claim), "{claim}");
    }
    // What a late report tells of is begun.
    let begun = Begun {
        task: said.predicate.tasks[2].id,
        attempts: 1,
        last: "a late report says that it was done".into(),
    };
    said.predicate.cancellation.as_mut().unwrap().heard_late = Some(vec![begun]);
    let page = render(&said, FILE);
    assert!(
        page.contains("1 more was begun and not proven: what was sent may still take effect."),
        "{page}"
    );
    assert!(page.contains("Last heard: a late report says that it was done."));
    assert!(!page.contains("look at the system itself."));
}

#[test]
fn a_late_report_is_said_to_count_for_nothing_and_to_be_perhaps_true() {
    let mut said = statement(SMALL);
    let step = said.predicate.tasks[2].steps.last_mut().unwrap();
    step.event = "late_report".into();
    step.text = "a late report says that it was done".into();
    let page = render(&said, FILE);
    assert!(page.contains("A late report says that it was done. It does not change what this record counts as done;"));
    assert!(!page.contains("changed nothing"));
}

#[test]
fn what_the_policy_asks_for_is_said_only_where_the_account_shows_it() {
    const NONE_ASKED: &str = "The tenant's policy asked for none, and nothing that cannot be undone was done.";
    let mut said = statement(SMALL);
    assert!(render(&said, FILE).contains(NONE_ASKED));
    let none_given = |said: &Statement| {
        let page = render(said, FILE);
        assert!(page.contains("None was given.") && !page.contains(NONE_ASKED), "{page}");
    };
    for ending in [Ending::Refused, Ending::Cancelled] {
        let mut ended = said.clone();
        ended.predicate.ending = ending;
        none_given(&ended);
    }
    let mut lost = said.clone();
    lose_history(&mut lost.predicate);
    none_given(&lost);
    // Somebody went without the approval that was asked for.
    said.predicate.tasks[1].kind = "person.approve_plan".into();
    none_given(&said);
}

#[test]
fn a_licence_that_stays_is_an_exception() {
    let mut said = statement(SMALL);
    let task = &mut said.predicate.tasks[1];
    let mut seen = task.after.clone().or_else(|| task.before.clone()).unwrap();
    seen.facts.set("kept_sku_ids", vec!["sku-1".to_owned()]);
    seen.facts.set("kept_because", "the mailbox is not a shared one");
    task.after = Some(seen.clone());
    let page = render(&said, FILE);
    assert!(
        page.contains("Kept, and still paid for, because the mailbox is not a shared one: sku-1."),
        "{page}"
    );
    seen.facts.set("part_number/sku-1", "SPE_E3");
    said.predicate.tasks[1].after = Some(seen);
    let page = render(&said, FILE);
    assert!(page.contains("not a shared one: SPE_E3."), "{page}");
}

#[test]
fn an_approval_by_who_handed_it_in_is_an_exception() {
    let mut said = statement(RICH);
    let of_plan = said.predicate.approvals.iter_mut().find(|a| a.task.is_none());
    let by = {
        let approval = of_plan.unwrap();
        approval.by_who_handed_in = true;
        approval.by.clone()
    };
    let page = render(&said, FILE);
    // Why it was taken, the account does not say.
    let text =
        format!("{by} approved what he had handed in for another one: the program that took it did not refuse him.");
    assert!(page.contains(&text), "{page}");
    assert!(page.contains(", who had handed it in"), "{page}");
}

#[test]
fn a_freed_licence_is_known_by_its_name_and_has_its_price() {
    let mut said = statement(RICH);
    let proof = said.predicate.tasks.iter_mut().find(|t| t.kind == "license.prove_pool");
    let facts = &mut proof.unwrap().after.as_mut().unwrap().facts;
    facts.set("freed_sku_ids", vec!["05e9a617".to_owned(), "c5928f49".to_owned()]);
    facts.set("part_number/05e9a617", "SPE_E3");
    let page = render(&said, FILE);
    let row = page.split("<tr>").find(|row| row.contains(">SPE_E3<")).unwrap();
    assert!(row.contains("37.40"), "{row}");
    // What was not read is shown by its id.
    assert!(page.contains(">c5928f49<"));
    assert!(!page.contains("the pool's numbers do not show it"));
    // Two leavers of one licence: the numbers prove nothing of either, which is said.
    let proof = said.predicate.tasks.iter_mut().find(|t| t.kind == "license.prove_pool");
    let facts = &mut proof.unwrap().after.as_mut().unwrap().facts;
    facts.set("pool_agrees", false);
    facts.set(
        "pool_differs",
        vec!["SPE_E3: 10 in use before, 8 now, 9 expected".to_owned()],
    );
    let page = render(&said, FILE);
    assert!(
        page.contains("the pool's numbers do not show it: SPE_E3: 10 in use before"),
        "{page}"
    );
}

#[test]
fn no_time_is_shown_at_which_access_was_cut_where_it_was_not() {
    let mut said = statement(RICH);
    said.predicate.times.access_not_cut.clear();
    let all = render(&said, FILE);
    assert!(all.contains("Sign-in and sessions cut") && all.contains("Last access cut"));
    let burst = said.predicate.tasks.iter().find(|t| t.nature.burst).unwrap().id;
    said.predicate.times.access_not_cut = vec![burst];
    let page = render(&said, FILE);
    assert!(
        page.contains("not all cut") && !page.contains("Sign-in and sessions cut"),
        "{page}"
    );
    assert!(!page.contains("Last access cut"));
}

#[test]
fn a_refused_departure_says_that_nothing_was_written() {
    let mut said = statement(SMALL);
    let p = &mut said.predicate;
    p.ending = Ending::Refused;
    p.tasks.truncate(1);
    p.rounds.clear();
    p.refusal = Some(RefusalAccount {
        version: 4,
        at: p.times.ended_at,
        reason: "the account is protected".into(),
        nothing_written: true,
    });
    let page = render(&said, FILE);
    assert!(page.contains("Refused.") && page.contains("the account is protected"));
    assert!(page.contains("No task that writes was ever given to a worker."));
    assert!(!page.contains("Completed."));
    lose_history(&mut said.predicate);
    let page = render(&said, FILE);
    assert!(
        page.contains("given to a worker, as far as this record goes: history of the case was lost."),
        "{page}"
    );
}

#[test]
fn lengths_and_words_read_well() {
    assert_eq!(
        [0, 36, 60, 3_661, 86_400, 100_000, -90].map(duration),
        ["0 s", "36 s", "1 min", "1 h 1 min", "1 d", "1 d 3 h", "1 min 30 s"]
    );
    assert_eq!(words::money(4_960, "EUR"), "49.60 EUR");
    assert_eq!(words::money(-5, "CHF"), "−0.05 CHF");
    assert_eq!(words::quoted("a b'c"), "'a b'\\''c'");
}

/// A ticket that is still to be told is not "called off", and not one of those that
/// are settled.
#[test]
fn what_goes_on_beside_a_case_is_said_to() {
    let mut said = statement(SMALL);
    let p = &mut said.predicate;
    let all = p.summary.tasks;
    p.tasks[1].outcome = None;
    p.tasks[1].nature.beside = true;
    p.summary.outcomes.insert("not_done".to_owned(), 1);
    let page = render(&said, FILE);
    assert!(page.contains(&format!("All {} tasks are settled", all - 1)), "{page}");
    assert!(page.contains("1 task goes on beside it, after this account."));
    assert!(page.contains("The case does not wait for it") && !page.contains("called off"));
}

/// The row of the one task of this kind in the tables.
fn row(said: &Statement, kind: &str) -> String {
    let page = render(said, FILE);
    let tables = &page[page.find("id=\"tasks\"").unwrap()..page.find("id=\"devices\"").unwrap()];
    let code = format!("<code>{kind}</code>");
    tables.split("<tr>").find(|r| r.contains(&code)).unwrap().to_owned()
}

const ALREADY: &str = "It was found so.";

/// A conversion is ordered in one try and seen in another; a wipe is ordered, and then only
/// read. What there was is in the account, and "already" is no word for either.
#[test]
fn what_took_more_than_one_try_says_what_there_was() {
    for (kind, name, was, is) in [
        (
            "mailbox.convert_to_shared",
            "recipient_type",
            "UserMailbox",
            "SharedMailbox",
        ),
        ("device.wipe", "action_state", "none", "done"),
    ] {
        let mut said = statement(RICH);
        let task = said.predicate.tasks.iter_mut().find(|t| t.kind == kind).unwrap();
        task.attempts = 2;
        task.before.as_mut().unwrap().facts.set(name, was);
        task.after.as_mut().unwrap().facts.set(name, is);
        let told = row(&said, kind);
        let change = format!("{}: {was} → {is}", name.replace('_', " "));
        assert!(told.contains(&change) && !told.contains(ALREADY), "{told}");
    }
}

/// What was recorded before the first write stays the record; what is read after it is told
/// beside it, and is not what recording has done.
#[test]
fn a_record_that_was_read_once_more_is_told_as_the_record() {
    const SINCE: &str = "Recorded before the first write. Read once more since: ";
    let kind = "identity.snapshot_access";
    let mut said = statement(RICH);
    assert!(!row(&said, kind).contains(SINCE));
    let task = said.predicate.tasks.iter_mut().find(|t| t.kind == kind).unwrap();
    task.before
        .as_mut()
        .unwrap()
        .facts
        .set("role_ids", vec!["r-1".to_owned()]);
    task.after.as_mut().unwrap().facts.set("role_ids", Vec::new());
    let told = row(&said, kind);
    assert!(told.contains(SINCE) && told.contains("roles: 1 → none"), "{told}");
    // Who writes has done what he reads otherwise.
    assert!(!row(&said, "mailbox.convert_to_shared").contains(SINCE));
}

/// An account of a version that knew only the settling try's own first reading, of a try that
/// nobody answered, or of a history that was lost in part.
#[test]
fn what_one_try_read_alone_was_so_already_and_nothing_else() {
    let kind = "mailbox.convert_to_shared";
    let said = |attempts: u32| {
        let mut said = statement(RICH);
        let task = said.predicate.tasks.iter_mut().find(|t| t.kind == kind).unwrap();
        task.attempts = attempts;
        task.before.clone_from(&task.after);
        said
    };
    assert!(row(&said(1), kind).contains(ALREADY));
    let twice = row(&said(2), kind);
    assert!(
        !twice.contains(ALREADY) && twice.contains("It was so when the last try read it"),
        "{twice}"
    );
    let mut lost = said(1);
    lost.predicate.lost_tails = vec![LostTail {
        version: 9,
        at: lost.predicate.times.ended_at,
        known: 12,
    }];
    assert!(!row(&lost, kind).contains(ALREADY));
    // It was done, opened again, and found done: what was changed first is told.
    let kind = "mailbox.hide_from_address_lists";
    let mut again = statement(RICH);
    let task = again.predicate.tasks.iter_mut().find(|t| t.kind == kind).unwrap();
    task.before.clone_from(&task.after);
    let told = row(&again, kind);
    assert!(told.contains("hidden: no → yes") && !told.contains(ALREADY), "{told}");
}

/// Nothing is done again where a person is asked: the page says what he decided.
#[test]
fn a_difference_that_went_to_a_person_was_not_done_again() {
    let told = |said: &Statement| {
        let page = render(said, FILE);
        let from = page.find("Closing round 1 read otherwise").unwrap();
        page[from..].split("</bdi>").next().unwrap().to_owned()
    };
    let mut said = statement(RICH);
    let redone = told(&said);
    assert!(redone.ends_with("; it was done again."), "{redone}");
    let round = said.predicate.rounds[0].clone();
    let id = round.differences[0].task;
    let task = said.predicate.tasks.iter_mut().find(|t| t.id == id).unwrap();
    let asked = |s: &&mut Step| s.version > round.began_version && s.event == "task_assigned";
    let failed = task.steps.iter_mut().find(asked).unwrap();
    failed.event = "task_failed".into();
    failed.rule = Some("object_gone".into());
    let (version, at) = (failed.version, failed.at);
    // It is tried again on a person's word.
    let retried = Step {
        version,
        at,
        event: "retry_ordered".into(),
        attempt: None,
        text: "another try was ordered by m.weiß@msp.example".into(),
        until: None,
        rule: None,
        fault: None,
        report: None,
        readings: Vec::new(),
    };
    let place = task.steps.iter().position(|s| s.event == "task_failed").unwrap();
    task.steps.insert(place + 1, retried);
    let ordered = told(&said);
    let words = "; it went to a person: another try was ordered by m.weiß@msp.example, and it was done again.";
    assert!(ordered.ends_with(words), "{ordered}");
    // He goes without.
    let task = said.predicate.tasks.iter_mut().find(|t| t.id == id).unwrap();
    task.steps.remove(place + 1);
    let last = task.steps.last_mut().unwrap();
    (last.report, last.text) = (
        None,
        "waived by m.weiß@msp.example until 2027-03-01: it was sold".into(),
    );
    let waived = told(&said);
    assert!(
        waived.ends_with("; it went to a person: waived by m.weiß@msp.example until 2027-03-01: it was sold."),
        "{waived}"
    );
    // The case was called off before anybody decided.
    let task = said.predicate.tasks.iter_mut().find(|t| t.id == id).unwrap();
    task.steps.truncate(place + 1);
    let open = told(&said);
    assert!(
        open.ends_with("; it went to a person: it was not settled again."),
        "{open}"
    );
}

/// The last access of a hybrid person is cut when it is cut on the premises, too.
#[test]
fn access_that_a_person_cut_is_the_last_and_is_told_apart() {
    let mut said = statement(RICH);
    let times = &mut said.predicate.times;
    times.last_access_attested_at = Some("2026-11-25T10:00:00Z".parse().unwrap());
    times.seconds_from_request_to_last_access_attested = Some(2 * 86_400);
    let page = render(&said, FILE);
    let from = page.find("Last access cut").unwrap();
    let tile = page[from..].split("</div>").next().unwrap();
    for words in [
        "2 d<small>after the request, 25 Nov 2026, 10:00:00",
        "; by hand, attested on 25 Nov 2026, 10:00:00",
        "; by machines, and read: 23 Nov 2026, 11:10:03",
    ] {
        assert!(tile.contains(words), "{words}: {tile}");
    }
}
