//! `offboard doctor`: says before the first departure what would fail in it.

use super::ImapConnector;
use super::session::{self, Trouble};
use super::settings::{Access, Security};
use crate::{Call, Finding, MailOwner, MailReader as _, Severity};

pub(super) async fn check(connector: &ImapConnector, call: &mut Call) -> Vec<Finding> {
    let settings = &connector.server.settings;
    let at = format!("{}:{}", settings.host, settings.port);
    let mut found = Vec::new();
    let (_, offers) = match session::connect(&connector.server, call.deadline()).await {
        Ok(connected) => connected,
        Err(trouble) => {
            let how = match &trouble {
                Trouble::Unreachable => "mend host and port in the tenant's configuration, or the firewall between".to_owned(),
                Trouble::Tls(_) => "name the host as its certificate does, and the authority with ca = \"file.pem\"; a certificate that has ended must be renewed on the server".to_owned(),
                _ => "look at the mail server's log".to_owned(),
            };
            let fault = connector.fault("connect", trouble);
            found.push(Finding::new(Severity::Problem, format!("{at}: {}", fault.detail), how));
            return found;
        }
    };
    let protected = match settings.security {
        Security::None => "without TLS, on this machine",
        Security::Tls | Security::StartTls => "with TLS, and its certificate is trusted",
    };
    found.push(Finding::new(Severity::Fine, format!("{at} answers {protected}"), ""));
    if let Some(needed) = session::lacking(&settings.access, &offers) {
        found.push(Finding::new(
            Severity::Problem,
            format!("the server does not offer {needed}, which this access needs"),
            "turn it on in the server's configuration, or choose another access",
        ));
        return found;
    }
    if let Access::Token { .. } = &settings.access {
        match connector.server.tokens.get(call.deadline(), None).await {
            Ok(_) => found.push(Finding::new(Severity::Fine, "the application is given a token", "")),
            Err(fault) => {
                let code = fault.code.as_deref().map(|c| format!(" ({c})")).unwrap_or_default();
                found.push(Finding::new(
                    Severity::Problem,
                    format!("the application is given no token{code}"),
                    fault.detail,
                ));
                return found;
            }
        }
    }
    let only = settings.access.only_mailbox();
    let Some(probe) = settings.probe.as_deref().or(only) else {
        found.push(Finding::new(
            Severity::Warning,
            "whether the credential opens a mailbox was not checked",
            "name a mailbox of your own to try it with: probe = \"postmaster@contoso.example\"",
        ));
        return found;
    };
    if let Access::ServiceAccount { .. } = &settings.access {
        match connector.server.token(call, probe, None).await {
            Err(Trouble::Token(fault)) => {
                let code = fault.code.as_deref().map(|c| format!(" ({c})")).unwrap_or_default();
                found.push(Finding::new(
                    Severity::Problem,
                    format!("the service account is given no token for the probe mailbox{code}"),
                    fault.detail,
                ));
                return found;
            }
            _ => found.push(Finding::new(
                Severity::Fine,
                "the service account is given a token for the probe mailbox",
                "",
            )),
        }
    }
    let owner = MailOwner {
        id: None,
        login: Some(probe.to_owned()),
    };
    match connector.folders(call, &owner).await {
        Ok(Some(folders)) => {
            found.push(Finding::new(
                Severity::Fine,
                format!(
                    "the credential opens the probe mailbox; it has {} folders",
                    folders.len()
                ),
                "",
            ));
            if settings.exact_sizes && folders.iter().all(|f| f.bytes.is_none()) {
                found.push(Finding::new(
                    Severity::Warning,
                    "the server does not tell the size of a folder (STATUS=SIZE), so sizes are compared message by message",
                    "nothing need be done; a newer server compares faster",
                ));
            }
        }
        Ok(None) => found.push(Finding::new(
            Severity::Problem,
            "there is no probe mailbox",
            "name one that exists",
        )),
        Err(fault) => found.push(Finding::new(
            Severity::Problem,
            format!("the probe mailbox cannot be opened: {}", fault.detail),
            "give the administrator the right to act for the mailboxes, and look at user and password",
        )),
    }
    found
}
