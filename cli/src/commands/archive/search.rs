//! `offboard archive search`: by what the headers say, and in the text of the
//! messages as their reader sees it. Messages go by one after the other; none
//! is held.

use super::{Ctx, each, headers, line, name, open};
use crate::error::{CliError, Exit};
use crate::show::safe;
use console::style;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use offboard_archive::{Finding, Headers, MessageEntry};
use serde_json::json;

/// What is looked for.
pub(super) struct Wanted {
    pub(super) words: Vec<String>,
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) since: Option<Date>,
    pub(super) until: Option<Date>,
    pub(super) folder: Option<String>,
    pub(super) body: bool,
}

impl Wanted {
    /// Whether the headers are of such a message, words aside.
    fn fits(&self, headers: &Headers) -> bool {
        self.from.as_ref().is_none_or(|who| headers.is_from(who))
            && self.to.as_ref().is_none_or(|who| headers.is_to(who))
            && self.subject.as_ref().is_none_or(|what| headers.is_about(what))
    }

    /// Whether a message came then. One of which nobody says when did not.
    fn came_then(&self, message: &MessageEntry, headers: &Headers) -> bool {
        if self.since.is_none() && self.until.is_none() {
            return true;
        }
        let day = day(message, headers);
        day.is_some_and(|day| self.since.is_none_or(|d| d <= day) && self.until.is_none_or(|d| day <= d))
    }
}

/// The day on which the server got a message; else the one that it says itself.
fn day(message: &MessageEntry, headers: &Headers) -> Option<Date> {
    let at = match message.received_ms {
        Some(ms) => Timestamp::from_millisecond(ms).ok()?,
        None => jiff::fmt::rfc2822::parse(&headers.date).ok()?.timestamp(),
    };
    Some(at.to_zoned(TimeZone::UTC).date())
}

pub(super) async fn run(ctx: &Ctx, named: &str, wanted: &Wanted) -> Result<Exit, CliError> {
    let config = ctx.config()?;
    let archive = open(ctx, &config, named).await?;
    let mut found = 0_u64;
    let damage = each(
        ctx,
        &archive,
        wanted.folder.as_deref(),
        async |folder, segment, message| {
            let headers = headers(&archive, segment, message).await?;
            if !wanted.fits(&headers) || !wanted.came_then(message, &headers) {
                return Ok(());
            }
            if !headers.have(&wanted.words) {
                if !wanted.body {
                    return Ok(());
                }
                let mut finding = Finding::of(&wanted.words);
                archive.read(segment, message, &mut finding).await?;
                if !finding.end() {
                    return Ok(());
                }
            }
            found += 1;
            if ctx.out.is_json() {
                let mut shown = line(folder, message);
                shown["headers"] = json!(headers);
                ctx.out.object(&shown)?;
                return Ok(());
            }
            ctx.out.line(&format!(
                "{:>8}  {}  {}\n          {}  {}",
                message.number,
                safe(&headers.from),
                style(safe(&headers.subject)).bold(),
                style(safe(&headers.date)).dim(),
                style(name(folder)).dim(),
            ))?;
            Ok(())
        },
    )
    .await?;
    if !ctx.out.is_json() {
        ctx.out.say(format!("{found} found"));
    }
    damage.or_done()
}

#[cfg(test)]
mod tests {
    use super::*;
    use offboard_domain::Digest;

    fn message(received_ms: Option<i64>) -> MessageEntry {
        MessageEntry {
            number: 1,
            folder: 1,
            id: "1".into(),
            flags: Vec::new(),
            received_ms,
            bytes: 0,
            sha256: Digest::ZERO,
            at: 0,
            file: "mail/0001-INBOX/cur/1:2,".into(),
        }
    }

    fn wanted(since: Option<Date>, until: Option<Date>) -> Wanted {
        Wanted {
            words: Vec::new(),
            from: None,
            to: None,
            subject: None,
            since,
            until,
            folder: None,
            body: false,
        }
    }

    #[test]
    fn days_are_whole_and_count_by_when_the_server_got_it() {
        let last = jiff::civil::date(2026, 1, 31);
        // Its last second in UTC, and the second after.
        let (within, after) = (1_769_903_999_000, 1_769_904_000_000);
        let none = Headers::default();
        assert!(wanted(Some(last), Some(last)).came_then(&message(Some(within)), &none));
        assert!(!wanted(None, Some(last)).came_then(&message(Some(after)), &none));
        assert!(wanted(Some(last), None).came_then(&message(Some(after)), &none));
        let says = Headers {
            date: "Sun, 1 Feb 2026 00:30:00 +0100".into(),
            ..Headers::default()
        };
        assert!(wanted(None, Some(last)).came_then(&message(None), &says));
        assert!(!wanted(None, Some(last)).came_then(&message(Some(after)), &says));
        assert!(!wanted(Some(last), None).came_then(&message(None), &none));
        assert!(wanted(None, None).came_then(&message(None), &none));
    }

    #[test]
    fn what_narrows_it_down_must_all_hold() {
        let headers = Headers {
            from: "Anna M\u{fc}ller <anna@contoso.example>".into(),
            to: "berta@contoso.example".into(),
            cc: "Carl <carl@x.test>".into(),
            subject: "The contract".into(),
            date: String::new(),
        };
        let fits = |from: Option<&str>, to: Option<&str>, subject: Option<&str>| {
            let wanted = Wanted {
                from: from.map(str::to_owned),
                to: to.map(str::to_owned),
                subject: subject.map(str::to_owned),
                ..wanted(None, None)
            };
            wanted.fits(&headers)
        };
        assert!(fits(None, None, None));
        assert!(fits(Some("M\u{dc}LLER"), Some("carl"), Some("contract")));
        assert!(fits(Some("anna@"), Some("berta"), None));
        assert!(!fits(Some("anna@"), Some("anna@"), None));
        assert!(!fits(Some("berta"), None, Some("contract")));
        assert!(!fits(None, None, Some("offer")));
    }
}
