//! What stands on a page of notes, in the form that wikis store (XHTML). It is made of
//! what the task is told and of nothing else, so that it is the same whenever it is
//! made, and is known again by its digest, which stands in its last line: wikis write
//! what they store a little differently, and people write beside it.

use offboard_domain::catalogue::knowledge::{DEVICES, DID, FILES_LINK, HANDED_OVER, SESSION_LINK};
use offboard_domain::{CaseId, Digest, Fact, Facts};

/// A page.
pub(crate) struct Page {
    /// All of it.
    pub(crate) body: String,
    /// By what it is known again.
    pub(crate) mark: String,
}

/// What others wrote, as text: without the characters that may not stand in XML.
fn safe(text: &str) -> String {
    let allowed = |c: &char| match c {
        '\t' | '\n' | '\r' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        c => *c >= ' ',
    };
    let text: String = text.chars().filter(allowed).collect();
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;")
}

fn link(address: &str) -> String {
    let address = safe(address);
    format!("<p><a href=\"{address}\">{address}</a></p>")
}

/// Each number below this beginning, in words.
fn counted(params: &Facts, beginning: &str) -> Option<String> {
    let each = params.0.iter().filter_map(|(name, n)| match n {
        Fact::Int(n) => Some(format!("{n} {}", name.strip_prefix(beginning)?)),
        _ => None,
    });
    let each: Vec<String> = each.collect();
    (!each.is_empty()).then(|| each.join(", "))
}

/// Makes the page.
pub(crate) fn page(case: CaseId, params: &Facts) -> Page {
    let mut body = format!(
        "<p>What was handed over in departure {case}. <code>offboard show {case}</code> says who left, and what else was done.</p>"
    );
    let mut section = |title: &str, text: String| {
        body.push_str(&format!("<h2>{title}</h2>{text}"));
    };
    if let Some(address) = params.text(FILES_LINK) {
        section("Files", link(address));
    }
    if let Some(address) = params.text(SESSION_LINK) {
        section("Recording of the knowledge session", link(address));
    }
    let done = HANDED_OVER.iter().filter_map(|kind| {
        let ended = counted(params, &format!("{DID}{}/", kind.name()))?;
        Some(format!("<li>{}: {}</li>", safe(kind.spec().title), safe(&ended)))
    });
    let done: String = done.collect();
    if !done.is_empty() {
        section("What was done", format!("<ul>{done}</ul>"));
    }
    if let Some(devices) = counted(params, DEVICES) {
        section("Devices that he had", format!("<p>{}</p>", safe(&devices)));
    }
    let mark = format!("notes-{}", Digest::of(body.as_bytes()));
    body.push_str(&format!(
        "<p>This page is written anew when what it says has changed, and only then; earlier versions are in its history. <code>{mark}</code></p>"
    ));
    Page { body, mark }
}

#[cfg(test)]
mod tests {
    use super::*;
    use offboard_domain::{Kind, TenantId};

    fn case() -> CaseId {
        CaseId::derive(&TenantId::new("acme").unwrap(), "HR-1")
    }

    #[test]
    fn it_says_what_it_is_told_and_is_the_same_each_time() {
        let told = Facts::new()
            .with(FILES_LINK, "https://files.example/a?b=1&c=\"<2\0\u{1b}\u{ffff}>")
            .with(SESSION_LINK, "https://video.example/1")
            .with(&format!("{DID}{}/verified", Kind::HandOverOneDrive.name()), 1_i64)
            .with(&format!("{DID}{}/not applicable", Kind::CancelMeetings.name()), 2_i64)
            .with(&format!("{DEVICES}company"), 2_i64)
            .with(&format!("{DEVICES}personal"), 1_i64);
        let made = page(case(), &told);
        for part in [
            "<a href=\"https://files.example/a?b=1&amp;c=&quot;&lt;2&gt;\">",
            "<a href=\"https://video.example/1\">",
            "<li>Make the successor administrator of the OneDrive: 1 verified</li>",
            ": 2 not applicable</li>",
            "<p>2 company, 1 personal</p>",
        ] {
            assert!(made.body.contains(part), "{part}: {}", made.body);
        }
        assert!(made.body.contains(&made.mark));
        assert_eq!(page(case(), &told).body, made.body);
        let more = told.with(&format!("{DEVICES}unknown"), 1_i64);
        assert_ne!(page(case(), &more).mark, made.mark);
    }

    #[test]
    fn of_nothing_it_says_nothing() {
        let made = page(case(), &Facts::new());
        assert!(!made.body.contains("<h2>"), "{}", made.body);
    }
}
