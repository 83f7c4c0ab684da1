//! The token endpoint (RFC 7523): the claim's signature, issuer, audience, times,
//! scope and subject are all looked at.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Value, json};

use super::{Done, Refused, pairs};
use crate::face::WireRequest;
use crate::world::workspace::{Workspace, WorkspaceToken};

/// How far a client's clock may be off.
const SKEW_S: i64 = 60;
/// The longest that a claim may be valid.
const LONGEST_S: i64 = 3_600;

const BAD: Refused = (400, "invalid_grant");

pub(super) fn give(workspace: &mut Workspace, now_ms: i64, root: &str, request: &WireRequest) -> Done {
    workspace.token_requests += 1;
    let form = pairs(&String::from_utf8_lossy(&request.body));
    let text = |name: &str| form.get(name).map(String::as_str);
    if text("grant_type") != Some("urn:ietf:params:oauth:grant-type:jwt-bearer") {
        return Err((400, "unsupported_grant_type"));
    }
    let assertion = text("assertion").unwrap_or_default();
    let claims = signed_claims(&workspace.access.public_key, assertion).ok_or(BAD)?;
    let number = |name: &str| claims[name].as_i64();
    let (issued, ends) = (number("iat").ok_or(BAD)?, number("exp").ok_or(BAD)?);
    let now_s = now_ms / 1_000;
    let in_time = issued <= now_s + SKEW_S && ends > now_s - SKEW_S && ends - issued <= LONGEST_S;
    let for_us = claims["aud"] == json!(format!("{root}/token")) && claims["iss"] == json!(workspace.access.issuer);
    if !in_time || !for_us {
        return Err(BAD);
    }
    let scope = claims["scope"].as_str().ok_or(BAD)?;
    if !scope.split(' ').all(|one| workspace.access.scopes.contains(one)) {
        return Err((401, "unauthorized_client"));
    }
    let subject = claims["sub"].as_str().ok_or(BAD)?;
    let his = |user: &&crate::world::workspace::WorkspaceUser| {
        user.customer == workspace.customer && user.address == subject && !user.suspended
    };
    if !workspace.rows().users.values().any(|user| his(&user)) {
        return Err(BAD);
    }
    let token = format!("ya29.canary-{}", workspace.token_requests);
    let given = WorkspaceToken {
        subject: subject.to_owned(),
        scope: scope.to_owned(),
        until_ms: now_ms + workspace.habits.token_s * 1_000,
    };
    workspace.tokens.insert(token.clone(), given);
    Ok((
        200,
        json!({"access_token": token, "expires_in": workspace.habits.token_s, "token_type": "Bearer"}),
    ))
}

/// The claims of a token (RS256) whose signature is of the owner of this key.
pub(in crate::face) fn signed_claims(public_key: &[u8], assertion: &str) -> Option<Value> {
    let (message, signature) = assertion.rsplit_once('.')?;
    let (header, claims) = message.split_once('.')?;
    let read = |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).ok()?).ok();
    if read(header)?["alg"] != json!("RS256") {
        return None;
    }
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public_key)
        .verify(message.as_bytes(), &signature)
        .ok()?;
    read(claims)
}

/// The public key (PKCS #1, DER) of a private one (PKCS #8, PEM).
///
/// # Errors
/// When it is no such key.
pub fn public_key(pem: &str) -> Result<Vec<u8>, &'static str> {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = base64::engine::general_purpose::STANDARD
        .decode(body)
        .map_err(|_| "it is not PEM")?;
    let pair = ring::signature::RsaKeyPair::from_pkcs8(&der).map_err(|_| "it is not an RSA key")?;
    Ok(pair.public().as_ref().to_vec())
}
