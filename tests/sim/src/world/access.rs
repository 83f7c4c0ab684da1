//! Who may call: applications, their tokens, and the permissions in them.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::catalogue::{
    EXCHANGE_ADMINISTRATOR, GLOBAL_ADMINISTRATOR, GLOBAL_READER, PRIVILEGED_AUTHENTICATION_ADMINISTRATOR,
};
use super::model::App;
use super::{Actor, Cx, Failure, Op, Reply, Surface, Tenant, VendorError, World};

/// Which service a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Audience {
    /// `https://graph.microsoft.com`
    Graph,
    /// `https://outlook.office365.com`
    Exchange,
    /// `https://{tenant}.sharepoint.com`
    SharePoint,
}

/// An application acting in one tenant, with what it may do there.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The tenant's id.
    pub tenant: String,
    /// The application's client id.
    pub app: String,
    /// Whether it showed a certificate, not a secret.
    pub certificate: bool,
    /// What it calls its own request (`client-request-id`); empty if it does not.
    pub client_request_id: String,
    roles: Arc<BTreeSet<String>>,
    entra_roles: Arc<BTreeSet<String>>,
}

impl Caller {
    /// Whether the permission is in the token.
    #[must_use]
    pub fn has(&self, permission: &str) -> bool {
        self.roles.contains(permission)
    }

    /// Whether the application may act on administrators.
    pub(super) fn may_touch_administrators(&self) -> bool {
        self.entra_roles.contains(GLOBAL_ADMINISTRATOR)
            || self.entra_roles.contains(PRIVILEGED_AUTHENTICATION_ADMINISTRATOR)
    }

    /// Whether this kind of call is permitted at all; the refusal is each service's own.
    pub(super) fn may(&self, op: Op) -> Result<(), VendorError> {
        let wanted = op.permissions();
        let permitted = wanted.is_empty() || wanted.iter().any(|permission| self.has(permission));
        match op.surface() {
            Surface::Exchange => {
                let administrator = self.entra_roles.contains(EXCHANGE_ADMINISTRATOR)
                    || self.entra_roles.contains(GLOBAL_ADMINISTRATOR);
                match (permitted, self.entra_roles.contains(GLOBAL_READER)) {
                    (true, _) if administrator => Ok(()),
                    (true, true) if !op.writes() => Ok(()),
                    // What a role does not include is not there for who has it.
                    (true, true) => Err(VendorError::cmdlet(
                        400,
                        "CommandNotFoundException",
                        "The term is not recognized as the name of a cmdlet, function, script file, or operable program.",
                    )),
                    // Exchange says nothing at all: 401 with an empty body.
                    _ => Err(VendorError::new(401, "", "")),
                }
            }
            _ if permitted => Ok(()),
            Surface::Methods => Err(VendorError::new(403, "accessDenied", "Request Authorization failed")),
            Surface::Mail => Err(VendorError::new(
                403,
                "ErrorAccessDenied",
                "Access is denied. Check credentials and try again.",
            )),
            Surface::Files | Surface::SharePoint => Err(VendorError::new(403, "accessDenied", "Access denied")),
            Surface::Reports => Err(VendorError::new(
                403,
                "Authentication_MSGraphPermissionMissing",
                format!(
                    "The principal does not have required Microsoft Graph permission(s): {} to call this API.",
                    wanted.join(",")
                ),
            )),
            Surface::Intune => Err(VendorError::new(
                403,
                "Forbidden",
                format!(
                    "Application is not authorized to perform this operation. Application must have one of the following scopes: {}",
                    wanted.join(", ")
                ),
            )),
            Surface::Login | Surface::Directory => Err(VendorError::privileged()),
        }
    }
}

/// What a client posts to the token endpoint.
#[derive(Debug, Clone, Default)]
pub struct TokenRequest {
    /// The tenant: its id or one of its domains.
    pub tenant: String,
    /// `grant_type`
    pub grant_type: String,
    /// `client_id`
    pub client_id: String,
    /// `client_secret`
    pub client_secret: Option<String>,
    /// `client_assertion`: a JWT whose header names the certificate. Its signature is not checked here.
    pub client_assertion: Option<String>,
    /// `scope`
    pub scope: String,
}

/// A token.
#[derive(Debug, Clone)]
pub struct TokenGrant {
    /// The bearer token: a JWT with a signature of no worth.
    pub access_token: String,
    /// How long it says that it lives.
    pub expires_in_s: i64,
}

/// A token as the world remembers it.
#[derive(Debug, Clone)]
pub(super) struct Token {
    caller: Caller,
    audience: Audience,
    dies_at_ms: i64,
}

impl World {
    /// An application of a tenant as caller with all that it was granted for Graph, Exchange and
    /// SharePoint: for callers in the same process, without a token. `None` if there is no such application.
    #[must_use]
    pub fn caller(&self, tenant: &str, client_id: &str) -> Option<Caller> {
        let app = self.tenant(tenant)?.apps.get(client_id)?;
        let all = app
            .graph_roles
            .iter()
            .chain(&app.exchange_roles)
            .chain(&app.sharepoint_roles)
            .cloned()
            .collect();
        Some(Caller {
            tenant: tenant.to_owned(),
            app: client_id.to_owned(),
            certificate: true,
            client_request_id: String::new(),
            roles: Arc::new(all),
            entra_roles: Arc::new(app.entra_roles.clone()),
        })
    }

    /// Answers the token endpoint. Refusals have the OAuth error as code and an `AADSTS` text.
    pub fn issue_token(&mut self, now_ms: i64, request: &TokenRequest) -> Reply<TokenGrant> {
        let Some(tenant) = self
            .tenants
            .values()
            .find(|tenant| {
                [&tenant.id, &tenant.domain, &tenant.initial_domain]
                    .iter()
                    .any(|name| name.eq_ignore_ascii_case(&request.tenant))
            })
            .map(|tenant| tenant.id.clone())
        else {
            let text = format!(
                "AADSTS90002: Tenant '{}' not found. Check to make sure you have the correct tenant ID.",
                request.tenant
            );
            return Reply {
                result: Err(Failure::Vendor(VendorError::new(400, "invalid_request", text))),
                latency_ms: 0,
                request_id: String::new(),
            };
        };
        // The endpoint is open to everybody: who calls is what it finds out.
        let nobody = Caller {
            tenant,
            app: request.client_id.clone(),
            certificate: false,
            client_request_id: String::new(),
            roles: Arc::new(BTreeSet::new()),
            entra_roles: Arc::new(BTreeSet::new()),
        };
        let key = format!("{} {}", request.client_id, request.scope);
        let reply = self.gate(&nobody, now_ms, Op::Token, &key, |tenant, cx| {
            tenant.grant_token(cx, request)
        });
        reply.map(|(grant, token)| {
            self.tokens.retain(|_, token| token.dies_at_ms > now_ms);
            self.tokens.insert(grant.access_token.clone(), token);
            grant
        })
    }

    /// Who stands behind a bearer token.
    ///
    /// # Errors
    /// 401 if the token is unknown, dead, or meant for another service.
    pub fn authenticate(&self, now_ms: i64, bearer: &str, audience: Audience) -> Result<Caller, VendorError> {
        let refuse = |message: &str| Err(VendorError::new(401, "InvalidAuthenticationToken", message));
        match self.tokens.get(bearer) {
            None if bearer.is_empty() => refuse("Access token is empty."),
            None => refuse("Access token validation failure. The token is unknown or expired."),
            Some(token) if token.dies_at_ms <= now_ms => refuse("Lifetime validation failed, the token is expired."),
            Some(token) if token.audience != audience => refuse("Access token validation failure. Invalid audience."),
            Some(token) => Ok(token.caller.clone()),
        }
    }
}

impl Tenant {
    fn grant_token(&mut self, cx: &Cx, request: &TokenRequest) -> Result<(TokenGrant, Token), VendorError> {
        let refuse = |status, code: &str, text: String| Err(VendorError::new(status, code, text));
        if request.grant_type != "client_credentials" {
            let text = format!(
                "AADSTS70003: The app requested an unsupported grant type '{}'.",
                request.grant_type
            );
            return refuse(400, "unsupported_grant_type", text);
        }
        let Some(app) = self.apps.get(&request.client_id) else {
            let text = format!(
                "AADSTS700016: Application with identifier '{}' was not found in the directory '{}'.",
                request.client_id, self.name
            );
            return refuse(400, "unauthorized_client", text);
        };
        let certificate = prove(app, request, cx.now)?;
        let Some((audience, resource)) = audience(&request.scope) else {
            let text = format!(
                "AADSTS70011: The provided value for the input parameter 'scope' is not valid. The scope {} is not valid.",
                request.scope
            );
            return refuse(400, "invalid_scope", text);
        };
        let roles = match audience {
            Audience::Graph => &app.graph_roles,
            Audience::Exchange => &app.exchange_roles,
            Audience::SharePoint => &app.sharepoint_roles,
        };
        let told_ms = cx.tune.token_lifetime_ms;
        let dies_early = cx
            .dice
            .happens(cx.tune.token_early_death_permille, "token death", &cx.salt, 0);
        let lives_ms = if dies_early {
            cx.dice.between((told_ms / 20, told_ms / 2), "token life", &cx.salt, 0)
        } else {
            told_ms
        };
        let header = json!({"typ": "JWT", "alg": "none"});
        let claims = json!({
            "aud": resource,
            "iss": format!("https://sts.windows.net/{}/", self.id),
            "iat": cx.now / 1_000,
            "nbf": cx.now / 1_000,
            "exp": (cx.now + told_ms) / 1_000,
            "appid": app.client_id,
            "app_displayname": app.name,
            "idtyp": "app",
            "oid": app.principal,
            "roles": roles,
            "tid": self.id,
            "uti": cx.salt_guid("token"),
            "ver": "1.0",
        });
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let access_token = format!(
            "{}.{}.{}",
            encode(&header),
            encode(&claims),
            URL_SAFE_NO_PAD.encode("unsigned")
        );
        let caller = Caller {
            tenant: self.id.clone(),
            app: app.client_id.clone(),
            certificate,
            client_request_id: String::new(),
            roles: Arc::new(roles.clone()),
            entra_roles: Arc::new(app.entra_roles.clone()),
        };
        let token = Token {
            caller,
            audience,
            dies_at_ms: cx.now + lives_ms,
        };
        Ok((
            TokenGrant {
                access_token,
                expires_in_s: told_ms / 1_000,
            },
            token,
        ))
    }
}

impl Cx {
    pub(super) fn salt_guid(&self, what: &str) -> String {
        self.dice.guid(what, &self.salt)
    }

    pub(super) fn actor(&self) -> &Actor {
        &self.actor
    }
}

/// Whether the client is who it says; true if it was by certificate.
fn prove(app: &App, request: &TokenRequest, now_ms: i64) -> Result<bool, VendorError> {
    let refuse = |text: &str| Err(VendorError::new(401, "invalid_client", text));
    if let Some(assertion) = &request.client_assertion {
        let good = app
            .certificate
            .as_ref()
            .is_some_and(|thumbprint| assertion_names(assertion, thumbprint, &app.client_id, now_ms));
        return if good {
            Ok(true)
        } else {
            refuse(
                "AADSTS700027: The certificate with identifier used to sign the client assertion is not registered on application.",
            )
        };
    }
    match &request.client_secret {
        None => refuse(
            "AADSTS7000218: The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
        ),
        Some(_) if app.secret_expires_ms.is_some_and(|end| end <= now_ms) => {
            refuse("AADSTS7000222: The provided client secret keys for app are expired.")
        }
        Some(secret) if *secret == app.secret => Ok(false),
        Some(_) => refuse(
            "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID.",
        ),
    }
}

fn assertion_names(assertion: &str, thumbprint: &str, client_id: &str, now_ms: i64) -> bool {
    let mut parts = assertion.split('.').map(|part| {
        let bytes = URL_SAFE_NO_PAD.decode(part).or_else(|_| URL_SAFE.decode(part)).ok()?;
        serde_json::from_slice::<Value>(&bytes).ok()
    });
    let (Some(Some(header)), Some(Some(claims))) = (parts.next(), parts.next()) else {
        return false;
    };
    let named = ["x5t", "x5t#S256", "kid"]
        .iter()
        .any(|field| header[field] == thumbprint);
    let own = claims["iss"] == client_id && claims["sub"] == client_id;
    named && own && claims["exp"].as_i64().is_some_and(|exp| exp * 1_000 > now_ms)
}

fn audience(scope: &str) -> Option<(Audience, String)> {
    let resource = scope.strip_suffix("/.default")?.trim_end_matches('/');
    let audience = match resource {
        "https://graph.microsoft.com" => Audience::Graph,
        "https://outlook.office365.com" => Audience::Exchange,
        other if other.starts_with("https://") && other.ends_with(".sharepoint.com") => Audience::SharePoint,
        _ => return None,
    };
    Some((audience, resource.to_owned()))
}
