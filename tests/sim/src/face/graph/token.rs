//! The token endpoint of Entra.

use serde_json::json;

use super::odata::Query;
use super::{Answer, Outcome};
use crate::face::WireRequest;
use crate::iso;
use crate::world::{Failure, TokenRequest, World};

pub(super) fn answer(world: &mut World, now: i64, tenant: &str, request: &WireRequest) -> Outcome {
    let form = Query::parse(&String::from_utf8_lossy(&request.body));
    let field = |name: &str| form.get(name).map(str::to_owned);
    let asked = TokenRequest {
        tenant: tenant.to_owned(),
        grant_type: field("grant_type").unwrap_or_default(),
        client_id: field("client_id").unwrap_or_default(),
        client_secret: field("client_secret"),
        client_assertion: field("client_assertion"),
        scope: field("scope").unwrap_or_default(),
    };
    let reply = world.issue_token(now, &asked);
    let (latency_ms, request_id) = (reply.latency_ms, reply.request_id);
    match reply.result {
        Ok(grant) => Ok(Answer {
            status: 200,
            body: Some(json!({
                "access_token": grant.access_token,
                "expires_in": grant.expires_in_s,
                "ext_expires_in": grant.expires_in_s,
                "token_type": "Bearer",
            })),
            latency_ms,
            request_id,
            ..Answer::default()
        }),
        Err(Failure::Lost) => Err(latency_ms),
        Err(Failure::Vendor(error)) => {
            let number = error
                .message
                .strip_prefix("AADSTS")
                .and_then(|rest| rest.split(':').next()?.parse::<u32>().ok());
            let body = json!({
                "correlation_id": request_id,
                "error": error.code,
                "error_codes": number.into_iter().collect::<Vec<_>>(),
                "error_description": error.message,
                "timestamp": iso(now - now % 1_000).replace('T', " "),
                "trace_id": request_id,
            });
            let headers = error
                .retry_after_s
                .map(|s| ("retry-after".to_owned(), s.to_string()))
                .into_iter()
                .collect();
            Ok(Answer {
                status: error.status,
                body: Some(body),
                headers,
                latency_ms,
                request_id,
                mime: None,
            })
        }
    }
}
