use super::*;
use offboard_domain::Area;
use std::collections::{BTreeMap, BTreeSet};

fn measured(most_tenants: usize) -> (Metrics, prometheus::Registry) {
    let registry = prometheus::Registry::new();
    let reader = opentelemetry_prometheus::exporter()
        .with_registry(registry.clone())
        .scope_info_enabled(false)
        .build()
        .unwrap();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    let metrics = Metrics::new(&provider, Some(registry.clone()), &Arc::default(), most_tenants);
    // The readers hold it weakly; a process keeps it in its guard.
    std::mem::forget(provider);
    (metrics, registry)
}

fn everything(m: &Metrics) {
    m.attempt(
        Kind::DisableSignIn,
        "microsoft",
        "satisfied",
        Duration::from_millis(200),
    );
    for status in [Ok(200), Ok(302), Ok(404), Ok(429), Ok(503), Err("silence")] {
        m.request("microsoft", "graph", status, Duration::from_millis(30));
    }
    m.publish_failures.add(1, &[KeyValue::new("what", "reports")]);
    m.appends.add(1, &[KeyValue::new("result", "done")]);
    m.append_duration.record(0.002, &[]);
    let kind = || KeyValue::new("kind", "device.wipe");
    m.accepted.add(1, &[KeyValue::new("manner", "planned")]);
    m.ended.add(1, &[KeyValue::new("state", "closed")]);
    m.merged.add(1, &[]);
    m.access_cut.record(240.0, &[KeyValue::new("manner", "immediate")]);
    m.settled.add(1, &[kind(), KeyValue::new("outcome", "verified")]);
    m.failed.add(1, &[kind(), KeyValue::new("rule", "late_find")]);
    m.retries.add(1, &[kind(), KeyValue::new("why", "transient")]);
    m.waits.add(1, &[kind(), KeyValue::new("why", "waiting")]);
    m.late.add(1, &[kind()]);
    m.tail_lost.add(1, &[]);
    m.sealed.add(1, &[]);
    m.keep(State {
        lanes: vec![(Area::Identity, offboard_domain::Lane::Urgent, 1, 2, 3)],
        depths: vec![("ob.v1.reports.0".into(), 4, Some(5))],
        site_depths: vec![("ob.v1.identity.urgent.berlin".into(), 6, Some(7))],
        cases: BTreeMap::from([(("acme".into(), "active"), 6)]),
        need_person: BTreeMap::from([("acme".into(), 1)]),
        oldest_waiting_s: BTreeMap::from([("credit", 1.5), ("person", 0.0)]),
        access_open_s: BTreeMap::from([(("acme".into(), "immediate"), 900.5)]),
        sites_away_s: BTreeMap::from([(("berlin".into(), Area::Identity), 300.5)]),
        timers_overdue: 0,
        timers_late_s: 0.0,
    });
}

/// Name and labels of every series.
fn series(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in text
        .lines()
        .filter(|l| !l.starts_with('#') && !l.starts_with("target_info"))
    {
        let (name, rest) = line.split_once('{').unwrap_or((line.split(' ').next().unwrap(), "}"));
        let name = name
            .trim_end_matches("_bucket")
            .trim_end_matches("_sum")
            .trim_end_matches("_count");
        let labels = rest.split_once('}').unwrap().0;
        let labels = labels
            .split("\",")
            .filter_map(|l| l.split_once("=\""))
            .map(|(l, _)| l.to_owned());
        found
            .entry(name.to_owned())
            .or_default()
            .extend(labels.filter(|l| l != "le"));
    }
    found
}

#[test]
fn what_prometheus_reads_is_what_the_list_says() {
    crate::health::begin();
    crate::health::set("ledger", Ok(()));
    let (metrics, registry) = measured(10);
    everything(&metrics);
    let text = encode(&registry).unwrap();
    let listed: BTreeMap<String, BTreeSet<String>> = instruments::ALL
        .iter()
        .map(|i| (i.prometheus(), i.labels.iter().map(|l| (*l).to_owned()).collect()))
        .collect();
    assert_eq!(series(&text), listed, "{text}");
    assert!(
        text.contains("offboard_vendor_throttles_total{service=\"graph\",vendor=\"microsoft\"} 1"),
        "{text}"
    );
    assert!(
        text.contains("offboard_queue_in_flight{area=\"identity\",lane=\"urgent\"} 1"),
        "{text}"
    );
}

#[test]
fn tenants_beyond_the_cap_are_counted_together() {
    let (metrics, registry) = measured(2);
    let cases = |n: usize| {
        let all = (0..n).map(|i| ((format!("t{i}"), "active"), 1)).collect();
        metrics.keep(State {
            cases: all,
            need_person: (0..n).map(|i| (format!("t{i}"), 1)).collect(),
            access_open_s: (0..n).map(|i| ((format!("t{i}"), "immediate"), i as f64)).collect(),
            ..State::default()
        });
        encode(&registry).unwrap()
    };
    let text = cases(1_000);
    assert_eq!(text.matches("offboard_cases{").count(), 3, "{text}");
    assert!(
        text.contains("offboard_cases{state=\"active\",tenant=\"other\"} 998"),
        "{text}"
    );
    assert!(
        text.contains("offboard_cases_need_person{tenant=\"other\"} 998"),
        "{text}"
    );
    let open = "offboard_case_access_open_seconds{manner=\"immediate\",tenant=\"other\"} 999";
    assert!(text.contains(open), "the longest of all of them: {text}");
    let text = cases(1);
    assert!(!text.contains("tenant=\"other\""), "what is gone is not shown: {text}");
}

#[test]
fn queues_beyond_the_cap_are_those_of_sites() {
    let (metrics, registry) = measured(1);
    let many = |stem: &str| (0..300).map(|i| (format!("{stem}.{i}"), 1, None)).collect::<Vec<_>>();
    metrics.keep(State {
        depths: many("ob.v1.reports"),
        site_depths: many("ob.v1.identity.urgent.site"),
        ..State::default()
    });
    let text = encode(&registry).unwrap();
    let shown = |stem: &str| text.matches(&format!("offboard_queue_ready{{queue=\"{stem}.")).count();
    assert_eq!(shown("ob.v1.reports"), 300, "{text}");
    assert_eq!(shown("ob.v1.identity.urgent.site"), 256, "{text}");
}

#[test]
fn sites_beyond_the_cap_are_shown_as_away_together() {
    let (metrics, registry) = measured(1);
    metrics.keep(State {
        sites_away_s: (0..300)
            .map(|i| ((format!("site-{i:03}"), Area::Device), f64::from(i)))
            .collect(),
        ..State::default()
    });
    let text = encode(&registry).unwrap();
    assert_eq!(text.matches("offboard_site_away_seconds{").count(), 257, "{text}");
    let other = "offboard_site_away_seconds{area=\"device\",site=\"other\"} 299";
    assert!(text.contains(other), "{text}");
}

/// Of a series that begins at 1, `increase` stays 0: the first of what an alert waits
/// for would tell nobody.
#[test]
fn a_fresh_process_shows_what_alerts_wait_for_as_0() {
    let (_metrics, registry) = measured(1);
    let text = encode(&registry).unwrap();
    let shown = |series: &str| text.lines().any(|line| line.strip_prefix(series) == Some(" 0"));
    for series in [
        "offboard_history_lost_total",
        "offboard_evidence_sealed_total",
        "offboard_cases_merged_total",
        "offboard_ledger_appends_total{result=\"gap\"}",
        "offboard_ledger_appends_total{result=\"failed\"}",
        "offboard_publish_failures_total{what=\"assignments\"}",
        "offboard_publish_failures_total{what=\"reports\"}",
    ] {
        assert!(shown(series), "{series} in {text}");
    }
    for kind in Kind::ALL {
        let failed = format!("offboard_tasks_failed_total{{kind=\"{kind}\",rule=\"needs_permission\"}}");
        let unanswered = format!("offboard_retries_total{{kind=\"{kind}\",why=\"unanswered\"}}");
        assert!(shown(&failed) && shown(&unanswered), "{kind} in {text}");
    }
}

#[test]
fn names_and_texts_are_those_of_prometheus() {
    let mut seen = BTreeSet::new();
    for i in instruments::ALL {
        assert!(seen.insert(i.name), "{} twice", i.name);
        assert!(i.name.starts_with("offboard.") && i.what.ends_with('.'), "{}", i.name);
        let counts = i.unit.starts_with('{') && i.unit.ends_with('}');
        assert!(counts || i.unit == "s", "{}: {}", i.name, i.unit);
        if let Sort::Histogram(bounds) = i.sort {
            assert!(bounds.windows(2).all(|w| w[0] < w[1]), "{}", i.name);
        }
    }
}

#[test]
fn the_page_names_every_instrument_once() {
    let page = instruments::page();
    for i in instruments::ALL {
        assert_eq!(
            page.matches(&format!("| `{}` |", i.prometheus())).count(),
            1,
            "{}",
            i.name
        );
    }
}

const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// A case that was just opened.
fn opened(manner: Manner, effective_at: Timestamp) -> Case {
    use offboard_domain::departure::{Choices, PersonRef};
    use offboard_domain::{Capabilities, Command, Departure, Gates, Policy, System, TenantId, decide};
    let departure = Departure {
        tenant: TenantId::new("acme").unwrap(),
        reference: Some("HR-2".into()),
        person: PersonRef {
            employee_id: Some("7".into()),
            ..PersonRef::default()
        },
        manner,
        effective_at,
        of_day: None,
        requested_by: "hr@acme.example".into(),
        handed_in_by: None,
        requested_at: NOW,
        successor: None,
        choices: Choices::default(),
    };
    let finder = Capabilities([(System::new("m365").unwrap(), [Kind::Resolve].into())].into());
    let open = Command::Open {
        departure: Arc::new(departure),
        policy: Arc::new(Policy::default()),
        capabilities: Arc::new(finder),
        traceparent: None,
    };
    decide(None, open, NOW, &Gates::open()).unwrap().case
}

/// One that was merged goes on by itself when the other is called off, and can be called
/// off itself: whichever, its life ends once.
#[test]
fn a_case_that_goes_on_after_a_merge_has_ended_once() {
    let (metrics, registry) = measured(10);
    let mut case = opened(Manner::Planned, NOW);
    let into = offboard_domain::CaseId([7; 10]);
    let tells = true;
    for event in [
        Event::CaseMerged { into, tells },
        Event::MergeUndone { into },
        Event::CaseMerged { into, tells },
        Event::CancelRequested {
            by: "boss@msp.example".into(),
            reason: "he stays".into(),
        },
        Event::CaseCancelled,
    ] {
        case.fold(NOW, &event);
        metrics.happened(&[event], &case);
    }
    let text = encode(&registry).unwrap();
    let ended: Vec<&str> = text
        .lines()
        .filter(|l| l.starts_with("offboard_cases_ended_total{"))
        .collect();
    assert_eq!(ended, ["offboard_cases_ended_total{state=\"cancelled\"} 1"], "{text}");
    assert!(text.contains("offboard_cases_merged_total 2"), "{text}");
}

fn settled(task: TaskId) -> Event {
    Event::TaskSettled {
        task,
        attempt: 1,
        outcome: offboard_domain::Outcome::Verified,
        before: None,
        after: None,
        receipts: Vec::new(),
        artifacts: Vec::new(),
        report: None,
    }
}

/// Also while nobody knows yet what he can use. What may take hours is not waited for, nor
/// the sessions that are revoked once more an hour later: with them no promise of minutes
/// could be kept.
#[test]
fn access_is_open_until_everything_that_cuts_it_at_once_is_settled() {
    use offboard_domain::{Facts, PlannedTask, System};
    let (metrics, registry) = measured(1);
    let later = NOW.plus(60_000);
    for manner in [Manner::Immediate, Manner::Planned] {
        let mut case = opened(manner, later);
        assert_eq!((access_is_open(&case), access_ends(&case)), (true, later));
        let m365 = System::new("m365").unwrap();
        let tasks = [
            Kind::DisableSignIn,
            Kind::RevokeSessions,
            Kind::RevokeSessionsAgain,
            Kind::RemoveAuthMethods,
        ]
        .map(|kind| PlannedTask::new(case.id, kind, &m365, None, Facts::default()));
        let [disable, revoke, again, methods] = [0, 1, 2, 3].map(|n: usize| tasks[n].id);
        let planned = Event::CasePlanned {
            tasks: tasks.into(),
            unserved: Vec::new(),
        };
        case.fold(NOW, &planned);
        assert!(access_is_open(&case));
        let mut called_off = case.clone();
        let cancelled = Event::CancelRequested {
            by: "boss@msp.example".into(),
            reason: "he stays".into(),
        };
        called_off.fold(NOW, &cancelled);
        assert!(!access_is_open(&called_off), "he keeps it");
        for (task, open) in [(disable, true), (revoke, false), (methods, false), (again, false)] {
            let event = settled(task);
            case.fold(later, &event);
            metrics.happened(&[event], &case);
            assert_eq!(access_is_open(&case), open);
        }
    }
    let text = encode(&registry).unwrap();
    for manner in ["immediate", "planned"] {
        let once = format!("offboard_access_cut_duration_seconds_count{{manner=\"{manner}\"}} 1\n");
        assert!(text.contains(&once), "{text}");
    }
    let early = opened(Manner::Immediate, NOW.plus(-60_000));
    assert_eq!(access_ends(&early), NOW, "nobody asked for it before");
}

/// A directory on the premises is looked into first: as long as nobody has, or a person must,
/// he may have access there. What is found or done again after
/// access was cut is no second departure.
#[test]
fn access_is_open_while_whoever_finds_what_cuts_it_has_not_looked_and_is_cut_once() {
    use offboard_domain::{Facts, ObjectId, PlannedTask, System};
    let (metrics, registry) = measured(1);
    let mut case = opened(Manner::Immediate, NOW);
    let planned = |kind: Kind, system: &str, object: Option<&str>| {
        let object = object.map(ObjectId::from);
        PlannedTask::new(case.id, kind, &System::new(system).unwrap(), object, Facts::default())
    };
    let [one, other] = ["ad-1", "ad-2"].map(|directory| planned(Kind::ResolveOnPremises, directory, None));
    let found = planned(Kind::DisableOnPremises, "ad-1", Some("7"));
    let late = planned(Kind::DisableOnPremises, "ad-2", Some("8"));
    let disable = planned(Kind::DisableSignIn, "m365", None);
    let [one_id, other_id, found_id, late_id, disable_id] = [&one, &other, &found, &late, &disable].map(|task| task.id);
    let plan = Event::CasePlanned {
        tasks: vec![one, other, disable],
        unserved: Vec::new(),
    };
    let finds = |by, task| Event::TasksFound {
        by,
        tasks: vec![task],
        late: Vec::new(),
    };
    let reopened = Event::TaskReopened {
        task: disable_id,
        why: "it was turned on again".into(),
    };
    let steps = [
        (vec![plan], true),
        (vec![settled(disable_id)], true),
        (vec![finds(one_id, found), settled(one_id)], true),
        (vec![settled(found_id)], true),
        (vec![settled(other_id)], false),
        (vec![finds(other_id, late)], true),
        (vec![settled(late_id)], false),
        (vec![reopened], true),
        (vec![settled(disable_id)], false),
    ];
    for (n, (events, open)) in (1_i64..).zip(steps) {
        for event in &events {
            case.fold(NOW.plus(n * 1_000), event);
        }
        metrics.happened(&events, &case);
        assert_eq!(access_is_open(&case), open, "after step {n}");
    }
    assert_eq!(case.access_cut, Some((NOW.plus(5_000), other_id)));
    let text = encode(&registry).unwrap();
    for line in ["count{manner=\"immediate\"} 1\n", "sum{manner=\"immediate\"} 5\n"] {
        let line = format!("offboard_access_cut_duration_seconds_{line}");
        assert!(text.contains(&line), "{line} in {text}");
    }
}

/// Who has nothing that is cut at once is no departure that was in time.
#[test]
fn where_there_is_nothing_to_cut_no_time_is_measured() {
    use offboard_domain::{Facts, PlannedTask, System};
    let (metrics, registry) = measured(1);
    let mut case = opened(Manner::Immediate, NOW);
    let directory = System::new("ad").unwrap();
    let look = PlannedTask::new(case.id, Kind::ResolveOnPremises, &directory, None, Facts::default());
    let id = look.id;
    let plan = Event::CasePlanned {
        tasks: vec![look],
        unserved: Vec::new(),
    };
    for (event, open) in [(plan, true), (settled(id), false)] {
        case.fold(NOW, &event);
        metrics.happened(&[event], &case);
        assert_eq!(access_is_open(&case), open);
    }
    let text = encode(&registry).unwrap();
    assert!(!text.contains("offboard_access_cut_duration_seconds_count"), "{text}");
}
