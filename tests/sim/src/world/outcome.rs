//! What a call comes back with: a value, the vendor's refusal, or silence.

use std::fmt;

/// The answer to one call.
#[derive(Debug, Clone)]
pub struct Reply<T> {
    /// What came back.
    pub result: Result<T, Failure>,
    /// How long it took, in simulated milliseconds.
    pub latency_ms: i64,
    /// The vendor's id of the request, as the journal names it.
    pub request_id: String,
}

impl<T> Reply<T> {
    /// The same answer with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Reply<U> {
        Reply {
            result: self.result.map(change),
            latency_ms: self.latency_ms,
            request_id: self.request_id,
        }
    }
}

/// Why there is no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The vendor answered with a refusal.
    Vendor(VendorError),
    /// The connection broke. Whether the request was applied cannot be told from here.
    Lost,
}

impl Failure {
    /// The HTTP status of a refusal; `None` of silence.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Vendor(error) => Some(error.status),
            Self::Lost => None,
        }
    }

    /// The vendor's code of a refusal; empty of silence.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Vendor(error) => &error.code,
            Self::Lost => "",
        }
    }
}

/// A refusal in the vendor's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VendorError {
    /// The HTTP status.
    pub status: u16,
    /// The vendor's code, as `error.code` shows it.
    pub code: String,
    /// The vendor's text.
    pub message: String,
    /// What `Retry-After` says, in seconds.
    pub retry_after_s: Option<u64>,
}

impl fmt::Display for VendorError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}: {}", self.status, self.code, self.message)
    }
}

impl VendorError {
    /// A refusal with its status, code and text.
    #[must_use]
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.into(),
            retry_after_s: None,
        }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "Request_BadRequest", message)
    }

    pub(crate) fn no_resource(id: &str) -> Self {
        Self::new(
            404,
            "Request_ResourceNotFound",
            format!("Resource '{id}' does not exist or one of its queried reference-property objects are not present."),
        )
    }

    pub(crate) fn no_role_assignment() -> Self {
        Self::new(404, "RoleAssignmentDoesNotExist", "The Role assignment does not exist.")
    }

    pub(crate) fn privileged() -> Self {
        Self::new(
            403,
            "Authorization_RequestDenied",
            "Insufficient privileges to complete the operation.",
        )
    }

    pub(crate) fn synced() -> Self {
        Self::bad_request(
            "Unable to update the specified properties for on-premises mastered Directory Sync objects or objects \
             currently undergoing migration.",
        )
    }

    pub(crate) fn no_mailbox() -> Self {
        Self::new(
            404,
            "MailboxNotEnabledForRESTAPI",
            "The mailbox is either inactive, soft-deleted, or is hosted on-premise.",
        )
    }

    pub(crate) fn no_item() -> Self {
        Self::new(
            404,
            "ErrorItemNotFound",
            "The specified object was not found in the store.",
        )
    }

    pub(crate) fn no_method() -> Self {
        Self::new(
            404,
            "resourceNotFound",
            "The requested authentication method was not found.",
        )
    }

    pub(crate) fn no_managed_device(id: &str) -> Self {
        Self::new(
            404,
            "ResourceNotFound",
            format!("Device with id {id} was not found. It may have been deleted or wiped."),
        )
    }

    /// A cmdlet's refusal: the code is the short name of the exception.
    pub(crate) fn cmdlet(status: u16, exception: &str, message: impl Into<String>) -> Self {
        Self::new(status, exception, message)
    }

    pub(crate) fn no_recipient(identity: &str) -> Self {
        Self::cmdlet(
            404,
            "ManagementObjectNotFoundException",
            format!(
                "The operation couldn't be performed because object '{identity}' couldn't be found on 'EURPR01A001DC01.EURPR01A001.PROD.OUTLOOK.COM'."
            ),
        )
    }
}
