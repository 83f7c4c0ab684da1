//! What a vendor can be asked: small traits of primitives, and the vendors
//! that implement them.
//!
//! A primitive reads or writes *one thing for one subject*. A kind of task is
//! a procedure over an area, written once in `workers`; a vendor implements
//! the areas it has. So there are N + M files, not N × M, and nothing here
//! knows what a kind is for: [`Connector::claims`] only lists which kinds the
//! vendor's primitives suffice for.
//!
//! Laws that every implementation upholds:
//!
//! 1. Reading writes nothing. A [`Call`] that is not allowed to write refuses
//!    every write before a byte is sent.
//! 2. A write that is repeated leaves the state that it left the first time,
//!    unless its documentation says *once*.
//! 3. Only the named subject is touched; a write to a group, a site or a
//!    calendar changes the subject's own entry there and nothing else.
//! 4. Ids that come in are immutable ids of the vendor. No primitive takes a
//!    name, but for [`Directory::find`], [`Apps::find`], [`Workspace::find`] and [`Fleet::of`];
//!    a page of notes is looked for by its title, which holds the case's marker.
//! 5. Every answer leaves a [`Receipt`](offboard_domain::Receipt) in the call;
//!    every failure is a [`Fault`](offboard_domain::Fault) of the right class.
//!    Neither carries personal data or a secret, nor does any log line.
//! 6. What was sent without an answer is `Unknown` for a write and `Transient`
//!    for a read; what was never sent is `Transient`.
//! 7. Nothing outlives the call's deadline, and every answer is bounded in size.
//! 8. Every future may be dropped at any await without leaving anything behind
//!    but what the vendor has already accepted.

mod answered;
pub mod area;
pub mod autotask;
mod call;
mod client_credentials;
pub mod confluence;
mod connector;
pub mod connectwise;
pub mod google;
pub mod graph;
pub mod halo;
mod http;
pub mod imap;
pub mod ldap;
mod measured;
pub mod ninja;
mod offer;
mod path;
pub mod program;
pub mod scim;
mod ticketing;
mod token_slots;

pub use area::apps::{AppAccount, Apps, Ending, Known, Matches};
pub use area::desk::{Desk, NewFile, NewTicket, TITLE_MAX_CHARS, Ticket, TicketFile};
pub use area::devices::{
    ActionState, Autopilot, Device, DeviceAction, DeviceObject, DeviceRef, Devices, ManagedDevice, Owner, RecoveryKey,
    RecoveryKeySort, RecoveryKeys, UnlockCode,
};
pub use area::directory::{
    Account, AccountChange, Application, Directory, ELIGIBLE_ROLES, Found, Group, GroupNature, Held, Holding,
    MASTERED_ELSEWHERE, MethodSort, OwnedSort, PROTECTED_TARGET, Removable, RoleOrigin,
};
pub use area::documents::{Documents, Site, SiteAdministrator};
pub use area::fleet::{
    Candidate, Endpoint, EndpointClass, EndpointStatus, Fleet, FleetOffer, FoundEndpoints, Mark, Marking, ScriptRun,
    Silence, Whose,
};
pub use area::licenses::{HeldLicence, LicenceOrigin, Licenses, PoolLine};
pub use area::mail::{MailFolder, MailMessage, MailOwner, MailPage, MailReader, MailSink};
pub use area::mailboxes::{
    Attached, Attachment, AutomaticReply, Delegation, DelegationRight, Direction, ForwardTo, Forwarding, Holds,
    InboxRule, Mailbox, MailboxChange, MailboxRight, MailboxSettings, MailboxUsage, Mailboxes, Meeting, MobileDevice,
    MobileWipe, Protocol, SIZE_NOT_SAID, SharedFolder,
};
pub use area::notes::{Notes, NotesPage, NotesStatus};
pub use area::premises::{Computer, Footing, Premises, Protection};
pub use area::scripts::{Errand, ScriptStanding, ScriptState, Scripts};
pub use area::workspace::{
    Absence, Consent, FileTransfer, FileTransfers, Laptop, Laptops, MailChange, Member, MemberChange, MemberHolds,
    Phone, Phones, SharedDrives, Workspace, WorkspaceMail, WorkspaceMailSettings,
};
pub use call::{Call, READ_RECEIPTS_MAX};
pub use connector::{Connector, Finding, Severity};
pub use offer::{OFFERS, Offer};

/// What every primitive answers.
pub type Answer<T> = Result<T, offboard_domain::Fault>;
