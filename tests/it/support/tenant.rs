//! A Graph as programs meet it in a tenant: they sign in, ask in batches, and are put off before they are served.

use super::entities::Entities;
use super::graph::{Asked, Graph, Reply};
use serde_json::{Value, json};
use std::io::Read;
use std::sync::Mutex;

/// What the token looks like that a program gets by signing in.
pub const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.planted-token-of-the-tenant.c2lnbmF0dXJl";

/// How a POST is put off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutOff {
    /// 401 with claims: continuous access evaluation wants another token.
    Challenge,
    /// 429, to be asked again after a second.
    Throttle,
    /// 307 to another address.
    Redirect,
    /// 415 to a compressed body.
    Uncompressed,
}

/// A tenant whose first POSTs are put off, each once, in this order.
pub async fn tenant(put_off: &'static [PutOff]) -> Graph {
    let state = Mutex::new((Entities::default(), put_off));
    Graph::answering(move |asked| {
        if asked.host.starts_with("login.") {
            return sign_in(asked);
        }
        let (entities, put_off) = &mut *state.lock().unwrap();
        if asked.target.ends_with("/$batch") {
            return batch(entities, asked);
        }
        match put_off.split_first() {
            Some((first, rest)) if asked.method == "POST" => {
                *put_off = rest;
                refusal(*first, asked)
            }
            _ => entities.answer(&plain(asked)),
        }
    })
    .await
}

/// A request with its body decompressed.
fn plain(asked: &Asked) -> Asked {
    let mut plain = asked.clone();
    if asked.headers.get("content-encoding").is_some_and(|coding| coding == "gzip") {
        let mut body = Vec::new();
        flate2::read::GzDecoder::new(&*asked.body).read_to_end(&mut body).unwrap();
        plain.body = body.into();
    }
    plain
}

fn sign_in(asked: &Asked) -> Reply {
    let tenant = asked.target.split('/').nth(1).unwrap();
    let login = format!("https://login.microsoftonline.com/{tenant}");
    let said = match asked.method.as_str() {
        "POST" => json!({ "token_type": "Bearer", "expires_in": 3599, "access_token": TOKEN }),
        _ if asked.target.contains("/discovery/instance") => json!({
            "tenant_discovery_endpoint": format!("{login}/v2.0/.well-known/openid-configuration"),
            "api-version": "1.1",
            "metadata": [{
                "preferred_network": "login.microsoftonline.com",
                "preferred_cache": "login.windows.net",
                "aliases": ["login.microsoftonline.com", "login.windows.net"],
            }],
        }),
        _ => json!({
            "issuer": format!("{login}/v2.0"),
            "authorization_endpoint": format!("{login}/oauth2/v2.0/authorize"),
            "token_endpoint": format!("{login}/oauth2/v2.0/token"),
            "device_authorization_endpoint": format!("{login}/oauth2/v2.0/devicecode"),
        }),
    };
    Reply::json(200, &said)
}

fn refusal(put_off: PutOff, asked: &Asked) -> Reply {
    let error = |status, code: &str| Reply::json(status, &json!({ "error": { "code": code, "message": code } }));
    match put_off {
        PutOff::Challenge => {
            // {"access_token":{"nbf":{"essential":true,"value":"1700000000"}}}
            let claims = "eyJhY2Nlc3NfdG9rZW4iOnsibmJmIjp7ImVzc2VudGlhbCI6dHJ1ZSwidmFsdWUiOiIxNzAwMDAwMDAwIn19fQ==";
            let challenge = format!(
                "Bearer realm=\"\", authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\", \
                 error=\"insufficient_claims\", claims=\"{claims}\""
            );
            error(401, "InvalidAuthenticationToken").with("www-authenticate", &challenge)
        }
        PutOff::Throttle => error(429, "TooManyRequests").with("retry-after", "1"),
        PutOff::Redirect => {
            let to = format!("https://graph.microsoft.com{}?moved=1", asked.target);
            Reply::new(307, "").signed().with("location", &to)
        }
        PutOff::Uncompressed => error(415, "UnsupportedMediaType"),
    }
}

fn batch(entities: &mut Entities, asked: &Asked) -> Reply {
    let batch: Value = serde_json::from_slice(&asked.body).unwrap();
    let version = asked.target.split('/').nth(1).unwrap();
    let mut answer = |part: &Value| {
        // Python's SDK writes whole addresses.
        let whole = format!("https://graph.microsoft.com/{version}");
        let path = part["url"].as_str().unwrap().replace(&whole, "");
        let reply = entities.answer(&Asked {
            method: part["method"].as_str().unwrap().to_owned(),
            target: format!("/{version}{path}"),
            body: part["body"].to_string().into(),
            ..asked.clone()
        });
        let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        json!({ "id": part["id"], "status": reply.status, "headers": { "Content-Type": "application/json" }, "body": body })
    };
    let responses: Vec<Value> = batch["requests"].as_array().unwrap().iter().map(&mut answer).collect();
    Reply::json(200, &json!({ "responses": responses }))
}
