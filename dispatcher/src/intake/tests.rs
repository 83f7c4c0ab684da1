use super::collect::NOT_AT_ONCE;
use super::*;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use offboard_domain::Policy;
use offboard_domain::departure::{Forwarding, Manner, Meetings, OneDriveChoice};
use offboard_runtime::config::{DateFormat, Field, IntakeConfig, WorkingHours};

mod json;
mod random;

const NOW: Timestamp = Timestamp(1_790_000_000_000); // 2026-09-21T14:13:20Z

fn tenant(id: &str, name: &str, zone: &str, intake: IntakeConfig) -> Tenant {
    Tenant {
        id: TenantId::new(id).unwrap(),
        name: name.into(),
        time_zone: TimeZone::get(zone).unwrap(),
        working_hours: WorkingHours {
            to: Time::constant(17, 0, 0, 0),
            ..WorkingHours::default()
        },
        weight: 1,
        systems: BTreeMap::new(),
        intake,
        policy: Policy::default(),
    }
}

fn tenants() -> BTreeMap<TenantId, Tenant> {
    let us = IntakeConfig {
        columns: [
            (Field::Mail, vec!["Work E-Mail".into()]),
            (Field::EffectiveAt, vec!["Last Day".into(), "Gone".into()]),
        ]
        .into(),
        date_formats: [DateFormat::Iso, DateFormat::MonthSlashDay].into(),
        delimiter: None,
    };
    [
        tenant("contoso", "Contoso GmbH", "Europe/Berlin", IntakeConfig::default()),
        tenant("fabrikam", "Fabrikam, Inc.", "America/New_York", us),
    ]
    .map(|t| (t.id.clone(), t))
    .into()
}

fn read_for(tenant: Option<&str>, file: &str, bytes: &[u8]) -> Result<Intake, IntakeError> {
    let tenants = tenants();
    let tenant = tenant.map(|t| TenantId::new(t).unwrap());
    read(
        file,
        bytes,
        Context {
            tenants: &tenants,
            tenant: tenant.as_ref(),
            requested_by: "ops@msp.example",
            now: NOW,
        },
    )
}

fn csv(text: impl AsRef<[u8]>) -> Intake {
    read_for(Some("contoso"), "people.csv", text.as_ref()).unwrap()
}

/// One line for each thing that came of a file, for comparing.
fn told(intake: &Intake) -> Vec<String> {
    let who = |d: &Departure| {
        let p = &d.person;
        let name = p.display_name.as_deref().unwrap_or("-");
        let id = p
            .mail
            .as_deref()
            .or(p.user_principal_name.as_deref())
            .or(p.employee_id.as_deref())
            .unwrap_or("-");
        format!("{} {name} {id} {}", d.tenant, d.effective_at)
    };
    let accepted = intake
        .accepted
        .iter()
        .map(|(at, d)| format!("{}/{} {}", at.line, at.row, who(d)));
    accepted
        .chain(intake.rejected.iter().map(ToString::to_string))
        .chain(intake.warnings.iter().map(ToString::to_string))
        .collect()
}

#[test]
fn tables_as_hr_systems_export_them() {
    let anna = "contoso Anna Müller anna@c.example 2026-11-30T16:00:00Z";
    let cases: Vec<(&str, Vec<u8>, Vec<String>)> = vec![
        ("plain", "mail,name,last day\nanna@c.example,Anna Müller,2026-11-30\n".into(), vec![format!("2/1 {anna}")]),
        ("byte-order mark", "\u{feff}mail,name,last day\nanna@c.example,Anna Müller,2026-11-30\n".into(), vec![format!("2/1 {anna}")]),
        ("semicolons, German, CRLF", "E-Mail;Vorname;Nachname;Austrittsdatum\r\nanna@c.example;Anna;Müller;30.11.2026\r\n".into(), vec![format!("2/1 {anna}")]),
        ("tabs", "E_MAIL\tName\tLETZTER-TAG\nanna@c.example\tAnna Müller\t30.11.2026 17:00".into(), vec![format!("2/1 {anna}")]),
        ("pipes", "mail|name|last day\nanna@c.example|Anna Müller|2026-11-30".into(), vec![format!("2/1 {anna}")]),
        ("the sign of a spreadsheet", "sep=;\nmail;name;last day\nanna@c.example;Anna Müller;2026-11-30".into(), vec![format!("3/1 {anna}")]),
        ("quotes, breaks and separators in cells", "mail,name,last day,automatic reply\n\"anna@c.example\",\"Anna Müller\",2026-11-30,\"Gone.\n\"\"Bye\"\", all\"\n\nbob@c.example,Bob,2026-11-30,\n".into(),
            vec![format!("2/1 {anna}"), "5/2 contoso Bob bob@c.example 2026-11-30T16:00:00Z".into()]),
        ("an umlaut as letter and mark", "mail,name,Ku\u{308}ndigungsart,last day\nanna@c.example,Anna Müller,sofort,2026-11-30\n".into(),
            vec![format!("2/1 {anna}"), format!("people.csv:2 (row 1): {NOT_AT_ONCE}")]),
        ("cells of nothing at the end, and rows of nothing", "mail,name,last day,,\nanna@c.example,Anna Müller,2026-11-30,,\n,,,,\n , ,,,\n".into(), vec![format!("2/1 {anna}")]),
        ("name and first name", "mail;Name;Vorname;letzter Tag\nanna@c.example;Müller;Anna;2026-11-30".into(), vec![format!("2/1 {anna}")]),
        ("old line ends", "mail,name,last day\ranna@c.example,Anna Müller,2026-11-30\rbob@c.example,Bob,x\r".into(),
            vec![format!("2/1 {anna}"), "people.csv:3 (row 2): last day: expected a date from 2000 to 2100 as 2026-11-30 or dd.mm.yyyy, with or without a time (17:00), got \"x\"".into()]),
        ("Windows-1252", [b"mail;name;last day\nanna@c.example;Anna M\xfcller;2026-11-30\nb@c.example;\x80uro \x96 B;2026-11-30".as_slice()].concat(),
            vec![format!("2/1 {anna}"), "3/2 contoso €uro – B b@c.example 2026-11-30T16:00:00Z".into(), "people.csv: not UTF-8 (line 2); read as Windows-1252: check that names look right, or export it as UTF-8".into()]),
        ("UTF-16, as \"Unicode text\"", "\u{feff}mail\tname\tlast day\r\nanna@c.example\tAnna Müller\t2026-11-30\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect(), vec![format!("2/1 {anna}")]),
    ];
    for (what, bytes, expected) in cases {
        assert_eq!(told(&csv(bytes)), expected, "{what}");
    }
}

#[test]
fn every_column_reaches_its_place() {
    let text = "tenant;reference;object_id;user_principal_name;mail;employee_id;display_name;first_name;last_name;manner;effective_at;requested_by;requested_at;successor;legal_hold;archive_mailbox;forwarding;automatic_reply;meetings;onedrive;wipe_company_devices;shared_credentials\n\
        Contoso GmbH;HR-7;o-1;anna@c.example;a.m@c.example;4711;AM;Anna;Müller;sofort;2026-11-30T09:00+02:00;hr@c.example;01.11.2026 08:15;11111111-2222-3333-4444-555555555555;ja;yes;successor;Bye;hand_over;ask;nein;\"Door code; Bank token |Alarm\"\n";
    let found = csv(text);
    assert_eq!(found.rejected, []);
    // Immediate, and yet not at once.
    assert_eq!(found.warnings.len(), 1);
    let d = &found.accepted[0].1;
    assert_eq!(d.reference.as_deref(), Some("HR-7"));
    assert_eq!(d.person.object_id.as_ref().unwrap().0, "o-1");
    assert_eq!(d.person.user_principal_name.as_deref(), Some("anna@c.example"));
    assert_eq!(d.person.mail.as_deref(), Some("a.m@c.example"));
    assert_eq!(d.person.employee_id.as_deref(), Some("4711"));
    assert_eq!(d.person.display_name.as_deref(), Some("Anna Müller"));
    assert_eq!((d.manner, d.requested_by.as_str()), (Manner::Immediate, "hr@c.example"));
    assert_eq!(d.effective_at.to_string(), "2026-11-30T07:00:00Z");
    assert_eq!(d.requested_at.to_string(), "2026-11-01T07:15:00Z");
    assert!(d.successor.as_ref().unwrap().object_id.is_some());
    let c = &d.choices;
    assert_eq!(
        (
            c.legal_hold,
            c.archive_mailbox,
            &c.forwarding,
            c.automatic_reply.as_deref()
        ),
        (Some(true), Some(true), &Some(Forwarding::Successor), Some("Bye"))
    );
    assert_eq!(
        (c.meetings, c.onedrive, c.wipe_company_devices),
        (Some(Meetings::HandOver), Some(OneDriveChoice::Ask), Some(false))
    );
    assert_eq!(c.shared_credentials, ["Door code", "Bank token", "Alarm"]);
}

#[test]
fn what_is_left_out_is_the_one_who_asks_and_now() {
    let mut found = csv("mail,manner\na@c.example,immediate");
    assert_eq!(
        found.warnings[0].to_string(),
        format!("people.csv:2 (row 1): {UNRECOGNISABLE}")
    );
    let d = found.accepted.remove(0).1;
    assert_eq!(
        (d.requested_by.as_str(), d.requested_at, d.effective_at),
        ("ops@msp.example", NOW, NOW)
    );
    assert_eq!(
        csv("mail,last day\na@c.example,2026-11-30").accepted[0].1.manner,
        Manner::Planned
    );
}

#[test]
fn who_is_to_go_at_once_and_today_does_not_stay_until_the_evening() {
    let found = csv("reference,mail,last day,manner\n\
        1,a@c.example,2026-09-21,immediate\n\
        2,b@c.example,2026-09-21 16:30,immediate\n\
        3,c@c.example,2026-09-22,immediate\n\
        4,d@c.example,2026-09-21,planned\n");
    let times: Vec<String> = found.accepted.iter().map(|(_, d)| d.effective_at.to_string()).collect();
    assert_eq!(
        times,
        [
            NOW.to_string().as_str(),
            "2026-09-21T14:30:00Z",
            "2026-09-22T15:00:00Z",
            "2026-09-21T15:00:00Z"
        ]
    );
    // It is said of whoever is not cut at once after all.
    let warned: Vec<u64> = found
        .warnings
        .iter()
        .filter_map(|w| w.at.as_ref())
        .map(|at| at.row)
        .collect();
    assert_eq!(warned, [2, 3]);
}

/// With the next day's list, or by somebody in doubt whether the first time counted.
#[test]
fn who_is_to_go_at_once_is_one_case_however_often_he_is_handed_in() {
    let (tenants, contoso) = (tenants(), TenantId::new("contoso").unwrap());
    let read_after = |text: &str, ms: i64| {
        let context = Context {
            tenants: &tenants,
            tenant: Some(&contoso),
            requested_by: "ops@msp.example",
            now: NOW.plus(ms),
        };
        let file = if text.starts_with('{') { "p.json" } else { "p.csv" };
        read(file, text.as_bytes(), context).unwrap().accepted.remove(0).1
    };
    let (minute, day) = (60_000, 86_400_000);
    let by_reference = "reference,mail,manner\n1,a@c.example,immediate\n";
    let dated = "mail,last day,manner\na@c.example,2026-09-21,immediate\n";
    let bare = "mail,manner\na@c.example,immediate\n";
    let json = r#"{"person": {"mail": "a@c.example"}, "manner": "immediate"}"#;
    for (text, after) in [
        (by_reference, minute),
        (by_reference, day),
        (dated, minute),
        (dated, day),
        (bare, minute),
        (json, minute),
    ] {
        let (first, again) = (read_after(text, 0), read_after(text, after));
        assert_eq!(first.effective_at, NOW, "{text}");
        assert!(again.effective_at > NOW, "{text}");
        assert!(again.of_day.is_some(), "{text}");
        assert_eq!(again.case_id(), first.case_id(), "{text}");
        assert!(again.repeats_the_time_of(&first), "{text}");
    }
    assert_eq!(read_after(bare, 0).case_id(), read_after(dated, 0).case_id());
    // Who came back and goes again is another case, and a moment is what it says.
    assert_ne!(read_after(bare, day).case_id(), read_after(bare, 0).case_id());
    // What is planned for the end of that day is a request of its own, which slows nothing down.
    let planned = read_after("mail,last day,manner\na@c.example,2026-09-21,planned\n", 0);
    assert_ne!(planned.case_id(), read_after(dated, 0).case_id());
    assert!(!planned.repeats_the_time_of(&read_after(dated, 0)));
    // Nor is another day the same one.
    let later = read_after("mail,last day,manner\na@c.example,2026-09-23,immediate\n", 0);
    assert!(!later.repeats_the_time_of(&read_after(dated, 0)));
    let at_five = read_after("mail,last day,manner\na@c.example,2026-09-21 17:30,immediate\n", 0);
    assert!(!at_five.repeats_the_time_of(&read_after(dated, 0)));
    assert_ne!(at_five.case_id(), read_after(dated, 0).case_id());
}

#[test]
fn a_day_on_which_it_was_asked_for_begins_with_work_and_a_last_day_ends_with_it() {
    let text = "tenant,reference,mail,last day,requested_at\n\
        contoso,1,a@c.example,2026-11-30,2026-09-14\n\
        contoso,2,b@c.example,2026-11-30,30.10.2026\n\
        contoso,3,c@c.example,2026-09-21,2026-09-21\n\
        contoso,4,d@c.example,2026-11-30,2026-09-14 16:45\n\
        fabrikam,5,e@f.example,2026-11-30,2026-09-14\n";
    let found = read_for(None, "p.csv", text.as_bytes()).unwrap();
    assert_eq!(found.rejected, []);
    let times: Vec<(String, String)> = found
        .accepted
        .iter()
        .map(|(_, d)| (d.requested_at.to_string(), d.effective_at.to_string()))
        .collect();
    let told: Vec<(&str, &str)> = times.iter().map(|(r, e)| (r.as_str(), e.as_str())).collect();
    assert_eq!(
        told,
        [
            ("2026-09-14T06:00:00Z", "2026-11-30T16:00:00Z"),
            ("2026-10-30T07:00:00Z", "2026-11-30T16:00:00Z"),
            ("2026-09-21T06:00:00Z", "2026-09-21T15:00:00Z"),
            ("2026-09-14T14:45:00Z", "2026-11-30T16:00:00Z"),
            ("2026-09-14T12:00:00Z", "2026-11-30T22:00:00Z"),
        ]
    );
}

#[test]
fn who_asks_today_before_work_begins_asks_now() {
    // Six o'clock in Berlin.
    let early = NOW.plus(-36_800_000);
    assert_eq!(early.to_string(), "2026-09-21T04:00:00Z");
    let tenants = tenants();
    let tenant = TenantId::new("contoso").unwrap();
    let context = Context {
        tenants: &tenants,
        tenant: Some(&tenant),
        requested_by: "ops@msp.example",
        now: early,
    };
    let csv = b"mail,manner,requested_at\na@c.example,immediate,2026-09-21\n";
    let json = br#"{"person": {"mail": "a@c.example"}, "manner": "immediate", "requested_at": "2026-09-21"}"#;
    for (file, bytes) in [("p.csv", csv.as_slice()), ("p.json", json.as_slice())] {
        let found = read(file, bytes, context).unwrap();
        let d = &found.accepted[0].1;
        assert_eq!((d.requested_at, d.effective_at), (early, early), "{file}");
    }
}

#[test]
fn two_people_under_one_reference_are_a_wrong_row() {
    let found = csv("reference,mail,employee id,last day\n\
        HR-1,a@c.example,,2026-11-30\n\
        HR-1,b@c.example,,2026-11-30\n\
        HR-1,A@c.example,,2026-12-01\n\
        HR-1,,4711,2026-12-02\n");
    assert_eq!(found.rejected.len(), 1);
    assert_eq!(
        found.rejected[0].to_string(),
        "people.csv:3 (row 2): expected a reference of its own: row 1 names another person under this one, got \"HR-1\""
    );
    // What says nothing against it may be the same person, and amends it.
    let rows: Vec<u64> = found.accepted.iter().map(|(at, _)| at.row).collect();
    assert_eq!(rows, [1, 3, 4]);
}

#[test]
fn a_wrong_row_says_what_was_expected_and_the_others_go_on() {
    let text = "mail,employee id,last day,manner,legal hold,successor\n\
        anna,,2026-11-30,,,\n\
        ok@c.example,,2026-11-30,,,\n\
        ,,2026-11-30,,,\n\
        a@c.example,,,,,\n\
        a@c.example,,30/11/2026,,,\n\
        a@c.example,,2026-02-30,perhaps,maybe,Bob\n\
        a@c.example,,2026-11-30\n\
        a@c.example,,2026-11-30,,,,more\n\
        a b@c.example,,1.1.26,,,\n\
        ,4711,2026-11-30T09:00,planned,no,b@c.example\n";
    let date = "expected a date from 2000 to 2100 as 2026-11-30 or dd.mm.yyyy, with or without a time (17:00)";
    let address = "expected one address such as anna@contoso.example, at most 320 characters";
    let cells = "expected 6 cells as in the first line";
    let found = csv(text);
    assert_eq!(
        told(&found),
        [
            "3/2 contoso - ok@c.example 2026-11-30T16:00:00Z".to_owned(),
            "11/10 contoso - 4711 2026-11-30T08:00:00Z".to_owned(),
            format!("people.csv:2 (row 1): mail: {address}, got \"anna\""),
            "people.csv:4 (row 3): expected a person: a mail address, sign-in name, employee number or directory id".to_owned(),
            "people.csv:5 (row 4): last day: expected the last day; only an immediate departure may leave it out".to_owned(),
            format!("people.csv:6 (row 5): last day: {date}, got \"30/11/2026\""),
            "people.csv:7 (row 6): manner: expected 'planned' or 'immediate' ('geplant', 'sofort'), got \"perhaps\"".to_owned(),
            format!("people.csv:7 (row 6): last day: {date}, got \"2026-02-30\""),
            "people.csv:7 (row 6): successor: expected a mail address or a directory id (a GUID); a name can be two people, got \"Bob\"".to_owned(),
            "people.csv:7 (row 6): legal hold: expected yes or no ('ja', 'nein'), got \"maybe\"".to_owned(),
            format!("people.csv:8 (row 7): {cells}, got 3: is a separator or a quote missing or too many?"),
            format!("people.csv:9 (row 8): {cells}, got 7: is a separator or a quote missing or too many?"),
            format!("people.csv:10 (row 9): mail: {address}, got \"a b@c.example\""),
            format!("people.csv:10 (row 9): last day: {date}, got \"1.1.26\""),
        ]
    );
    assert_eq!(found.rejected_rows(), 8);
}

#[test]
fn a_formula_is_text_kept_as_it_is_and_shown_disarmed() {
    let found = csv(
        "mail,name,last day\na@c.example,\"=HYPERLINK(\"\"http://x\"\")\",2026-11-30\n=1+1,+x,2026-11-30\nb@c.example,-,2026-11-30",
    );
    assert_eq!(
        found.accepted[0].1.person.display_name.as_deref(),
        Some("=HYPERLINK(\"http://x\")")
    );
    assert_eq!(found.accepted[1].1.person.display_name.as_deref(), Some("-"));
    assert_eq!(found.rejected[0].given.as_deref(), Some("'=1+1"));
    for (text, expected) in [
        ("=1", "'=1"),
        ("@x", "'@x"),
        ("a\u{1b}[2J\"", "a\\u{1b}[2J\\\""),
        ("a\u{202e}b", "a\\u{202e}b"),
        ("Jürgen", "Jürgen"),
    ] {
        assert_eq!(shown(text), expected);
    }
    assert_eq!(shown(&"x".repeat(500)).chars().count(), 81);
}

#[test]
fn hostile_bytes_reject_their_row_alone() {
    let nul =
        csv("mail,name,last day\na@c.example,A\0B,2026-11-30\nb\0@c.example,B,2026-11-30\nc@c.example,C,2026-11-30");
    assert_eq!((nul.accepted.len(), nul.rejected_rows()), (1, 2));
    assert_eq!(nul.rejected[0].given.as_deref(), Some("A\\u{0}B"));

    let huge = format!(
        "mail,name,last day\na@c.example,{},2026-11-30\nb@c.example,B,2026-11-30\n",
        "x".repeat(10 << 20)
    );
    let huge = csv(huge);
    assert_eq!((huge.accepted.len(), huge.rejected.len()), (1, 1));
    assert!(
        huge.rejected[0]
            .to_string()
            .starts_with("people.csv:2 (row 1): expected a row of at most 65536 bytes"),
        "{}",
        huge.rejected[0]
    );

    let open =
        csv("mail,name,last day\na@c.example,A,2026-11-30\nb@c.example,\"B,2026-11-30\nc@c.example,C,2026-11-30\n");
    assert_eq!(
        told(&open),
        [
            "2/1 contoso A a@c.example 2026-11-30T16:00:00Z",
            "people.csv:3 (row 2): expected a closing quote: the one opened on line 3 is never closed, and what follows it cannot be read"
        ]
    );
    // To a lenient reader this is one row of three cells, and the second person is gone.
    let swallowed = csv(
        "mail,name,last day\na@c.example,\"A,2026-11-30\nb@c.example,\"B,2026-11-30\nc@c.example,\"C \"\"x\"\"\",2026-11-30\n",
    );
    assert_eq!(
        told(&swallowed),
        [
            "4/2 contoso C \"x\" c@c.example 2026-11-30T16:00:00Z",
            "people.csv:2 (row 1): expected a quote to end with its cell: the one opened on line 2 closes in the middle of a cell on line 3, and what is between them cannot be read (a quote inside a cell is written twice)"
        ]
    );
}

#[test]
fn a_file_that_cannot_be_used_as_a_whole() {
    let cases: &[(&[u8], &str)] = &[
        (b"", "it is empty"),
        (b"\n\n", "it is empty"),
        (
            b"foo,bar\n1,2\n",
            "missing a column that names the person: mail, user_principal_name, employee_id or object_id; the first line has 'foo', 'bar'",
        ),
        (
            b"mail,foo\na@c.example,2\n",
            "missing a column with the last day: effective_at",
        ),
        (
            b"mail,last day,Austrittsdatum\n",
            "the columns 'last day' and 'Austrittsdatum' both mean effective_at",
        ),
        (
            b"mail,E-Mail,last day\n",
            "the columns 'mail' and 'E-Mail' both mean mail",
        ),
        (b"\xef\xbb\xbfmail\xff,last day\n", "byte 7 is none"),
        (b"\xff\xfea", "says UTF-16, but it is not"),
        (b"\xff\xfe\x00\xd8", "says UTF-16, but it is not"),
    ];
    for (bytes, expected) in cases {
        let error = read_for(Some("contoso"), "people.csv", bytes).unwrap_err().to_string();
        assert!(
            error.starts_with("failed to read people.csv: ") && error.contains(expected),
            "{expected}: {error}"
        );
    }
}

#[test]
fn limits_hold() {
    let too_large = vec![b'x'; FILE_MAX_BYTES + 1];
    assert!(
        read_for(Some("contoso"), "p.csv", &too_large)
            .unwrap_err()
            .what
            .contains("split it")
    );
    assert!(
        read_for(Some("contoso"), "p.json", &too_large)
            .unwrap_err()
            .what
            .contains("split it")
    );
    let rows = |n: usize| format!("mail,last day\n{}", "a@c.example,2026-11-30\n".repeat(n));
    let most = csv(rows(ROWS_MAX));
    assert_eq!((most.accepted.len(), most.same.len()), (1, ROWS_MAX - 1));
    assert!(
        read_for(Some("contoso"), "p.csv", rows(ROWS_MAX + 1).as_bytes())
            .unwrap_err()
            .what
            .contains("more than 100000 rows")
    );
    let columns = |n: usize| {
        format!(
            "mail,last day{}\na@c.example,2026-11-30{}",
            ",x".repeat(n - 2),
            ",".repeat(n - 2)
        )
    };
    assert_eq!(csv(columns(COLUMNS_MAX)).accepted.len(), 1);
    assert!(
        read_for(Some("contoso"), "p.csv", columns(COLUMNS_MAX + 1).as_bytes())
            .unwrap_err()
            .what
            .contains("513 columns")
    );
    let json = format!("[{}]", vec!["{}"; ROWS_MAX + 1].join(","));
    assert!(
        read_for(Some("contoso"), "p.json", json.as_bytes())
            .unwrap_err()
            .what
            .contains("more than 100000 departures")
    );
}

#[test]
fn a_row_never_reaches_another_tenant_than_was_meant() {
    let text = "tenant,mail,last day\ncontoso,a@c.example,2026-11-30\nfabrikam,b@f.example,2026-11-30\n,c@c.example,2026-11-30\nFabrikm,d@f.example,2026-11-30\nCONTOSO GMBH,e@c.example,2026-11-30\n";
    assert_eq!(
        told(&read_for(Some("contoso"), "p.csv", text.as_bytes()).unwrap()),
        [
            "2/1 contoso - a@c.example 2026-11-30T16:00:00Z",
            "4/3 contoso - c@c.example 2026-11-30T16:00:00Z",
            "6/5 contoso - e@c.example 2026-11-30T16:00:00Z",
            "p.csv:3 (row 2): tenant: expected the tenant 'contoso', which the file was handed over for, or nothing, got \"fabrikam\"",
            "p.csv:5 (row 4): tenant: expected the tenant 'contoso', which the file was handed over for, or nothing, got \"Fabrikm\"",
        ]
    );
    assert_eq!(
        told(&read_for(None, "p.csv", text.as_bytes()).unwrap()),
        [
            "2/1 contoso - a@c.example 2026-11-30T16:00:00Z",
            "3/2 fabrikam - b@f.example 2026-11-30T22:00:00Z",
            "6/5 contoso - e@c.example 2026-11-30T16:00:00Z",
            "p.csv:4 (row 3): tenant: expected a tenant's handle or name",
            "p.csv:5 (row 4): tenant: expected a configured tenant's handle or name; did you mean 'fabrikam'?, got \"Fabrikm\"",
        ]
    );
    let none = read_for(None, "p.csv", b"mail,last day\na@c.example,2026-11-30").unwrap_err();
    assert!(none.what.contains("nothing says which tenant"), "{none}");
    assert!(
        read_for(Some("nobody"), "p.csv", text.as_bytes())
            .unwrap_err()
            .what
            .contains("'nobody' is none")
    );
}

#[test]
fn a_tenants_own_names_of_columns_go_before_the_common_ones() {
    let text = "work_email,mail,Gone,last working day\nb@f.example,private@home.example,11/30/2026 5:00 PM,x\n";
    let found = read_for(Some("fabrikam"), "p.csv", text.as_bytes()).unwrap();
    assert_eq!(
        told(&found),
        [
            "2/1 fabrikam - b@f.example 2026-11-30T22:00:00Z",
            "p.csv: ignored these columns, whose names are not known: 'mail', 'last working day'"
        ]
    );
    // Rows of several tenants: each is read by its own names.
    let text =
        "tenant,Gone,last working day,mail\nfabrikam,11/30/2026,x,a@f.example\ncontoso,x,30.11.2026,b@c.example\n";
    let found = read_for(None, "p.csv", text.as_bytes()).unwrap();
    assert_eq!(found.accepted.len(), 2, "{:?}", told(&found));
}

#[test]
fn dates_mean_what_they_mean_where_the_tenant_is() {
    let cases: &[(&str, &str)] = &[
        ("2026-11-30", "2026-11-30T16:00:00Z"),
        ("2026-7-1", "2026-07-01T15:00:00Z"),
        ("30.11.2026", "2026-11-30T16:00:00Z"),
        ("1.7.2026 08:30 Uhr", "2026-07-01T06:30:00Z"),
        ("30.11.2026, 9:05:30", "2026-11-30T08:05:30Z"),
        ("2026-11-30T17:00", "2026-11-30T16:00:00Z"),
        ("2026-11-30 17:00:59.999", "2026-11-30T16:00:59Z"),
        ("2026-11-30T17:00Z", "2026-11-30T17:00:00Z"),
        ("2026-11-30T17:00:00+0530", "2026-11-30T11:30:00Z"),
        ("2026-11-30 17:00 -08", "2026-12-01T01:00:00Z"),
        ("2026-11-30T17:00+01:00[Europe/Berlin]", "2026-11-30T16:00:00Z"),
        ("2026-11-30 17:00 America/New_York", "2026-11-30T22:00:00Z"),
        ("2026-11-30T17:00[America/New_York]", "2026-11-30T22:00:00Z"),
        (
            "2026-11-30 12:00 am",
            "2026-11-29T23:00:00Z warned: access ends at midnight, before that day begins; if it is the last day of work, give the date alone",
        ),
        (
            "2026-03-29T02:30",
            "2026-03-29T01:30:00Z warned: 2026-03-29T02:30:00 does not exist there, because the clocks go forward; taken as 2026-03-29T03:30:00",
        ),
        (
            "2026-10-25 02:30",
            "2026-10-25T00:30:00Z warned: 2026-10-25T02:30:00 comes twice there, because the clocks go back; taken as the first (+02)",
        ),
        ("2026-10-25T02:30+01:00", "2026-10-25T01:30:00Z"),
        ("11/30/2026", "no"),
        ("30.11.26", "no"),
        ("2026-13-01", "no"),
        ("2026-02-29", "no"),
        ("0203-11-30", "no"),
        ("1999-12-31", "no"),
        ("46356", "no"),
        ("tomorrow", "no"),
        ("2026-11-30 25:00", "no"),
        ("2026-11-30 17", "no"),
        ("2026-11-30 13:00 pm", "no"),
        ("2026-11-30T17:00+99:00", "no"),
        ("2026-11-30T17:00 Middle/Earth", "no"),
        ("2026-11-30T17:00+", "no"),
        ("2026-11-30T17:00é", "no"),
        ("2026--30", "no"),
    ];
    for (date, expected) in cases {
        let found = csv(format!("mail;last day\na@c.example;{date}"));
        let told = match found.accepted.first() {
            None => "no".to_owned(),
            Some((_, d)) => match found.warnings.iter().find(|w| w.at.is_some()) {
                None => d.effective_at.to_string(),
                Some(w) => format!("{} warned: {}", d.effective_at, w.text.trim_start_matches("last day: ")),
            },
        };
        assert_eq!(told, *expected, "{date}");
    }
}

#[test]
fn what_begins_when_nobody_works_is_said_once_a_file_and_names_its_rows() {
    let begins = |dates: &[&str]| {
        let rows: String = (0..)
            .zip(dates)
            .map(|(n, date)| format!("p{n}@c.example;{date}\n"))
            .collect();
        csv(format!("mail;last day\n{rows}"))
    };
    // Friday evening's bare date ends with the working day; the past has begun.
    let inside = begins(&["2026-11-27", "2026-11-27 08:00", "2026-11-30 17:00", "2026-09-19"]);
    let concerning_all = |found: &Intake| found.warnings.iter().filter(|w| w.at.is_none()).count();
    assert_eq!(concerning_all(&inside), 0, "{:?}", inside.warnings);
    for date in [
        "2026-11-28",
        "2026-11-27 07:59",
        "2026-11-27 17:01",
        "2026-11-27T23:30Z",
    ] {
        let outside = begins(&[date, date, "2026-11-29"]);
        assert_eq!((concerning_all(&outside), outside.accepted.len()), (1, 3), "{date}");
        assert_eq!(
            outside.warnings.iter().find(|w| w.at.is_none()).unwrap().to_string(),
            "people.csv: 3 departures take effect (rows 1, 2, 3) outside contoso's working hours (mon, tue, wed, thu, fri, 08:00 to 17:00), when nobody may be there to approve or answer; approve them beforehand"
        );
    }
    let said = |dates: &[&str]| {
        let found = begins(dates);
        let all: Vec<String> = found.warnings.iter().map(ToString::to_string).collect();
        all.join("\n")
    };
    let one = said(&["2026-11-27", "2026-11-28"]);
    assert!(
        one.starts_with("people.csv: 1 departure takes effect (row 2) outside"),
        "{one}"
    );
    let many = said(&["2026-11-28"; 7]);
    assert!(
        many.contains("7 departures take effect (rows 1, 2, 3, 4, 5 and 2 more)"),
        "{many}"
    );
}

#[test]
fn who_hands_a_file_in_for_another_one_is_kept() {
    let found = csv(
        "mail;last day;requested_by\na@c.example;2026-11-30;hr@c.example\nb@c.example;2026-11-30;OPS@msp.example\nc@c.example;2026-11-30;\n",
    );
    let asked: Vec<_> = found
        .accepted
        .iter()
        .map(|(_, d)| (d.requested_by.as_str(), d.handed_in_by.as_deref()))
        .collect();
    let ops = "ops@msp.example";
    assert_eq!(
        asked,
        [("hr@c.example", Some(ops)), ("OPS@msp.example", None), (ops, None)]
    );
}

#[test]
fn a_last_day_written_as_midnight_is_said_of_its_row() {
    let said = |date: &str| {
        let found = csv(format!("mail;last day\na@c.example;{date}\n"));
        let all: Vec<String> = found.warnings.iter().map(ToString::to_string).collect();
        all.join("\n")
    };
    let expected = "people.csv:2 (row 1): access ends at midnight, before that day begins; if it is the last day of work, give the date alone";
    for date in [
        "2026-11-30T00:00:00",
        "2026-11-30 00:00",
        "2026-11-29T23:00:00Z",
        "2026-11-30T00:00:00+01:00",
    ] {
        assert_eq!(said(date), expected, "{date}");
    }
    // Midnight elsewhere is an hour there.
    for date in ["2026-11-30T00:00:00Z", "2026-11-30T00:00:00+05:00"] {
        assert!(!said(date).contains("midnight"), "{date}: {}", said(date));
    }
    // Today is such a day too; what is over is over.
    assert_eq!(said("2026-09-21T00:00:00"), expected);
    for date in ["2026-11-30", "2026-11-30T08:00:00", "2026-09-01T00:00:00"] {
        assert_eq!(said(date), "", "{date}");
    }
}

#[test]
fn the_same_case_twice_is_said_and_a_changed_one_amends() {
    let text = "reference,mail,last day\nHR-1,a@c.example,2026-11-30\nHR-2,b@c.example,2026-11-30\nHR-1,a@c.example,2026-11-30\nHR-1,a@c.example,2026-12-31\n";
    let found = csv(text);
    assert_eq!(
        found.accepted.iter().map(|(at, _)| at.row).collect::<Vec<_>>(),
        [1, 2, 4]
    );
    let same: Vec<_> = found.same.iter().map(|s| (s.row.row, s.first.row, s.amends)).collect();
    assert_eq!(same, [(3, 1, false), (4, 1, true)]);
    assert_eq!(found.same[0].case, found.accepted[0].1.case_id());
    assert!(found.rejected.is_empty());
}

/// Names tell people apart here, and no two of one name are one; what is told is the row.
#[test]
fn a_successor_who_leaves_too_is_said() {
    let text = "reference,mail,employee id,last day,successor\n\
        A,anna@c.example,1,2026-11-30,Bob@C.example\n\
        B,bob@c.example,2,2026-12-31,carla@c.example\n\
        C,dora@c.example,3,2026-12-31,\n";
    let said = |intake: &Intake| -> Vec<String> { intake.warnings.iter().map(ToString::to_string).collect() };
    assert_eq!(
        said(&csv(text)),
        ["people.csv:2 (row 1): whoever is to take over leaves too (row 2); name somebody who stays"]
    );
    // The last word on a case counts.
    let mended = format!("{text}A,anna@c.example,1,2026-11-30,carla@c.example\n");
    assert_eq!(said(&csv(mended)), [] as [String; 0]);
    // And whoever the policy names for everybody.
    let mut tenants = tenants();
    let contoso = TenantId::new("contoso").unwrap();
    tenants.get_mut(&contoso).unwrap().policy.successor =
        offboard_domain::policy::SuccessorRule::Named(offboard_domain::departure::PersonRef {
            employee_id: Some("3".into()),
            ..Default::default()
        });
    let context = Context {
        tenants: &tenants,
        tenant: Some(&contoso),
        requested_by: "ops@msp.example",
        now: NOW,
    };
    let alone = "reference,mail,employee id,last day\nA,anna@c.example,1,2026-11-30\nC,dora@c.example,3,2026-12-31\n";
    assert_eq!(
        said(&read("people.csv", alone.as_bytes(), context).unwrap()),
        ["people.csv:2 (row 1): whoever is to take over leaves too (row 2); name somebody who stays"]
    );
}
