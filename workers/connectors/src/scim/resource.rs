//! One account as SCIM writes it (RFC 7643 sections 3.1, 4.1): read with the
//! liberties that applications take, written as the profile says.

use super::settings::{MatchBy, Profile};
use crate::AppAccount;
use offboard_domain::ObjectId;
use serde_json::{Value, json};

const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// The account in an answer; none when it has no id. `etag` is the answer's header.
pub(super) fn account(whole: Value, etag: Option<String>) -> Option<AppAccount> {
    let id = text(&whole["id"])?;
    let emails = match &whole["emails"] {
        Value::Array(emails) => emails
            .iter()
            .filter_map(|e| text(e).or_else(|| text(&e["value"])))
            .collect(),
        _ => Vec::new(),
    };
    Some(AppAccount {
        id: ObjectId::from(id.as_str()),
        user_name: text(&whole["userName"]),
        emails,
        external_id: text(&whole["externalId"]),
        active: flag(&whole["active"]),
        created: text(&whole["meta"]["created"]),
        version: etag.or_else(|| text(&whole["meta"]["version"])),
        whole,
    })
}

/// A text; some applications write ids as numbers.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(s) if !s.is_empty() => Some(s.clone()),
        Value::Number(n) => Some(n.to_string()),
        _ => None,
    }
}

/// A yes or no; some applications write it as a word.
fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(b) => Some(*b),
        Value::String(s) if s.eq_ignore_ascii_case("true") => Some(true),
        Value::String(s) if s.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// Whether the account really has this value: a filter may be ignored, or be
/// taken more loosely than it says. Names and addresses are compared without
/// regard to case, numbers exactly (RFC 7643 sections 3.1, 4.1.1).
pub(super) fn answers_to(account: &AppAccount, by: MatchBy, value: &str) -> bool {
    let same = |s: &String| s.to_lowercase() == value.to_lowercase();
    match by {
        MatchBy::UserName => account.user_name.as_ref().is_some_and(same),
        MatchBy::Emails => account.emails.iter().any(same),
        MatchBy::ExternalId(_) => account.external_id.as_deref() == Some(value),
    }
}

/// Whether the application may have found him, and does not show by what: it lists an
/// account without the attribute that was asked for, and none with another value of it.
/// Where it lists others with other values, it heeds no filter and shows the attribute,
/// and whoever is shown without it has none.
pub(super) fn hides(listed: &[AppAccount], by: MatchBy, value: &str) -> bool {
    let is_shown = |account: &AppAccount| match by {
        MatchBy::UserName => account.user_name.is_some(),
        MatchBy::Emails => !account.emails.is_empty(),
        MatchBy::ExternalId(_) => account.external_id.is_some(),
    };
    let is_shown_as_another = |account: &AppAccount| is_shown(account) && !answers_to(account, by, value);
    !listed.iter().all(is_shown) && !listed.iter().any(is_shown_as_another)
}

/// What is sent to deactivate the account; none where it is deleted.
pub(super) fn deactivation(account: &AppAccount, profile: Profile) -> Option<Value> {
    let no = |as_text: bool| if as_text { json!("False") } else { json!(false) };
    match profile {
        Profile::Patch { path: true, text } => Some(json!({
            "schemas": [PATCH_OP],
            "Operations": [{"op": "replace", "path": "active", "value": no(text)}],
        })),
        Profile::Patch { path: false, text } => Some(json!({
            "schemas": [PATCH_OP],
            "Operations": [{"op": "replace", "value": {"active": no(text)}}],
        })),
        Profile::Put { text } => {
            let mut whole = account.whole.clone();
            let object = whole.as_object_mut()?;
            // The application's own to write, and ignored at best.
            object.remove("meta");
            object.remove("groups");
            object.insert("active".to_owned(), no(text));
            Some(whole)
        }
        Profile::Delete => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::ExternalId;
    use super::*;

    fn read(whole: Value) -> AppAccount {
        account(whole, None).unwrap()
    }

    #[test]
    fn accounts_are_read_in_every_spelling() {
        let plain = read(json!({
            "id": "a1", "userName": "Ann@X.test", "externalId": "4711", "active": true,
            "emails": [{"value": "ann@x.test", "type": "work"}, {"value": "a@y.test"}],
            "meta": {"created": "2026-01-01T00:00:00Z", "version": "W/\"3\""},
        }));
        assert_eq!(plain.id.0, "a1");
        assert_eq!(plain.emails, ["ann@x.test", "a@y.test"]);
        assert_eq!((plain.active, plain.version.as_deref()), (Some(true), Some("W/\"3\"")));
        let odd = read(json!({"id": 17, "emails": ["ann@x.test"], "active": "False", "externalId": 4711}));
        assert_eq!((odd.id.0.as_str(), odd.active), ("17", Some(false)));
        assert_eq!(odd.external_id.as_deref(), Some("4711"));
        assert_eq!(odd.emails, ["ann@x.test"]);
        for unsaid in [json!(null), json!("no"), json!(0), json!({"value": false})] {
            assert_eq!(read(json!({"id": "a", "active": unsaid})).active, None);
        }
        for nobody in [json!({}), json!({"id": ""}), json!([]), json!("a1")] {
            assert!(account(nobody, None).is_none());
        }
        let header = account(
            json!({"id": "a", "meta": {"version": "old"}}),
            Some("W/\"4\"".to_owned()),
        );
        assert_eq!(header.unwrap().version.as_deref(), Some("W/\"4\""));
    }

    #[test]
    fn who_answers_to_a_name_is_compared_here() {
        let ann =
            read(json!({"id": "a", "userName": "Ann@X.test", "externalId": "Ab", "emails": [{"value": "A@y.test"}]}));
        let id = MatchBy::ExternalId(ExternalId::EmployeeId);
        assert!(answers_to(&ann, MatchBy::UserName, "ann@x.TEST"));
        assert!(!answers_to(&ann, MatchBy::UserName, "ann@x.tes"));
        assert!(answers_to(&ann, MatchBy::Emails, "a@y.test"));
        assert!(!answers_to(&ann, MatchBy::Emails, "ann@x.test"));
        assert!(answers_to(&ann, id, "Ab") && !answers_to(&ann, id, "ab"));
    }

    #[test]
    fn who_is_listed_without_what_was_asked_for_may_be_he() {
        let shown = |mail: &str| read(json!({"id": mail, "userName": "x", "emails": [{"value": mail}]}));
        let bare = || read(json!({"id": "bare", "userName": "x"}));
        let hidden = |listed: &[AppAccount]| hides(listed, MatchBy::Emails, "A@x.test");
        assert!(hidden(&[bare()]) && hidden(&[bare(), shown("a@x.test")]));
        assert!(!hidden(&[]) && !hidden(&[shown("a@x.test")]));
        // All are listed, whatever is asked for, and their addresses are shown: that one has none.
        assert!(!hidden(&[bare(), shown("b@x.test")]));
        let number = MatchBy::ExternalId(ExternalId::EmployeeId);
        assert!(hides(&[bare()], number, "4711"));
        assert!(!hides(&[bare()], MatchBy::UserName, "a@x.test"));
    }

    #[test]
    fn each_profile_has_its_body() {
        let whole = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", "urn:x:ours"], "id": "a", "userName": "ann",
            "active": true, "urn:x:ours": {"plan": "gold"}, "meta": {"version": "1"}, "groups": [{"value": "g"}],
        });
        let ann = read(whole);
        let body = |profile| deactivation(&ann, profile);
        let patch = |path, text| body(Profile::Patch { path, text }).unwrap();
        let first = |body: Value| body["Operations"][0].clone();
        assert_eq!(
            first(patch(true, false)),
            json!({"op": "replace", "path": "active", "value": false})
        );
        assert_eq!(
            first(patch(true, true)),
            json!({"op": "replace", "path": "active", "value": "False"})
        );
        assert_eq!(
            first(patch(false, false)),
            json!({"op": "replace", "value": {"active": false}})
        );
        assert_eq!(patch(true, false)["schemas"], json!([PATCH_OP]));
        assert_eq!(
            body(Profile::Put { text: false }).unwrap(),
            json!({
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", "urn:x:ours"], "id": "a",
                "userName": "ann", "active": false, "urn:x:ours": {"plan": "gold"},
            })
        );
        assert_eq!(body(Profile::Put { text: true }).unwrap()["active"], json!("False"));
        assert_eq!(body(Profile::Delete), None);
    }
}
