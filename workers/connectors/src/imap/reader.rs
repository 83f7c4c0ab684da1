//! Out of a mailbox.

use super::name::decode;
use super::parse::{Answered, Condition, Token, before_literal, latin, literal};
use super::session::{Opened, Session, Trouble, outcome};
use super::wire::{Lost, Wire, Word};
use super::{Done, ImapConnector, OrFault as _};
use crate::measured::Asking;
use crate::{Answer, Call, MailFolder, MailMessage, MailOwner, MailPage, MailReader, MailSink};
use async_trait::async_trait;
use offboard_domain::FaultClass;

/// The most messages that a page lists, and so how many ids are asked for at once while it
/// is not known which there are.
const WINDOW: u64 = 2_000;
/// How many ranges of ids one page asks for at most: who lists may stop between pages.
const RANGES_MAX: usize = 100;
/// Of fewer messages in that many ids, the ids of those that follow are asked for: page
/// by page, a folder whose messages lie far apart would take as many requests as it has
/// messages.
const FEW: usize = 250;
/// The most messages of a folder whose ids are asked for at once: of eleven bytes each, the
/// answer is one line, and below the longest that is read.
const SEARCHED_MAX: u64 = 80_000;
/// The largest id.
const UID_MAX: u64 = 0xffff_ffff;
/// How fetching is called.
const FETCH: &str = "fetch messages";
/// Most folders of a mailbox.
const FOLDERS_MAX: usize = 100_000;

#[async_trait]
impl MailReader for ImapConnector {
    async fn folders(&self, call: &mut Call, owner: &MailOwner) -> Answer<Option<Vec<MailFolder>>> {
        const ATTEMPTED: &str = "LIST and STATUS";
        let login = self.login(owner, ATTEMPTED)?;
        let mut session = self.session(call, login).await.or_fault(self, ATTEMPTED)?;
        let exact = self.server.settings.exact_sizes;
        let found = folders(&mut session, exact).await.or_fault(self, ATTEMPTED)?;
        self.give_back(session);
        Self::answered(call, ATTEMPTED);
        Ok(Some(found))
    }

    async fn messages(
        &self,
        call: &mut Call,
        owner: &MailOwner,
        folder: &MailFolder,
        from: Option<&str>,
    ) -> Answer<MailPage> {
        const ATTEMPTED: &str = "UID FETCH of a list";
        let login = self.login(owner, ATTEMPTED)?;
        let mut session = self.session(call, login).await.or_fault(self, ATTEMPTED)?;
        let first = from.and_then(|f| f.parse().ok()).unwrap_or(1);
        let exact = self.server.settings.exact_sizes;
        let page = page(&mut session, folder, first, exact)
            .await
            .or_fault(self, ATTEMPTED)?;
        self.give_back(session);
        Self::answered(call, ATTEMPTED);
        Ok(page)
    }

    async fn fetch(
        &self,
        call: &mut Call,
        owner: &MailOwner,
        folder: &MailFolder,
        which: &[MailMessage],
        into: &mut dyn MailSink,
    ) -> Answer<()> {
        const ATTEMPTED: &str = "UID FETCH of messages";
        let login = self.login(owner, ATTEMPTED)?;
        let mut session = self.session(call, login).await.or_fault(self, ATTEMPTED)?;
        match bodies(&mut session, folder, which, into).await {
            // What is under way on that connection is of no use; one message alone needs no id.
            Err(Trouble::LateId) => {
                session = self.session(call, login).await.or_fault(self, ATTEMPTED)?;
                for (index, one) in which.iter().enumerate() {
                    let mut alone = Alone { index, into };
                    let one = std::slice::from_ref(one);
                    bodies(&mut session, folder, one, &mut alone)
                        .await
                        .or_fault(self, ATTEMPTED)?;
                }
            }
            done => done.or_fault(self, ATTEMPTED)?,
        }
        self.give_back(session);
        Self::answered(call, ATTEMPTED);
        Ok(())
    }
}

/// One of several messages, fetched alone.
struct Alone<'a> {
    index: usize,
    into: &'a mut dyn MailSink,
}

#[async_trait]
impl MailSink for Alone<'_> {
    async fn begin(&mut self, _: usize) -> Answer<()> {
        self.into.begin(self.index).await
    }
    async fn bytes(&mut self, bytes: &[u8]) -> Answer<()> {
        self.into.bytes(bytes).await
    }
    async fn end(&mut self) -> Answer<()> {
        self.into.end().await
    }
}

impl ImapConnector {
    fn login<'a>(&self, owner: &'a MailOwner, attempted: &str) -> Answer<&'a str> {
        owner.login.as_deref().filter(|l| !l.contains('\0')).ok_or_else(|| {
            self.fault_of(
                FaultClass::Blocked,
                attempted,
                "neither the request nor the directory gives an address, which is what a mail server knows a mailbox by; \
                 hand the departure in again with the mail address",
            )
        })
    }
}

/// Every folder that can hold messages, in the order of its name.
async fn folders(session: &mut Session, exact: bool) -> Done<Vec<MailFolder>> {
    let mut names: Vec<(String, Option<char>)> = Vec::new();
    for prefix in personal(session).await? {
        let pattern = format!("{prefix}*");
        let raw = super::parse::unlatin(&pattern);
        let listed = session
            .ask("list the folders", &[Word::Plain("LIST \"\""), Word::Name(&raw)])
            .await?;
        for tokens in listed
            .iter()
            .filter(|t| t.first().is_some_and(|t| t.is("LIST")) && t.len() >= 4)
        {
            let closed = |t: &Token| ["\\Noselect", "\\NonExistent"].iter().any(|w| t.is(w));
            let delimiter = tokens[2].text();
            if !tokens[1].list().iter().any(closed) {
                let delimiter = if tokens[2].is("NIL") {
                    None
                } else {
                    delimiter.chars().next()
                };
                names.push((tokens[3].text(), delimiter));
            }
        }
    }
    names.sort();
    names.dedup_by(|a, b| a.0 == b.0);
    if names.len() > FOLDERS_MAX {
        return Err(Trouble::Lost(Lost::Unread(
            "the mailbox has more folders than are read",
        )));
    }
    let mut found = Vec::with_capacity(names.len());
    for (name, delimiter) in names {
        match state(session, &name, delimiter, exact).await {
            Ok(folder) => found.push(folder),
            // Removed since it was listed.
            Err(Trouble::Refused(_, code)) if code.to_uppercase().starts_with("NONEXISTENT") => {}
            Err(other) => return Err(other),
        }
    }
    Ok(found)
}

/// The prefixes of the owner's own folders: what others share with him is not
/// his (RFC 2342).
async fn personal(session: &mut Session) -> Done<Vec<String>> {
    let mut prefixes = Vec::new();
    if session.offers("NAMESPACE") {
        let said = session.ask("list the namespaces", &[Word::Plain("NAMESPACE")]).await?;
        let own = said.iter().find(|t| t.first().is_some_and(|t| t.is("NAMESPACE")));
        for space in own.and_then(|t| t.get(1)).map(Token::list).unwrap_or_default() {
            prefixes.extend(space.list().first().map(Token::text));
        }
    }
    if prefixes.is_empty() {
        prefixes.push(String::new());
    } else if !prefixes.iter().any(|p| "INBOX".starts_with(p.as_str())) {
        // The inbox is in no namespace but is his.
        prefixes.push("INBOX".to_owned());
    }
    Ok(prefixes)
}

async fn state(session: &mut Session, name: &str, delimiter: Option<char>, exact: bool) -> Done<MailFolder> {
    let condstore = session.offers("CONDSTORE") || session.offers("QRESYNC");
    let sized = exact && session.offers("STATUS=SIZE");
    let items = format!(
        "(MESSAGES UIDNEXT UIDVALIDITY{}{})",
        if condstore { " HIGHESTMODSEQ" } else { "" },
        if sized { " SIZE" } else { "" }
    );
    let raw = super::parse::unlatin(name);
    let said = session
        .ask(
            "ask for a folder's state",
            &[Word::Plain("STATUS"), Word::Name(&raw), Word::Plain(&items)],
        )
        .await?;
    let tokens = said.iter().find(|t| t.first().is_some_and(|t| t.is("STATUS")));
    let items = tokens.and_then(|t| t.get(2)).map(Token::list).unwrap_or_default();
    let item = |word: &str| {
        let at = items.iter().position(|t| t.is(word))?;
        items.get(at + 1)
    };
    let (Some(messages), Some(validity)) = (item("MESSAGES").and_then(Token::number), item("UIDVALIDITY")) else {
        return Err(Trouble::Lost(Lost::Unread("a folder's state is not told")));
    };
    Ok(MailFolder {
        id: name.to_owned(),
        generation: validity.text(),
        path: path(name, delimiter),
        messages,
        bytes: item("SIZE").and_then(Token::number),
        next: item("UIDNEXT").and_then(Token::number),
        // Zero: this folder keeps no such mark.
        state: item("HIGHESTMODSEQ").map(Token::text).filter(|m| m != "0"),
    })
}

fn path(name: &str, delimiter: Option<char>) -> Vec<String> {
    let parts: Vec<&str> = match delimiter {
        Some(delimiter) => name.split(delimiter).collect(),
        None => vec![name],
    };
    parts.into_iter().map(decode).collect()
}

/// Opens a folder unless it is open, and looks whether it is still the same.
async fn open(session: &mut Session, folder: &MailFolder, anew: bool) -> Done<Opened> {
    let opened = match session.opened.clone().filter(|o| o.name == folder.id && !anew) {
        Some(opened) => opened,
        None => session.select(&folder.id, false).await?,
    };
    if opened.validity == folder.generation {
        Ok(opened)
    } else {
        session.opened = None;
        Err(Trouble::Renewed)
    }
}

async fn page(session: &mut Session, folder: &MailFolder, first: u64, exact: bool) -> Done<MailPage> {
    let opened = open(session, folder, true).await?;
    let end = opened.next.or(folder.next).unwrap_or(UID_MAX).min(UID_MAX);
    let mut from = first.max(1);
    let mut page = MailPage::default();
    if opened.messages == 0 {
        return Ok(page);
    }
    let (mut leaps, mut within) = (true, None);
    let mut searches = opened.messages <= SEARCHED_MAX;
    for _ in 0..RANGES_MAX {
        if from >= end || !page.messages.is_empty() {
            break;
        }
        let to = within.take().unwrap_or(from.saturating_add(WINDOW - 1)).min(end);
        page.messages.extend(listed(session, from, to, exact).await?);
        from = to + 1;
        if searches && from < end && page.messages.len() < FEW {
            if let Some(ids) = searched(session, from, end).await? {
                let room = usize::try_from(WINDOW).unwrap_or(usize::MAX) - page.messages.len();
                let (these, rest) = ids.split_at(room.min(ids.len()));
                if let (Some(first), Some(last)) = (these.first(), these.last()) {
                    page.messages.extend(listed(session, *first, *last, exact).await?);
                }
                from = rest.first().copied().unwrap_or(end);
                break;
            }
            searches = false;
        }
        if leaps && from < end && page.messages.is_empty() {
            match used(session, folder, from).await? {
                Used::From(next) => from = next,
                Used::Within(last) => within = Some(last),
                Used::NoMore => from = end,
                // Window by window, then.
                Used::Untold => leaps = false,
            }
        }
    }
    page.messages.sort_by_key(|m| m.place);
    page.messages.dedup_by_key(|m| m.place);
    page.next = (from < end).then(|| from.to_string());
    Ok(page)
}

/// The messages of a range of ids.
async fn listed(session: &mut Session, from: u64, to: u64, exact: bool) -> Done<Vec<MailMessage>> {
    let command = format!("UID FETCH {from}:{to} (UID FLAGS INTERNALDATE RFC822.SIZE)");
    let said = session.ask("list messages", &[Word::Plain(&command)]).await?;
    // A range may be answered with the last message although it is outside.
    let listed = said.iter().filter_map(|t| message(t, exact));
    Ok(listed.filter(|m| (from..=to).contains(&m.place)).collect())
}

/// The ids that messages have from this one on, in their order; none: the server does not
/// say.
async fn searched(session: &mut Session, from: u64, end: u64) -> Done<Option<Vec<u64>>> {
    let command = format!("UID SEARCH UID {from}:*");
    let said = match session.ask("search for messages", &[Word::Plain(&command)]).await {
        Err(Trouble::Refused(..)) => return Ok(None),
        said => said?,
    };
    let told: Vec<&Vec<Token>> = said
        .iter()
        .filter(|t| t.first().is_some_and(|t| t.is("SEARCH")))
        .collect();
    if told.is_empty() {
        return Ok(None);
    }
    // The last message is among them although its id may be before.
    let ids = told.into_iter().flatten().filter_map(Token::number);
    let mut ids: Vec<u64> = ids.filter(|id| (from..=end).contains(id)).collect();
    ids.sort_unstable();
    ids.dedup();
    Ok(Some(ids))
}

/// What follows a run of ids that no message has.
enum Used {
    /// A message with this id, and none before it.
    From(u64),
    /// Some whose ids the server does not say; up to this id there are no more than a
    /// page has.
    Within(u64),
    /// No message.
    NoMore,
    /// The server does not say of messages which ids they have.
    Untold,
}

/// Where the next message is, by halving: messages are numbered in the order of
/// their ids and without gaps, and as long as nothing else is asked for the numbers
/// stay (RFC 3501, section 7.4.1). A wider range of ids would find it too, but might be
/// answered with all that the folder has.
async fn used(session: &mut Session, folder: &MailFolder, from: u64) -> Done<Used> {
    // The numbers that it has now: listing may have been answered with what went.
    let opened = open(session, folder, true).await?;
    // Those of a message before the run, and of one after it.
    let (mut before, mut after) = (0, opened.messages.saturating_add(1));
    let mut found = Used::NoMore;
    while after - before > 1 {
        let middle = before + (after - before) / 2;
        match uid(session, middle).await? {
            Some(id) if id < from => before = middle,
            Some(id) => (after, found) = (middle, Used::From(id)),
            None => (after, found) = (middle, Used::Untold),
        }
    }
    match found {
        Used::Untold => untold(session, from, before, opened.messages).await,
        found => Ok(found),
    }
}

/// Where a page may end when the message after this one is not told: at one that is told,
/// and so few numbers on that no more than a page lies between. `before` is the number of
/// one whose id is before `from`, or zero.
async fn untold(session: &mut Session, from: u64, mut before: u64, messages: u64) -> Done<Used> {
    let mut ahead = WINDOW;
    while ahead > 1 {
        let number = before.saturating_add(ahead);
        if number >= messages {
            // All that is left.
            return Ok(Used::Within(UID_MAX));
        }
        match uid(session, number).await? {
            Some(id) if id >= from => return Ok(Used::Within(id)),
            Some(_) => (before, ahead) = (number, WINDOW),
            None => ahead /= 2,
        }
    }
    Ok(Used::Untold)
}

/// The id of the message of this number.
async fn uid(session: &mut Session, number: u64) -> Done<Option<u64>> {
    let command = format!("FETCH {number} (UID)");
    let said = session.ask("look for messages", &[Word::Plain(&command)]).await?;
    let of_it = said.iter().find(|t| t.first().and_then(Token::number) == Some(number));
    Ok(of_it.and_then(|t| fetched_item(t, "UID")).and_then(Token::number))
}

/// One item of a message's answer.
fn fetched_item<'t>(tokens: &'t [Token], word: &str) -> Option<&'t Token> {
    if !tokens.get(1)?.is("FETCH") {
        return None;
    }
    let items = tokens.get(2)?.list();
    items.get(items.iter().position(|t| t.is(word))? + 1)
}

fn message(tokens: &[Token], exact: bool) -> Option<MailMessage> {
    let item = |word: &str| fetched_item(tokens, word);
    let uid = item("UID")?.number()?;
    let flags = item("FLAGS").map(Token::list).unwrap_or_default();
    Some(MailMessage {
        id: uid.to_string(),
        place: uid,
        flags: flags.iter().map(Token::text).filter(|f| f != "\\Recent").collect(),
        received_ms: item("INTERNALDATE").and_then(|t| date_ms(&t.text())),
        bytes: item("RFC822.SIZE").and_then(Token::number).filter(|_| exact),
    })
}

/// ` 1-Jan-2026 10:00:00 +0100`, in milliseconds since 1970.
fn date_ms(text: &str) -> Option<i64> {
    let zoned = jiff::Zoned::strptime("%d-%b-%Y %H:%M:%S %z", text.trim()).ok()?;
    Some(zoned.timestamp().as_millisecond())
}

/// Ids as IMAP lists them, runs as ranges.
fn set(which: &[MailMessage]) -> String {
    let mut out = String::new();
    let mut places = which.iter().map(|m| m.place).peekable();
    while let Some(first) = places.next() {
        let mut last = first;
        while places.next_if_eq(&(last + 1)).is_some() {
            last += 1;
        }
        if !out.is_empty() {
            out.push(',');
        }
        out.push_str(&if first == last {
            first.to_string()
        } else {
            format!("{first}:{last}")
        });
    }
    out
}

async fn bodies(
    session: &mut Session,
    folder: &MailFolder,
    which: &[MailMessage],
    into: &mut dyn MailSink,
) -> Done<()> {
    if which.is_empty() {
        return Ok(());
    }
    open(session, folder, false).await?;
    bodies_of_open(session, which, into).await
}

/// The same of the folder that is open.
pub(super) async fn bodies_of_open(session: &mut Session, which: &[MailMessage], into: &mut dyn MailSink) -> Done<()> {
    let mut asking = session.asking(FETCH);
    let answer = fetched(session, which, into, &mut asking).await;
    asking.end(outcome(&answer));
    answer
}

async fn fetched(
    session: &mut Session,
    which: &[MailMessage],
    into: &mut dyn MailSink,
    asking: &mut Asking,
) -> Done<()> {
    let command = format!("UID FETCH {} (UID BODY.PEEK[])", set(which));
    let tag = session.wire.begin(&[Word::Plain(&command)]).await?;
    loop {
        let line = session.wire.line().await?;
        asking.begins();
        if line.starts_with(b"* ") && contains(&line, b" FETCH (") {
            body(&mut session.wire, line, which, into).await?;
            continue;
        }
        match session.wire.answer_after(line).await? {
            Answered::Status {
                tag: Some(own),
                condition,
                code,
            } if own == tag => {
                return match condition {
                    Condition::Ok => Ok(()),
                    _ => Err(Trouble::Refused(FETCH, code)),
                };
            }
            Answered::Status {
                condition: Condition::Bye,
                ..
            } => return Err(Trouble::Lost(Lost::Broken)),
            _ => {}
        }
    }
}

fn contains(line: &[u8], part: &[u8]) -> bool {
    line.windows(part.len()).any(|w| w.eq_ignore_ascii_case(part))
}

/// One answer with a message in it, whose bytes go through.
async fn body(wire: &mut Wire, first: Vec<u8>, which: &[MailMessage], into: &mut dyn MailSink) -> Done<()> {
    let (mut line, mut before) = (first, Vec::new());
    while let Some(length) = literal(&line) {
        before.extend_from_slice(before_literal(&line));
        if !before.trim_ascii_end().to_ascii_uppercase().ends_with(b"BODY[]") {
            // Another thing that was not asked for.
            wire.small(length).await?;
            line = wire.line().await?;
            continue;
        }
        let index = index(&before, which)?;
        into.begin(index).await.map_err(sink)?;
        let mut left = length;
        while left > 0 {
            let bytes = wire.some(left).await?;
            into.bytes(bytes).await.map_err(sink)?;
            let taken = bytes.len();
            left -= taken as u64;
            wire.consume(taken);
        }
        into.end().await.map_err(sink)?;
        before.clear();
        line = wire.line().await?;
    }
    // A server may quote what is short.
    before.extend_from_slice(&line);
    if contains(&before, b"BODY[] \"") {
        let Some(Answered::Data(tokens)) = super::parse::answer(vec![super::parse::Bit::Line(before.clone())]) else {
            return Err(Trouble::Lost(Lost::Unread("a message's answer is none of IMAP")));
        };
        let items = tokens.get(2).map(Token::list).unwrap_or_default();
        let at = items.iter().position(|t| t.is("BODY[]"));
        if let Some(text) = at.and_then(|at| items.get(at + 1)) {
            let index = index(&before, which)?;
            into.begin(index).await.map_err(sink)?;
            into.bytes(text.bytes()).await.map_err(sink)?;
            into.end().await.map_err(sink)?;
        }
    }
    Ok(())
}

fn sink(fault: offboard_domain::Fault) -> Trouble {
    Trouble::Sink(Box::new(fault))
}

/// Which of the messages that were asked for it is. One alone needs no id; of
/// several, the id must come before the message.
fn index(before: &[u8], which: &[MailMessage]) -> Done<usize> {
    if which.len() == 1 {
        return Ok(0);
    }
    let text = latin(before).to_uppercase();
    let uid = text.find("UID ").and_then(|at| {
        let digits: String = text[at + 4..].chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u64>().ok()
    });
    let uid = uid.ok_or(Trouble::LateId)?;
    let found = which.iter().position(|m| m.place == uid);
    found.ok_or(Trouble::Lost(Lost::Unread("a message came that was not asked for")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(place: u64) -> MailMessage {
        MailMessage {
            id: place.to_string(),
            place,
            flags: Vec::new(),
            received_ms: None,
            bytes: None,
        }
    }

    #[test]
    fn runs_of_ids_are_ranges() {
        let which: Vec<_> = [1, 2, 3, 7, 9, 10].map(at).to_vec();
        assert_eq!(set(&which), "1:3,7,9:10");
        assert_eq!(set(&[at(5)]), "5");
    }

    #[test]
    fn dates_are_read_as_servers_write_them() {
        assert_eq!(date_ms(" 1-Jan-2026 10:00:00 +0100"), Some(1_767_258_000_000));
        assert_eq!(date_ms("17-Jul-1996 02:44:25 -0700"), Some(837_596_665_000));
        assert_eq!(date_ms("yesterday"), None);
    }

    #[test]
    fn names_are_paths_in_the_owners_letters() {
        assert_eq!(path("INBOX/Entw&APw-rfe", Some('/')), ["INBOX", "Entwürfe"]);
        assert_eq!(path("a/b", None), ["a/b"]);
        assert_eq!(path("..//x", Some('/')), ["..", "", "x"]);
    }
}
