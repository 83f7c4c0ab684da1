//! SharePoint's REST interface, as far as a site's administrators go.
//!
//! `https://{host}/{site}/_api/web/…` is served at `/sharepoint/{host}/{site}/_api/web/…`;
//! the host may be left out.

use serde_json::{Value, json};

use super::odata::Query;
use super::{Answer, Outcome, refuse};
use crate::face::WireRequest;
use crate::world::{Audience, Failure, Reply, SiteUser, VendorError, World};

pub(super) fn answer(world: &mut World, now: i64, request: &WireRequest, parts: &[&str]) -> Outcome {
    let parts = match parts {
        [host, rest @ ..] if host.ends_with(".sharepoint.com") => rest,
        all => all,
    };
    let Some(split) = parts.iter().position(|part| *part == "_api") else {
        return Ok(refuse(
            &VendorError::new(404, "-1, System.ArgumentException", "There is no such page."),
            spell,
            "",
            now,
            0,
        ));
    };
    let (site, rest) = parts.split_at(split);
    let path = format!("/{}", site.join("/"));
    let caller = match super::who_calls(world, now, request, Audience::SharePoint) {
        Ok(caller) => caller,
        Err(error) => {
            return Ok(refuse(
                &VendorError {
                    code: "-2147024891, System.UnauthorizedAccessException".to_owned(),
                    ..error
                },
                spell,
                "",
                now,
                0,
            ));
        }
    };
    let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
    let shape = Shape::wanted(request);
    let query = Query::parse(&request.query);
    let method = request
        .headers
        .get("x-http-method")
        .map_or(request.method.as_str(), String::as_str)
        .to_ascii_uppercase();
    match (method.as_str(), rest) {
        ("POST", ["_api", "web", "ensureuser"]) => {
            let Some(login) = body["logonName"].as_str() else {
                return Ok(refuse(
                    &VendorError::new(
                        400,
                        "-1, Microsoft.SharePoint.Client.InvalidClientQueryException",
                        "The parameter logonName is missing.",
                    ),
                    spell,
                    "",
                    now,
                    0,
                ));
            };
            let reply = world.ensure_site_user(&caller, now, &path, login);
            finish(reply, now, |user| (200, Some(shape.one(show(&user)))))
        }
        ("GET", ["_api", "web", "siteusers"]) => {
            let reply = world.list_site_users(&caller, now, &path);
            finish(reply, now, |users| {
                let only_admins = query
                    .filter()
                    .unwrap_or_default()
                    .iter()
                    .any(|one| one.property == "IsSiteAdmin" && one.value == "true");
                let shown = users.iter().filter(|user| user.admin || !only_admins).map(show);
                (200, Some(shape.many(shown.collect())))
            })
        }
        ("GET", ["_api", "web", by_id]) if number(by_id).is_some() => {
            let wanted = number(by_id).unwrap_or_default();
            let reply = world.list_site_users(&caller, now, &path);
            finish(reply, now, |users| {
                match users.iter().find(|user| user.number == wanted) {
                    Some(user) => (200, Some(shape.one(show(user)))),
                    None => (
                        404,
                        spell(
                            &VendorError::new(
                                404,
                                "-2146232832, Microsoft.SharePoint.SPException",
                                "User cannot be found.",
                            ),
                            "",
                            now,
                        ),
                    ),
                }
            })
        }
        ("MERGE" | "PATCH", ["_api", "web", by_id]) if number(by_id).is_some() => {
            let wanted = number(by_id).unwrap_or_default();
            if !request.headers.contains_key("if-match") {
                return Ok(refuse(
                    &VendorError::new(
                        400,
                        "-1, Microsoft.SharePoint.Client.InvalidClientQueryException",
                        "The request has no IF-MATCH header.",
                    ),
                    spell,
                    "",
                    now,
                    0,
                ));
            }
            let Some(admin) = body["IsSiteAdmin"].as_bool() else {
                return Ok(refuse(
                    &VendorError::new(
                        400,
                        "-1, Microsoft.SharePoint.Client.InvalidClientQueryException",
                        "Only IsSiteAdmin can be changed here.",
                    ),
                    spell,
                    "",
                    now,
                    0,
                ));
            };
            let reply = world.set_site_admin(&caller, now, &path, wanted, admin);
            finish(reply, now, |()| (204, None))
        }
        _ => Ok(refuse(
            &VendorError::new(
                404,
                "-1, Microsoft.SharePoint.Client.ResourceNotFoundException",
                "Cannot find resource for the request.",
            ),
            spell,
            "",
            now,
            0,
        )),
    }
}

/// `getuserbyid(n)`
fn number(segment: &str) -> Option<u32> {
    segment
        .to_ascii_lowercase()
        .strip_prefix("getuserbyid(")?
        .strip_suffix(')')?
        .trim_matches('\'')
        .parse()
        .ok()
}

/// Whether objects are wrapped in `d`, as the older format does.
#[derive(Debug, Clone, Copy)]
struct Shape {
    verbose: bool,
}

impl Shape {
    fn wanted(request: &WireRequest) -> Self {
        Self {
            verbose: request
                .headers
                .get("accept")
                .is_some_and(|accept| accept.contains("odata=verbose")),
        }
    }

    fn one(self, object: Value) -> Value {
        if self.verbose { json!({"d": object}) } else { object }
    }

    fn many(self, objects: Vec<Value>) -> Value {
        if self.verbose {
            json!({"d": {"results": objects}})
        } else {
            json!({"value": objects})
        }
    }
}

fn show(user: &SiteUser) -> Value {
    json!({
        "Email": user.person.mail,
        "Id": user.number,
        "IsSiteAdmin": user.admin,
        "LoginName": format!("i:0#.f|membership|{}", user.person.upn.to_lowercase()),
        "PrincipalType": 1,
        "Title": user.person.display_name,
        "UserPrincipalName": user.person.upn,
    })
}

fn finish<T>(reply: Reply<T>, now: i64, make: impl FnOnce(T) -> (u16, Option<Value>)) -> Outcome {
    let Reply {
        result,
        latency_ms,
        request_id,
    } = reply;
    match result {
        Err(Failure::Lost) => Err(latency_ms),
        Err(Failure::Vendor(error)) => Ok(refuse(&error, spell, &request_id, now, latency_ms)),
        Ok(value) => {
            let (status, body) = make(value);
            Ok(Answer {
                status,
                body,
                latency_ms,
                request_id,
                ..Answer::default()
            })
        }
    }
}

fn spell(error: &VendorError, _request_id: &str, _now: i64) -> Option<Value> {
    Some(json!({"odata.error": {"code": error.code, "message": {"lang": "en-US", "value": error.message}}}))
}
