//! Exchange's admin endpoint: cmdlets over HTTP, as Exchange's own PowerShell
//! module calls them. The surface is not documented; what is relied upon here
//! is what that module sends and gets.
//!
//! Repeating is success: "no settings have been modified" is a warning, and an
//! access entry that is not there counts as removed (and, when somebody's entry
//! was asked for, as none).

use super::api::{Api, Ask, PAGES_MAX, Service};
use super::batch::headers_of;
use super::fault::{self, Effect, Refusal, clean_code, retry_after_ms};
use super::path::Path;
use super::permission::{EXCHANGE, Need};
use super::read::text_in;
use crate::{Answer, Call};
use offboard_domain::{Fault, FaultClass, Timestamp};
use offboard_runtime::telemetry::metrics;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::{Map, Value, json};

/// A cmdlet with its parameters.
#[derive(Debug, Clone)]
pub(crate) struct Cmdlet {
    name: &'static str,
    parameters: Map<String, Value>,
    /// The properties that are wanted of each object; none: all.
    shows: Option<&'static str>,
    effect: Effect,
}

impl Cmdlet {
    /// A cmdlet that reads, if its verb is `Get`, else one that writes.
    pub(crate) fn new(name: &'static str) -> Self {
        let effect = if name.starts_with("Get-") {
            Effect::Read
        } else {
            Effect::Write
        };
        Self {
            name,
            parameters: Map::new(),
            shows: None,
            effect,
        }
    }

    /// One about this identity.
    pub(crate) fn about(name: &'static str, identity: &str) -> Self {
        Self::new(name).with("Identity", identity)
    }

    pub(crate) fn with(mut self, parameter: &'static str, value: impl Into<Value>) -> Self {
        self.parameters.insert(parameter.to_owned(), value.into());
        self
    }

    /// Asks for these properties of each object alone, with commas between.
    pub(crate) fn showing(mut self, properties: &'static str) -> Self {
        self.shows = Some(properties);
        self
    }

    /// Where it is posted to.
    fn path(&self) -> Path {
        let path = Path::at("InvokeCommand");
        match self.shows {
            Some(properties) => path.select(properties),
            None => path,
        }
    }

    /// A parameter that adds to or removes from a list, whatever else is in it.
    pub(crate) fn changing(self, parameter: &'static str, verb: &'static str, value: &str) -> Self {
        self.with(
            parameter,
            json!({"@odata.type": "#Exchange.GenericHashTable", verb: value}),
        )
    }
}

/// The most cmdlets in one batch.
const PARTS_MAX: usize = 10;
/// The longest pause within a long look, as a share of the time that is left: one fourth.
const PAUSE_SHARE: u32 = 4;
/// Rounds of a long look that brought nothing new, after which it ends.
const FRUITLESS_MAX: u32 = 3;
/// The pause after a fault that passes and does not say when, in milliseconds of engine time.
const PAUSE_MS: i64 = 2_000;
const UNAUTHORIZED: u16 = 401;
const TOO_MANY_REQUESTS: u16 = 429;
/// The mailbox that requests about no mailbox in particular are routed by.
const SYSTEM_MAILBOX: &str = "SystemMailbox{bb558c35-97f1-4cb9-8ff7-d53741dc928c}";

/// The refusals that say that there is nothing left to do.
const ALREADY: &[&str] = &[
    "because the ace isn't present",
    "because the ace doesn't exist",
    "is not a member of the group",
    "isn't a member of the group",
    "no existing permission entry",
];
/// The code of a fault that is one of them.
const ALREADY_CODE: &str = "AlreadyDone";

/// By what a request about no mailbox in particular is routed.
pub(crate) fn anchor(tenant: &str) -> String {
    format!("APP:{SYSTEM_MAILBOX}@{tenant}")
}

impl Api {
    fn ask_of(&self, cmdlet: &Cmdlet) -> Ask {
        let body = json!({"CmdletInput": {"CmdletName": cmdlet.name, "Parameters": cmdlet.parameters}});
        let mut ask = Ask::post(cmdlet.path(), EXCHANGE, Some(body))
            .to(Service::Exchange)
            .header("prefer", "odata.maxpagesize=1000")
            .header("x-cmdletname", cmdlet.name);
        ask.effect = cmdlet.effect;
        ask.named = Some(cmdlet.name);
        ask
    }

    fn no_list(&self, ask: &Ask) -> Fault {
        self.fault(ask, FaultClass::Transient, "the answer is no list; it is read again")
    }

    /// Runs a cmdlet and gives its objects. What is already so is success.
    pub(crate) async fn invoke(&self, call: &mut Call, cmdlet: Cmdlet) -> Answer<Vec<Value>> {
        let mut ask = self.ask_of(&cmdlet);
        let mut rows = Vec::new();
        for _ in 0..PAGES_MAX {
            let mut body = match self.send(call, &ask).await {
                Ok(reply) => reply.body,
                Err(fault) if fault.code.as_deref() == Some(ALREADY_CODE) => return Ok(rows),
                Err(fault) => return Err(fault),
            };
            match body["value"].take() {
                Value::Array(values) => rows.extend(values),
                // Who reads must not take an answer that says nothing for "there is none".
                _ if cmdlet.effect == Effect::Read => return Err(self.no_list(&ask)),
                _ => {}
            }
            // The next page is the same command posted to another address.
            match body["@odata.nextLink"].as_str() {
                Some(link) => ask.page = Some(self.next_page(&ask, link)?),
                None => return Ok(rows),
            }
        }
        Err(self.fault(
            &ask,
            FaultClass::Unsupported,
            format!("the listing has more than {PAGES_MAX} pages"),
        ))
    }

    /// One page of what a cmdlet gives, and where the next one is. `from` is what
    /// the page before said, to this attempt or an earlier one.
    pub(crate) async fn invoke_page(
        &self,
        call: &mut Call,
        cmdlet: &Cmdlet,
        from: Option<&str>,
    ) -> Answer<(Vec<Value>, Option<String>)> {
        let mut ask = self.ask_of(cmdlet);
        if let Some(link) = from {
            ask.page = Some(self.next_page(&ask, link)?);
        }
        let mut body = self.send(call, &ask).await?.body;
        let Some(Value::Array(rows)) = body.get_mut("value").map(Value::take) else {
            return Err(self.no_list(&ask));
        };
        let next = text_in(&body["@odata.nextLink"]);
        if next.is_some() && next.as_deref() == from {
            return Err(self.fault(
                &ask,
                FaultClass::Transient,
                "the listing goes round in a circle; it is read again",
            ));
        }
        Ok((rows, next))
    }

    /// Runs a cmdlet that reads, and gives its objects, however many pages they are.
    ///
    /// A long list that is begun anew at each passing fault would never end. So what
    /// was read is kept, and a page that met a fault that passes is asked for again,
    /// as in [`Api::invoke_all`].
    pub(crate) async fn invoke_list(&self, call: &mut Call, cmdlet: &Cmdlet) -> Answer<Vec<Value>> {
        let mut rows = Vec::new();
        let mut from: Option<String> = None;
        let mut fruitless = 0;
        for _ in 0..PAGES_MAX {
            match self.invoke_page(call, cmdlet, from.as_deref()).await {
                Ok((page, next)) => {
                    rows.extend(page);
                    if next.is_none() {
                        return Ok(rows);
                    }
                    (from, fruitless) = (next, 0);
                }
                Err(fault) => {
                    let Some(pause_ms) = pause_ms(&fault) else {
                        return Err(fault);
                    };
                    fruitless += 1;
                    if fruitless == FRUITLESS_MAX || !pause(call, pause_ms).await {
                        return Err(fault);
                    }
                }
            }
        }
        Err(self.fault_in(
            cmdlet.name,
            FaultClass::Unsupported,
            format!("the listing has more than {PAGES_MAX} pages"),
        ))
    }

    /// Runs several cmdlets that read, and answers for each in the same order, in
    /// batches of Exchange's own.
    ///
    /// A look at many mailboxes is long, and begun anew at each passing fault it
    /// would never end. So what was answered is kept, and what met a fault that
    /// passes is asked again after the pause that the vendor wants, while that
    /// leaves most of the attempt's time and something new comes of it.
    pub(crate) async fn invoke_all(&self, call: &mut Call, cmdlets: Vec<Cmdlet>) -> Vec<Answer<Vec<Value>>> {
        let mut answers: Vec<Option<Answer<Vec<Value>>>> = vec![None; cmdlets.len()];
        let mut fruitless = 0;
        loop {
            let left: Vec<usize> = (0..answers.len()).filter(|i| answers[*i].is_none()).collect();
            let mut met: Option<Fault> = None;
            for chunk in left.chunks(PARTS_MAX) {
                let some: Vec<&Cmdlet> = chunk.iter().map(|i| &cmdlets[*i]).collect();
                for (i, answer) in chunk.iter().zip(self.invoke_batch(call, &some).await) {
                    match answer {
                        Err(fault) if pause_ms(&fault).is_some() => met = longer(met, fault),
                        answer => answers[*i] = Some(answer),
                    }
                }
                // Who is asked to wait does not go on with the next ones.
                if met.is_some() {
                    break;
                }
            }
            let Some(met) = met else { break };
            let more = left.iter().any(|i| answers[*i].is_some());
            fruitless = if more { 0 } else { fruitless + 1 };
            let pause_ms = pause_ms(&met).unwrap_or_default();
            if fruitless == FRUITLESS_MAX || !pause(call, pause_ms).await {
                return answers
                    .into_iter()
                    .map(|a| a.unwrap_or_else(|| Err(met.clone())))
                    .collect();
            }
        }
        answers.into_iter().flatten().collect()
    }

    /// One batch, with the answer of each part.
    async fn invoke_batch(&self, call: &mut Call, cmdlets: &[&Cmdlet]) -> Vec<Answer<Vec<Value>>> {
        // The parts bear whole addresses.
        if let Err(fault) = self.learn_tenant(call).await {
            return cmdlets.iter().map(|_| Err(fault.clone())).collect();
        }
        let parts: Vec<Value> = cmdlets
            .iter()
            .enumerate()
            .map(|(i, c)| {
                json!({
                    "id": i.to_string(),
                    "method": "POST",
                    "url": format!("{}{}", self.exchange_base(), c.path().sent()),
                    "headers": {"Content-Type": "application/json; charset=utf-8", "X-CmdletName": c.name},
                    "body": {"CmdletInput": {"CmdletName": c.name, "Parameters": c.parameters}},
                })
            })
            .collect();
        let mut ask = Ask::post(Path::at("$batch"), EXCHANGE, Some(json!({"requests": parts})))
            .to(Service::Exchange)
            .header("prefer", "odata.continue-on-error")
            .header("parameter-based-routing", "true");
        ask.effect = Effect::Read;
        ask.named = cmdlets.first().map(|c| c.name);
        let (mut reply, token) = match self.send_with(call, &ask).await {
            Ok(sent) => sent,
            Err(fault) => return cmdlets.iter().map(|_| Err(fault.clone())).collect(),
        };
        let mut responses = match reply.body["responses"].take() {
            Value::Array(responses) => responses,
            _ => Vec::new(),
        };
        let now = call.now();
        let mut answers = Vec::with_capacity(cmdlets.len());
        for (i, cmdlet) in cmdlets.iter().enumerate() {
            let part = responses.iter_mut().find(|r| r["id"] == i.to_string().as_str());
            let status = part.as_ref().and_then(|p| u16::try_from(p["status"].as_u64()?).ok());
            let (Some(part), Some(status)) = (part, status) else {
                answers.push(self.invoke(call, (*cmdlet).clone()).await);
                continue;
            };
            // A dead token is renewed, and a second page asked for, by itself.
            if status == UNAUTHORIZED || !part["body"]["@odata.nextLink"].is_null() {
                answers.push(self.invoke(call, (*cmdlet).clone()).await);
                continue;
            }
            if status == TOO_MANY_REQUESTS {
                metrics::throttled(super::VENDOR, Service::Exchange.source());
            }
            let headers = headers_of(&part["headers"]);
            let judged = self.judge_part(&self.ask_of(cmdlet), status, headers, part["body"].take(), &token, now);
            answers.push(match judged {
                Ok(mut reply) => match reply.body["value"].take() {
                    Value::Array(rows) => Ok(rows),
                    _ => Err(self.no_list(&self.ask_of(cmdlet))),
                },
                Err(fault) if fault.code.as_deref() == Some(ALREADY_CODE) => Ok(Vec::new()),
                Err(fault) => Err(fault),
            });
        }
        answers
    }

    /// Runs a cmdlet that must give one object; none when it says that the
    /// object is not there.
    pub(crate) async fn invoke_one(&self, call: &mut Call, cmdlet: Cmdlet) -> Answer<Option<Value>> {
        match self.invoke(call, cmdlet).await {
            Ok(rows) => Ok(rows.into_iter().next()),
            Err(fault) if fault.class == FaultClass::Absent => Ok(None),
            Err(fault) => Err(fault),
        }
    }
}

/// Waits so long, and says so, unless that is more than an attempt can spare.
async fn pause(call: &Call, pause_ms: i64) -> bool {
    if call.clock().real(pause_ms) > call.remaining() / PAUSE_SHARE {
        return false;
    }
    let until = call.now().plus(pause_ms);
    call.clock().sleep_until(until).await;
    true
}

/// How long to wait before it is asked again, if the fault passes by itself.
fn pause_ms(fault: &Fault) -> Option<i64> {
    match fault.class {
        FaultClass::Throttled { retry_after_ms } => Some(retry_after_ms.unwrap_or(PAUSE_MS)),
        FaultClass::Transient => Some(PAUSE_MS),
        _ => None,
    }
}

/// The fault that wants the longer pause.
fn longer(met: Option<Fault>, fault: Fault) -> Option<Fault> {
    match met {
        Some(met) if pause_ms(&met) >= pause_ms(&fault) => Some(met),
        _ => Some(fault),
    }
}

/// The sentences that decide, in lower case and in this order.
const SENTENCES: &[(&str, FaultClass, &str)] = &[
    (
        "from your on-premises organization",
        FaultClass::Blocked,
        "the object is mastered by the on-premises directory; change it there and let it synchronise",
    ),
    (
        "server is busy",
        FaultClass::Throttled { retry_after_ms: None },
        "Exchange is busy and asks to be called less often",
    ),
    (
        "micro delay",
        FaultClass::Throttled { retry_after_ms: None },
        "Exchange asks to be called less often",
    ),
    (
        "try again later",
        FaultClass::Transient,
        "Exchange failed for now; it is tried again",
    ),
    (
        "transient",
        FaultClass::Transient,
        "Exchange failed for now; it is tried again",
    ),
    (
        "exceeds the limit",
        FaultClass::Blocked,
        "the mailbox is larger than a shared one may be; shrink it, or keep its licence",
    ),
    (
        "have the license",
        FaultClass::Blocked,
        "the mailbox has no licence that allows this; give it Exchange Online Plan 2 or Archiving",
    ),
    (
        "is a shared mailbox",
        FaultClass::Blocked,
        "a shared mailbox can no longer do this",
    ),
    (
        "matches multiple entries",
        FaultClass::Blocked,
        "several recipients bear the name that the entry shows; take it off by hand, by the right one's address",
    ),
    (
        "not supported by the device",
        FaultClass::Unsupported,
        "the phone cannot do this",
    ),
    (
        "not recognized as the name of a cmdlet",
        FaultClass::Denied,
        "the application's Exchange role does not include this command; give it the role Exchange Administrator",
    ),
    ("couldn't be found", FaultClass::Absent, "Exchange has no such object"),
    ("could not be found", FaultClass::Absent, "Exchange has no such object"),
    (
        "sufficient permissions",
        FaultClass::Denied,
        "the application's Exchange role does not allow this; give it the role Exchange Administrator",
    ),
];

/// The exceptions that decide where no sentence did.
const EXCEPTIONS: &[(&str, FaultClass, &str)] = &[
    (
        "ManagementObjectNotFoundException",
        FaultClass::Absent,
        "Exchange has no such object",
    ),
    (
        "OverBudgetException",
        FaultClass::Throttled { retry_after_ms: None },
        "Exchange asks to be called less often",
    ),
    (
        "ServerBusyException",
        FaultClass::Throttled { retry_after_ms: None },
        "Exchange is busy and asks to be called less often",
    ),
    (
        "ADTransientException",
        FaultClass::Transient,
        "Exchange failed for now; it is tried again",
    ),
    (
        "CmdletAccessDeniedException",
        FaultClass::Denied,
        "the application's Exchange role does not allow this; give it the role Exchange Administrator",
    ),
];

/// Reads a refusal of Exchange.
pub(crate) fn refusal(
    status: StatusCode,
    headers: &HeaderMap,
    body: &Value,
    now: Timestamp,
    effect: Effect,
    need: Need,
    granted: Option<bool>,
) -> Refusal {
    let texts = texts(&body["error"]);
    let exception = exception(&body["error"], &texts);
    let sentence = texts.join("\n").to_lowercase();
    if ALREADY.iter().any(|part| sentence.contains(part)) {
        return Refusal {
            class: FaultClass::Absent,
            code: Some(ALREADY_CODE.into()),
            detail: "there was nothing left to remove".into(),
        };
    }
    let read = match status.as_u16() {
        401 | 408 | 429 | 502..=504 => None,
        _ => SENTENCES
            .iter()
            .find(|(part, ..)| sentence.contains(part))
            .or_else(|| EXCEPTIONS.iter().find(|(name, ..)| exception.as_deref() == Some(*name))),
    };
    match read {
        Some((_, class, detail)) => {
            let class = match class {
                FaultClass::Throttled { .. } => FaultClass::Throttled {
                    retry_after_ms: retry_after_ms(headers, now),
                },
                other => *other,
            };
            Refusal {
                class,
                code: exception,
                detail: (*detail).to_owned(),
            }
        }
        None => {
            let refusal = fault::of_answer(status, headers, body, now, effect, need, granted);
            Refusal {
                code: exception.or(refusal.code),
                ..refusal
            }
        }
    }
}

/// Every sentence in an error.
fn texts(error: &Value) -> Vec<&str> {
    let mut found: Vec<&str> = error["details"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|d| d["message"].as_str())
        .collect();
    found.extend(error["message"].as_str());
    for inner in ["internalException", "internalexception"] {
        found.extend(error["innererror"][inner]["message"].as_str());
    }
    found
}

/// The short name of the exception: `Ex12345|Microsoft.….NameException|text` in
/// a detail, or the inner error's type, or the code.
fn exception(error: &Value, texts: &[&str]) -> Option<String> {
    let piped = texts.iter().find_map(|text| {
        let mut parts = text.splitn(3, '|');
        parts.next()?;
        let name = parts.next()?;
        parts.next().is_some().then_some(name)
    });
    let inner = ["internalException", "internalexception"]
        .iter()
        .find_map(|i| error["innererror"][*i]["type"].as_str());
    let name = piped.or(inner).or_else(|| error["code"].as_str())?;
    clean_code(name.rsplit('.').next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &Value) -> Refusal {
        let status = StatusCode::from_u16(status).unwrap();
        refusal(
            status,
            &HeaderMap::new(),
            body,
            Timestamp(0),
            Effect::Write,
            EXCHANGE,
            Some(true),
        )
    }

    fn detailed(exception: &str, text: &str) -> Value {
        json!({"error": {"code": "BadRequest", "message": "Error executing request. ", "details": [
            {"code": "Context", "target": "", "message": format!("Ex6F9304|Microsoft.Exchange.Configuration.Tasks.{exception}|{text}")}]}})
    }

    #[test]
    fn each_refusal_is_of_its_class() {
        use FaultClass::*;
        let table = [
            (
                "ManagementObjectNotFoundException",
                "The operation couldn't be performed because object 'canary' couldn't be found on 'X'.",
                Absent,
            ),
            (
                "ACLException",
                "Can't remove the access control entry on the object \"canary\" because the ACE doesn't exist on the object.",
                Absent,
            ),
            (
                "UserNotFoundInPermissionEntryException",
                "There is no existing permission entry found for user: canary.",
                Absent,
            ),
            (
                "InvalidOperationInDehydratedContextException",
                "The action can't be performed on the object 'canary' because the object is being synchronized from your on-premises organization.",
                Blocked,
            ),
            (
                "RecipientTaskException",
                "The mailbox can't be converted to a shared mailbox because its size exceeds the limit of 50 GB.",
                Blocked,
            ),
            ("OverBudgetException", "budget", Throttled { retry_after_ms: None }),
            ("Whatever", "The server is busy.", Throttled { retry_after_ms: None }),
            ("Whatever", "nonsense about canary", Rejected),
        ];
        for (exception, text, class) in table {
            let refusal = read(400, &detailed(exception, text));
            assert_eq!(refusal.class, class, "{text}");
            assert!(!refusal.detail.contains("canary"));
            let code = refusal.code.unwrap();
            assert!(code == exception || code == ALREADY_CODE, "{code}");
        }
    }

    #[test]
    fn an_inner_exception_is_read_too() {
        let body = json!({"error": {"code": "NotFound", "innererror": {"internalexception": {
            "type": "Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException", "message": "couldn't be found"}}}});
        let refusal = read(404, &body);
        assert_eq!(
            (refusal.class, refusal.code.as_deref()),
            (FaultClass::Absent, Some("ManagementObjectNotFoundException"))
        );
    }

    #[test]
    fn an_empty_401_asks_for_the_role() {
        let refusal = read(401, &Value::Null);
        assert_eq!(refusal.class, FaultClass::Denied);
        assert!(refusal.detail.contains("Exchange Administrator"), "{}", refusal.detail);
    }
}
