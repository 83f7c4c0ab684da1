use super::*;
use proptest::prelude::*;

/// Text that looks like a table often enough to get far.
fn table_like() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("mail"),
        Just("last day"),
        Just("tenant"),
        Just("contoso"),
        Just("a@c.example"),
        Just("2026-11-30"),
        Just("2026-03-29 02:30"),
        Just(","),
        Just(";"),
        Just("\t"),
        Just("\n"),
        Just("\r\n"),
        Just("\r"),
        Just("\""),
        Just("\"\""),
        Just("="),
        Just("\0"),
        Just("ü"),
        Just("sep=;\n"),
        Just("T17:00+"),
        Just("[")
    ];
    prop::collection::vec(
        prop_oneof![9 => piece.prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)],
        0..60,
    )
    .prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), mark in 0usize..4) {
        let marks: [&[u8]; 4] = [b"", b"\xef\xbb\xbf", b"\xff\xfe", b"mail,last day\n"];
        let bytes = [marks[mark], &bytes].concat();
        for tenant in [None, Some("contoso")] {
            for file in ["p.csv", "p.json", "p"] {
                let _ = read_for(tenant, file, &bytes);
            }
        }
    }

    #[test]
    fn no_table_makes_it_panic(text in table_like(), headed in any::<bool>()) {
        let text = if headed { format!("mail,last day,automatic reply\n{text}") } else { text };
        let _ = read_for(None, "p.csv", text.as_bytes());
        if let Ok(found) = read_for(Some("contoso"), "p.csv", text.as_bytes()) {
            for (_, d) in &found.accepted {
                prop_assert_eq!(d.tenant.as_str(), "contoso");
                prop_assert!(d.person.can_be_found());
            }
        }
    }

    #[test]
    fn no_date_makes_it_panic(text in "[0-9./:TZ+\\- éa-zA-Z\\[\\]]{0,30}") {
        let tenants = tenants();
        for tenant in tenants.values() {
            let _ = dates::moment(&text, &tenant.intake.date_formats, tenant, tenant.working_hours.to);
        }
    }

    #[test]
    fn no_json_makes_it_panic(text in "[\\[\\]{}\",: a-z0-9]{0,200}") {
        let _ = read_for(Some("contoso"), "p.json", text.as_bytes());
    }

    #[test]
    fn cells_come_through_as_they_were_written(cells in prop::collection::vec("[^\\p{C}\\s][^\\p{Cc}]{0,30}[^\\p{C}\\s]", 1..6)) {
        let mut writer = ::csv::WriterBuilder::new().delimiter(b';').from_writer(Vec::new());
        writer.write_record(["mail", "name", "last day"]).unwrap();
        for (i, cell) in cells.iter().enumerate() {
            writer.write_record([&format!("p{i}@c.example"), cell, "2026-11-30"]).unwrap();
        }
        let found = csv(writer.into_inner().unwrap());
        let names: Vec<_> = found.accepted.iter().map(|(_, d)| d.person.display_name.clone().unwrap()).collect();
        prop_assert_eq!(names, cells);
    }
}
