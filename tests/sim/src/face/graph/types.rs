//! What the vendor's description says about types: the properties of each, and
//! the words of each enumeration. Both are distilled from the vendor's published
//! metadata. What the published cut lacks is a belief, written from the vendor's
//! reference pages and libraries; it stands in a file of its own, with its sources.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::Value;

/// The properties of each type, with theirs.
pub(super) type Types = BTreeMap<String, BTreeMap<String, String>>;

const TYPES: &str = include_str!("../../../testdata/graph-types.json");
const WORDS: &str = include_str!("../../../testdata/graph-enums.json");
const BELIEVED: &str = include_str!("../../../testdata/graph-beliefs.json");

/// What is described, and what is believed.
pub(super) struct Described {
    pub(super) types: Types,
    /// The words of each enumeration.
    pub(super) words: BTreeMap<String, Vec<String>>,
}

pub(super) fn described() -> &'static Described {
    static DESCRIBED: OnceLock<Described> = OnceLock::new();
    DESCRIBED.get_or_init(|| {
        let part = "the distilled description is part of the source";
        let believed: Value = serde_json::from_str(BELIEVED).expect(part);
        let mut types: Types = serde_json::from_str(TYPES).expect(part);
        types.extend(serde_json::from_value::<Types>(believed["types"].clone()).expect(part));
        let mut words: BTreeMap<String, Vec<String>> = serde_json::from_str(WORDS).expect(part);
        words.extend(
            serde_json::from_value::<BTreeMap<String, Vec<String>>>(believed["enumerations"].clone()).expect(part),
        );
        Described { types, words }
    })
}

/// What a list is of.
pub(super) fn item_of(kind: &str) -> Option<&str> {
    kind.strip_prefix("Collection(")?.strip_suffix(')')
}

/// Whether the type has this property.
pub(super) fn has_property(kind: &str, name: &str) -> bool {
    described()
        .types
        .get(kind)
        .is_some_and(|properties| properties.keys().any(|key| key.eq_ignore_ascii_case(name)))
}

/// What a user shows when nobody selects; everything else must be asked for.
const USER_DEFAULT: [&str; 11] = [
    "businessPhones",
    "displayName",
    "givenName",
    "id",
    "jobTitle",
    "mail",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "surname",
    "userPrincipalName",
];

/// Whether a property is shown although nobody selected it.
pub(super) fn shown_unasked(kind: &str, name: &str) -> bool {
    if name.starts_with('@') {
        return true;
    }
    match kind {
        "user" => USER_DEFAULT.contains(&name) || !has_property("user", name),
        "group" | "directoryObject" => name != "assignedLicenses",
        "bitlockerRecoveryKey" => name != "key",
        "deviceLocalCredentialInfo" => name != "credentials",
        _ => true,
    }
}
