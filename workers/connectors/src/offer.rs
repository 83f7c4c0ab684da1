//! What each vendor can be asked for at most, before any tenant has one.

use crate::{google, graph, imap, ldap, ninja};
use offboard_domain::{Kind, catalogue};
use std::collections::BTreeSet;

/// A vendor's protocol, and the kinds of task that it suffices for.
pub struct Offer {
    /// What people call it.
    pub title: &'static str,
    /// Its kinds, where everything that it can do is configured and granted.
    pub claims: fn() -> BTreeSet<Kind>,
}

/// All of them.
pub const OFFERS: &[Offer] = &[
    Offer {
        title: "Microsoft 365",
        claims: graph::claims,
    },
    Offer {
        title: "Google Workspace",
        claims: || google::claims(true, true, true),
    },
    Offer {
        title: "Active Directory",
        claims: || ldap::claims(true, true),
    },
    Offer {
        title: "SCIM 2.0",
        claims: || catalogue::apps::KINDS.iter().copied().collect(),
    },
    Offer {
        title: "NinjaOne",
        claims: || ninja::claims(true, true),
    },
    Offer {
        title: "HaloPSA",
        claims: desk,
    },
    Offer {
        title: "ConnectWise",
        claims: desk,
    },
    Offer {
        title: "Autotask",
        claims: desk,
    },
    Offer {
        title: "Confluence",
        claims: || catalogue::knowledge::KINDS.iter().copied().collect(),
    },
    Offer {
        title: "IMAP",
        claims: || imap::CLAIMS.into(),
    },
    Offer {
        title: "Own program",
        claims: || catalogue::script::KINDS.iter().copied().collect(),
    },
];

/// Every desk is told the same.
fn desk() -> BTreeSet<Kind> {
    catalogue::desk::KINDS.iter().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use offboard_domain::Area;

    #[test]
    fn every_kind_that_no_person_does_is_somebodys() {
        for kind in Kind::ALL.iter().copied() {
            let offered = OFFERS.iter().any(|offer| (offer.claims)().contains(&kind));
            assert_eq!(offered, kind.spec().area != Area::Person, "{kind}");
        }
    }
}
