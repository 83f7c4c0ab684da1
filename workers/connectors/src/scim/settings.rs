//! Where an application's SCIM service is, as whom it is asked, and how it
//! differs from the others.

use crate::client_credentials::Grant;
use crate::http::HttpError;
use offboard_domain::System;
use offboard_runtime::Secret;
use std::fmt;

/// An application.
#[derive(Debug, Clone)]
pub struct ScimSettings {
    /// The system's name in the tenant's configuration.
    pub system: System,
    /// The base address of its SCIM service, to which `/Users` is added.
    pub url: String,
    /// As whom.
    pub access: ScimAccess,
    /// Further authorities that its certificate may be from, PEM.
    pub authority_pem: Option<Vec<u8>>,
    /// By what it knows people. An account that answers to any of these is his.
    pub matched: Vec<MatchBy>,
    /// How it ends an account.
    pub profile: Profile,
}

/// As whom an application is asked.
#[derive(Clone)]
pub enum ScimAccess {
    /// With a token that it gave out once (RFC 6750).
    Token(Secret),
    /// With tokens that are asked for with an application's own secret.
    Application {
        /// Where tokens are asked for.
        token_url: String,
        /// The application that asks.
        client_id: String,
        /// Its secret.
        secret: Secret,
        /// What is asked for; none: whatever it may.
        scope: Option<String>,
    },
}

impl fmt::Debug for ScimAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "ScimAccess::Token",
            Self::Application { .. } => "ScimAccess::Application",
        })
    }
}

impl ScimAccess {
    pub(super) fn grant(&self) -> Option<Grant> {
        match self {
            Self::Token(_) => None,
            Self::Application {
                token_url,
                client_id,
                secret,
                scope,
            } => Some(Grant {
                url: token_url.clone(),
                client_id: client_id.clone(),
                secret: secret.clone(),
                scope: scope.clone(),
            }),
        }
    }
}

/// By what an application knows people (RFC 7643 sections 3.1, 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchBy {
    /// `userName` is one of his sign-in names or addresses.
    UserName,
    /// One of its `emails` is.
    Emails,
    /// `externalId` is his number elsewhere.
    ExternalId(ExternalId),
}

impl MatchBy {
    /// The attribute's name, as the configuration has it too.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::UserName => "userName",
            Self::Emails => "emails",
            Self::ExternalId(_) => "externalId",
        }
    }

    /// The attribute that a filter compares.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Emails => "emails.value",
            other => other.word(),
        }
    }
}

/// What an application's `externalId` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExternalId {
    /// The id of the account in the directory.
    DirectoryId,
    /// HR's number.
    EmployeeId,
}

/// How an application ends an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// `PATCH` replaces `active` (RFC 7644 section 3.5.2.3).
    Patch {
        /// Whether the operation names its path; else its value is an object.
        path: bool,
        /// Whether `active` is a text, `"False"`.
        text: bool,
    },
    /// `PUT` of the whole resource (RFC 7644 section 3.5.1).
    Put {
        /// Whether `active` is a text, `"False"`.
        text: bool,
    },
    /// `DELETE` (RFC 7644 section 3.6): there is no `active`.
    Delete,
}

/// An application that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ScimOpenError {
    /// An address is not one that may be used.
    #[error("failed to use the {which} '{given}': {why}")]
    Address {
        /// Which one.
        which: &'static str,
        /// What was given.
        given: String,
        /// The rule that it breaks.
        why: &'static str,
    },
    /// The authority for its certificate.
    #[error("failed to use the authority in 'ca'")]
    Authority(#[from] HttpError),
}
