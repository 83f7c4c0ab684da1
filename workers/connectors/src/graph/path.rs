//! Graph's addresses, and what may be deleted by them.
//!
//! Nothing is deleted by its path. What may be deleted is a [`Deletable`], and
//! no variant of it renders an account's own address. The reason is a trap in
//! Graph: `DELETE /groups/{g}/members/{u}` without the last `/$ref` deletes
//! *the user*. [`MemberRef`] alone renders that suffix, and cannot leave it out.

use crate::MethodSort;
pub(crate) use crate::path::Path;

impl Path {
    /// `/users/{id}`.
    pub(crate) fn user(id: &str) -> Self {
        Self::at("users").id(id)
    }

    /// `$select`.
    pub(crate) fn select(self, fields: &'static str) -> Self {
        self.with("$select", fields)
    }

    /// `$filter`.
    pub(crate) fn filter(self, filter: &Filter) -> Self {
        self.with("$filter", &filter.0)
    }

    /// `$top`.
    pub(crate) fn top(self, n: u32) -> Self {
        self.with("$top", &n.to_string())
    }
}

/// An OData filter whose values are quoted by construction.
#[derive(Debug, Clone)]
pub(crate) struct Filter(String);

fn quote(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

impl Filter {
    /// `field eq 'value'`.
    pub(crate) fn eq(field: &'static str, value: &str) -> Self {
        Self(format!("{field} eq {}", quote(value)))
    }

    /// `field eq true`.
    pub(crate) fn is_true(field: &'static str) -> Self {
        Self(format!("{field} eq true"))
    }

    /// `contains(field,'value')`.
    pub(crate) fn contains(field: &'static str, value: &str) -> Self {
        Self(format!("contains({field},{})", quote(value)))
    }

    /// `field/any(x:x eq 'value')`.
    pub(crate) fn any(field: &'static str, value: &str) -> Self {
        Self(format!("{field}/any(x:x eq {})", quote(value)))
    }
}

/// Which list of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Members,
    Owners,
}

/// Somebody's entry in a group's list: not the group, and not the person.
#[derive(Debug, Clone)]
pub(crate) struct MemberRef {
    group: String,
    side: Side,
    who: String,
}

impl MemberRef {
    pub(crate) fn new(group: &str, side: Side, who: &str) -> Self {
        Self {
            group: group.to_owned(),
            side,
            who: who.to_owned(),
        }
    }

    fn list(&self) -> Path {
        Path::at("groups").id(&self.group).then(match self.side {
            Side::Members => "members",
            Side::Owners => "owners",
        })
    }

    /// The entry's address, which ends in `/$ref`.
    fn entry(&self) -> Path {
        self.list().id(&self.who).then("$ref")
    }

    /// Where an entry is added.
    pub(crate) fn addition(&self) -> Path {
        self.list().then("$ref")
    }

    /// The person that an addition names, in its body.
    pub(crate) fn who(&self) -> &str {
        &self.who
    }
}

/// Everything that this connector can delete.
#[derive(Debug, Clone)]
pub(crate) enum Deletable {
    /// An entry in a group's list.
    Member(MemberRef),
    /// A directory role's assignment.
    Role { assignment: String },
    /// A sign-in method.
    Method {
        user: String,
        sort: MethodSort,
        method: String,
    },
    /// A consent.
    Grant { grant: String },
    /// An application role's assignment.
    AppRole { user: String, assignment: String },
}

impl Deletable {
    /// Its address; none when Graph has no way to delete it.
    pub(crate) fn path(&self) -> Option<Path> {
        Some(match self {
            Self::Member(entry) => entry.entry(),
            Self::Role { assignment } => Path::at("roleManagement")
                .then("directory/roleAssignments")
                .id(assignment),
            Self::Method { user, sort, method } => Path::user(user)
                .then("authentication")
                .then(collection(*sort)?)
                .id(method),
            Self::Grant { grant } => Path::at("oauth2PermissionGrants").id(grant),
            Self::AppRole { user, assignment } => Path::user(user).then("appRoleAssignments").id(assignment),
        })
    }
}

/// The collection that a method of this sort is deleted from.
fn collection(sort: MethodSort) -> Option<&'static str> {
    Some(match sort {
        MethodSort::Email => "emailMethods",
        MethodSort::Phone => "phoneMethods",
        MethodSort::Fido2 => "fido2Methods",
        MethodSort::Authenticator => "microsoftAuthenticatorMethods",
        MethodSort::SoftwareOath => "softwareOathMethods",
        MethodSort::TemporaryPass => "temporaryAccessPassMethods",
        MethodSort::WindowsHello => "windowsHelloForBusinessMethods",
        MethodSort::Platform => "platformCredentialMethods",
        MethodSort::External => "externalAuthenticationMethods",
        MethodSort::Other => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::Url;

    fn on_the_wire(path: &Path) -> Url {
        Url::parse(&format!("https://graph.test/v1.0{}", path.sent())).unwrap()
    }

    #[test]
    fn a_hostile_id_stays_in_its_segment() {
        for id in [
            "o'brien@x.test",
            "a+b",
            "ann_x.test#EXT#@y.test",
            "../../groups",
            "%27",
            "a/b?c=d&e#f",
            "ü ",
            "a\\b",
            "..%2f..",
        ] {
            let url = on_the_wire(&Path::user(id).then("manager"));
            let segments: Vec<_> = url.path_segments().unwrap().collect();
            assert_eq!(segments.len(), 4, "{id} → {url}");
            assert_eq!((segments[0], segments[1], segments[3]), ("v1.0", "users", "manager"));
            let read = percent_encoding::percent_decode_str(segments[2]).decode_utf8().unwrap();
            assert_eq!(read, id);
            assert_eq!((url.query(), url.fragment()), (None, None));
        }
    }

    #[test]
    fn ids_that_are_no_segment_make_the_path_unsound() {
        for id in ["", ".", "..", "..."] {
            assert!(!Path::user(id).is_sound(), "{id}");
        }
        assert!(Path::user("a.b").is_sound());
    }

    #[test]
    fn a_hostile_value_stays_in_its_quotes() {
        for (value, quoted) in [
            ("o'brien@x.test", "'o''brien@x.test'"),
            ("x' or 1 eq 1 or 'a' eq 'a", "'x'' or 1 eq 1 or ''a'' eq ''a'"),
            ("a+b&$top=1#x", "'a+b&$top=1#x'"),
            ("%27", "'%27'"),
        ] {
            let url = on_the_wire(&Path::at("users").filter(&Filter::eq("mail", value)).select("id"));
            let pairs: Vec<_> = url.query_pairs().collect();
            assert_eq!(pairs.len(), 2, "{url}");
            assert_eq!(
                (&*pairs[0].0, &*pairs[0].1),
                ("$filter", format!("mail eq {quoted}").as_str())
            );
            assert!(
                !url.as_str().contains('+'),
                "a bare plus would be read as a blank: {url}"
            );
        }
    }

    #[test]
    fn what_is_shown_names_nobody() {
        let path = Path::user("canary@x.test")
            .then("events")
            .id("canary")
            .filter(&Filter::eq("mail", "canary"));
        assert_eq!(path.shown(), "/users/{id}/events/{id}");
    }

    #[test]
    fn a_member_is_deleted_by_reference_alone() {
        for side in [Side::Members, Side::Owners] {
            let path = Deletable::Member(MemberRef::new("g", side, "u")).path().unwrap();
            assert!(path.sent().ends_with("/u/$ref"), "{}", path.sent());
            assert!(path.shown().ends_with("/{id}/$ref"));
        }
    }

    #[test]
    fn nothing_that_can_be_deleted_is_an_account() {
        let all = [
            Deletable::Member(MemberRef::new("g", Side::Members, "u")),
            Deletable::Role { assignment: "a".into() },
            Deletable::Method {
                user: "u".into(),
                sort: MethodSort::Phone,
                method: "m".into(),
            },
            Deletable::Grant { grant: "g".into() },
            Deletable::AppRole {
                user: "u".into(),
                assignment: "a".into(),
            },
        ];
        for what in all {
            let path = what.path().unwrap();
            let shown = path.shown();
            assert!(
                shown != "/users/{id}" && shown != "/groups/{id}" && !shown.ends_with("members/{id}"),
                "{shown}"
            );
        }
        let unknown = Deletable::Method {
            user: "u".into(),
            sort: MethodSort::Other,
            method: "m".into(),
        };
        assert!(unknown.path().is_none());
    }
}
