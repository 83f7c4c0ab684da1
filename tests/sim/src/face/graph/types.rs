//! What the vendor's description says about types: the properties of each.
//! The file is distilled from the vendor's published metadata; ten types that
//! the published cut lacks are written from its reference pages.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::Value;

type Types = BTreeMap<String, BTreeMap<String, String>>;

/// All types with their properties' types.
pub(crate) fn all() -> &'static Types {
    static TYPES: OnceLock<Types> = OnceLock::new();
    TYPES.get_or_init(|| {
        let text = include_str!("../../../testdata/graph-types.json");
        let parsed: Value = serde_json::from_str(text).expect("the distilled types are part of the source");
        let object = |value: &Value| value.as_object().cloned().unwrap_or_default();
        object(&parsed)
            .iter()
            .map(|(name, properties)| {
                let properties = object(properties);
                (
                    name.clone(),
                    properties
                        .iter()
                        .map(|(key, kind)| (key.clone(), kind.as_str().unwrap_or_default().to_owned()))
                        .collect(),
                )
            })
            .collect()
    })
}

/// Whether the type has this property.
pub(super) fn has_property(kind: &str, name: &str) -> bool {
    all()
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
