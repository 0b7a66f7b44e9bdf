//! Sign-in without Microsoft: what a program asks of login.microsoftonline.com before its first call of Graph.

use super::exchange::{Headers, Request, Response};
use super::graph;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};

/// When tokens end: 2100-01-01, far from the end of any run. A fixed time, so that answers are the same whenever.
const EXPIRES: u64 = 4_102_444_800;
/// How long a token is said to last from now, in seconds; Entra says about as much.
const EXPIRES_IN: u64 = 86_399;
/// What the tokens are for when nobody says.
const GRAPH: &str = "https://graph.microsoft.com";

/// The hosts that stand for each other in each cloud, the first one preferred
/// (<https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud>).
const CLOUDS: [&[&str]; 4] = [
    &["login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"],
    &["login.partner.microsoftonline.cn", "login.chinacloudapi.cn"],
    &["login.microsoftonline.us", "login.usgovcloudapi.net"],
    &["login.microsoftonline.de"],
];

/// Answers a request to a sign-in host: OpenID configuration, instance discovery, keys, device codes, and tokens for
/// client credentials, refresh tokens and device codes. The tokens are plainly none: they are not signed. `None` for
/// whatever else is asked.
///
/// Of the request nothing but its form is looked at, and nothing is kept
/// (<https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>).
#[must_use]
pub fn answer(request: &Request) -> Option<Response> {
    let path = request.path().trim_matches('/').to_lowercase();
    let (tenant, rest) = path.split_once('/')?;
    let place = Place { host: request.host.split(':').next().unwrap_or_default(), tenant };
    let form = form(&request.body);
    match (request.method.as_str(), rest) {
        ("GET", "v2.0/.well-known/openid-configuration") => Some(said(200, &place.configuration("v2.0"))),
        ("GET", ".well-known/openid-configuration") => Some(said(200, &place.configuration(""))),
        ("GET", "discovery/instance") => Some(said(200, &place.discovery(request.query().unwrap_or_default()))),
        ("GET", account) if account.starts_with("userrealm/") => Some(said(200, &place.realm())),
        ("GET", "discovery/v2.0/keys" | "discovery/keys") => Some(said(200, &json!({ "keys": [] }))),
        ("POST", "oauth2/v2.0/devicecode") => Some(said(200, &place.device_code())),
        ("POST", "oauth2/v2.0/token") => Some(place.token(&form, "scope")),
        ("POST", "oauth2/token") => Some(place.token(&form, "resource")),
        _ => None,
    }
}

/// Where a program signs in.
struct Place<'a> {
    host: &'a str,
    tenant: &'a str,
}

impl Place<'_> {
    fn url(&self, path: &str) -> String {
        format!("https://{}/{}/{path}", self.host, self.tenant)
    }

    /// The tenant's id: the one that was asked for, or one that stands for its name.
    fn tenant_id(&self) -> String {
        let named = uuid::Uuid::parse_str(self.tenant);
        named.unwrap_or_else(|_| stand_in("tenant", self.tenant)).to_string()
    }

    fn configuration(&self, version: &str) -> Value {
        let oauth = |end: &str| self.url(&format!("oauth2/{version}/{end}").replace("//", "/"));
        json!({
            "token_endpoint": oauth("token"),
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "jwks_uri": self.url(&format!("discovery/{version}/keys").replace("//", "/")),
            "response_modes_supported": ["query", "fragment", "form_post"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "issuer": self.issuer(),
            "authorization_endpoint": oauth("authorize"),
            "device_authorization_endpoint": oauth("devicecode"),
            "end_session_endpoint": oauth("logout"),
            "claims_supported": ["sub", "iss", "aud", "exp", "iat", "tid", "ver"],
            "tenant_region_scope": null,
            "cloud_instance_name": self.host.trim_start_matches("login."),
            "msgraph_host": self.graph(),
        })
    }

    /// What an account's domain is: one that signs in here, so that what comes of it is told by the token's answer.
    fn realm(&self) -> Value {
        json!({
            "ver": "1.0", "account_type": "Managed", "domain_name": "example.com",
            "cloud_instance_name": self.host.trim_start_matches("login."),
            "cloud_audience_urn": "urn:federation:MicrosoftOnline",
        })
    }

    /// Graph's host in the cloud of this place.
    fn graph(&self) -> &'static str {
        match self.host {
            "login.microsoftonline.us" | "login.usgovcloudapi.net" => "graph.microsoft.us",
            "login.chinacloudapi.cn" | "login.partner.microsoftonline.cn" => "microsoftgraph.chinacloudapi.cn",
            "login.microsoftonline.de" => "graph.microsoft.de",
            _ => "graph.microsoft.com",
        }
    }

    fn issuer(&self) -> String {
        format!("https://{}/{}/v2.0", self.host, self.tenant_id())
    }

    fn discovery(&self, query: &str) -> Value {
        let endpoint = fields(query).find(|(name, _)| name == "authorization_endpoint").map(|(_, value)| value);
        // The tenant stands in the address that is asked about, not in that of the question.
        let tenant = endpoint.as_deref().and_then(|url| url.split('/').nth(3)).unwrap_or("common").to_owned();
        let metadata = CLOUDS.map(|hosts| {
            // What is preferred is asked next, so it is a host that the deck opens.
            let network = hosts.iter().find(|host| graph::SIGN_IN_HOSTS.contains(host)).unwrap_or(&hosts[0]);
            let cache = if *network == "login.microsoftonline.com" { "login.windows.net" } else { network };
            json!({ "preferred_network": network, "preferred_cache": cache, "aliases": hosts })
        });
        json!({
            "tenant_discovery_endpoint":
                format!("https://{}/{tenant}/v2.0/.well-known/openid-configuration", self.host),
            "api-version": "1.1",
            "metadata": metadata,
        })
    }

    fn device_code(&self) -> Value {
        let page = format!("https://{}/common/oauth2/deviceauth", self.host);
        json!({
            "user_code": "REPLAYED",
            "device_code": "graphdeck-replay",
            "verification_uri": page,
            "expires_in": 900,
            "interval": 1,
            "message": "This is a replay: nothing is to be done, and the next question for the token is answered.",
        })
    }

    /// A token for what `asked`, the name of a field, says.
    fn token(&self, form: &[(String, String)], asked: &str) -> Response {
        let field = |name: &str| form.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let grant = field("grant_type").unwrap_or_default();
        let person = match grant {
            "client_credentials" => false,
            "refresh_token" | "urn:ietf:params:oauth:grant-type:device_code" | "device_code" => true,
            _ => return refused(grant),
        };
        let scopes = field(asked).unwrap_or_default();
        let client = field("client_id").unwrap_or_default();
        let mut said = json!({
            "token_type": "Bearer",
            "scope": scopes,
            "expires_in": EXPIRES_IN,
            "ext_expires_in": EXPIRES_IN,
            "access_token": self.jwt(client, &audience(scopes), json!({ "scp": scopes, "appid": client })),
        });
        if asked == "resource" {
            // The older protocol has numbers as texts.
            let expires = EXPIRES.to_string();
            said["expires_in"] = json!(EXPIRES_IN.to_string());
            said["ext_expires_in"] = json!(EXPIRES_IN.to_string());
            said["expires_on"] = json!(expires);
            said["not_before"] = json!("0");
            said["resource"] = json!(scopes);
        }
        if person {
            let (user, tenant) = (stand_in("user", client).to_string(), self.tenant_id());
            let claims = json!({ "oid": user, "name": "Replayed User", "preferred_username": "user@example.com" });
            said["id_token"] = json!(self.jwt(client, client, claims));
            said["refresh_token"] = json!("graphdeck-replay");
            said["client_info"] = json!(BASE64.encode(json!({ "uid": user, "utid": tenant }).to_string()));
        }
        self::said(200, &said)
    }

    /// A JSON Web Token without a signature (RFC 7519 section 6).
    fn jwt(&self, subject: &str, audience: &str, more: Value) -> String {
        let mut claims = json!({
            "aud": audience,
            "iss": self.issuer(),
            "iat": 0,
            "nbf": 0,
            "exp": EXPIRES,
            "sub": subject,
            "tid": self.tenant_id(),
            "ver": "2.0",
        });
        if let (Value::Object(claims), Value::Object(more)) = (&mut claims, more) {
            claims.extend(more);
        }
        let part = |value: &Value| BASE64.encode(value.to_string());
        format!("{}.{}.", part(&json!({ "typ": "JWT", "alg": "none" })), part(&claims))
    }
}

/// For whom a token is that is asked for with these scopes: `https://graph.microsoft.com/.default` and the like.
fn audience(scopes: &str) -> String {
    let named = scopes.split_whitespace().find_map(|scope| {
        let (scheme, rest) = scope.split_once("://")?;
        Some(format!("{scheme}://{}", rest.split('/').next()?))
    });
    named.unwrap_or_else(|| GRAPH.to_owned())
}

/// An id that stands for a name, always the same one.
fn stand_in(kind: &str, name: &str) -> uuid::Uuid {
    let hash = blake3::hash(format!("graphdeck sign-in {kind} {name}").as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_bytes()[..16]);
    uuid::Builder::from_bytes(bytes)
        .with_variant(uuid::Variant::RFC4122)
        .with_version(uuid::Version::Custom)
        .into_uuid()
}

/// The fields of a form or a query, decoded.
fn fields(text: &str) -> impl Iterator<Item = (String, String)> {
    let decode = |text: &str| graph::percent_decode(&text.replace('+', " ")).into_owned();
    text.split('&')
        .filter_map(move |field| field.split_once('='))
        .map(move |(name, value)| (decode(name), decode(value)))
}

fn form(body: &[u8]) -> Vec<(String, String)> {
    fields(&String::from_utf8_lossy(body)).collect()
}

/// The error for a way to sign in that a replay does not know (RFC 6749 section 5.2).
fn refused(grant: &str) -> Response {
    let known = ["client_credentials", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"].join(", ");
    let grant: String = grant.chars().filter(|c| c.is_ascii_graphic()).take(80).collect();
    let why = format!(
        "graphdeck: a replay signs programs in by {known}, not by `{grant}`. Let the program sign in with a client secret, or give it a fixed token, in replays."
    );
    said(400, &json!({ "error": "unsupported_grant_type", "error_description": why, "error_codes": [70003] }))
}

fn said(status: u16, body: &Value) -> Response {
    let headers = [("content-type", "application/json; charset=utf-8"), ("cache-control", "no-store, no-cache")];
    let headers: Headers = headers.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
    Response { status, headers, body: body.to_string().into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

    fn ask(method: &str, target: &str, body: &str) -> Option<(u16, Value)> {
        let request = Request {
            method: method.to_owned(),
            host: "login.microsoftonline.us:443".to_owned(),
            target: target.to_owned(),
            headers: Headers::default(),
            body: body.to_owned().into(),
        };
        answer(&request).map(|said| (said.status, serde_json::from_slice(&said.body).unwrap()))
    }

    fn claims(token: &Value) -> Value {
        let mut parts = token.as_str().unwrap().split('.');
        let mut part = || serde_json::from_slice::<Value>(&BASE64.decode(parts.next().unwrap()).unwrap()).unwrap();
        assert_eq!(part()["alg"], "none");
        let claims = part();
        assert_eq!((parts.next(), parts.next()), (Some(""), None), "it is not signed");
        claims
    }

    #[test]
    fn a_program_finds_its_way_to_the_token() {
        let (_, discovery) = ask("GET", &format!("/common/discovery/instance?api-version=1.1&authorization_endpoint=https%3A%2F%2Flogin.microsoftonline.us%2F{TENANT}%2Foauth2%2Fv2.0%2Fauthorize"), "").unwrap();
        let configuration = discovery["tenant_discovery_endpoint"].as_str().unwrap();
        let path = configuration.strip_prefix("https://login.microsoftonline.us").unwrap();
        let (_, configuration) = ask("GET", path, "").unwrap();
        assert_eq!(configuration["issuer"], format!("https://login.microsoftonline.us/{TENANT}/v2.0"));
        let url =
            |key: &str| configuration[key].as_str().unwrap().strip_prefix("https://login.microsoftonline.us").unwrap();
        assert_eq!(ask("GET", url("jwks_uri"), "").unwrap(), (200, json!({ "keys": [] })));
        let form = "grant_type=client_credentials&client_id=app&client_secret=x&scope=https%3A%2F%2Fgraph.microsoft.us%2F.default";
        let (status, token) = ask("POST", url("token_endpoint"), form).unwrap();
        assert_eq!((status, &token["token_type"], token.get("refresh_token")), (200, &json!("Bearer"), None));
        let claims = claims(&token["access_token"]);
        assert_eq!((&claims["tid"], &claims["aud"]), (&json!(TENANT), &json!("https://graph.microsoft.us")));
        assert_eq!(claims["iss"], configuration["issuer"]);
        let (_, code) = ask("POST", url("device_authorization_endpoint"), "client_id=app").unwrap();
        let device = format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&client_id=app&device_code={}",
            code["device_code"].as_str().unwrap()
        );
        let (_, signed_in) = ask("POST", url("token_endpoint"), &device).unwrap();
        let refresh = format!(
            "grant_type=refresh_token&client_id=app&refresh_token={}",
            signed_in["refresh_token"].as_str().unwrap()
        );
        assert_eq!(ask("POST", url("token_endpoint"), &refresh).unwrap().1["id_token"], signed_in["id_token"]);
    }

    #[test]
    fn every_host_that_is_preferred_is_one_that_the_deck_opens() {
        let (_, discovery) = ask("GET", "/common/discovery/instance", "").unwrap();
        for cloud in discovery["metadata"].as_array().unwrap() {
            let preferred = cloud["preferred_network"].as_str().unwrap();
            assert!(graph::SIGN_IN_HOSTS.contains(&preferred), "{preferred}");
        }
        let (_, configuration) = ask("GET", "/organizations/v2.0/.well-known/openid-configuration", "").unwrap();
        assert_eq!(configuration["msgraph_host"], "graph.microsoft.us");
    }

    #[test]
    fn the_older_protocol_is_spoken_too() {
        let form =
            "grant_type=client_credentials&client_id=app&client_secret=x&resource=https%3A%2F%2Fgraph.microsoft.com";
        let (_, token) = ask("POST", "/contoso.onmicrosoft.com/oauth2/token", form).unwrap();
        assert_eq!(token["expires_on"], EXPIRES.to_string());
        assert_eq!(claims(&token["access_token"])["aud"], GRAPH);
    }

    #[test]
    fn what_is_not_known_is_said() {
        let (status, refusal) = ask("POST", "/common/oauth2/v2.0/token", "grant_type=password&username=a").unwrap();
        assert_eq!((status, &refusal["error"]), (400, &json!("unsupported_grant_type")));
        insta::assert_snapshot!(refusal["error_description"].as_str().unwrap());
        // Before a password is sent, MSAL asks whose domain it is: it is told to go on, and then why that ends here.
        let (status, realm) = ask("GET", "/common/userrealm/a%40b?api-version=1.0", "").unwrap();
        assert_eq!((status, &realm["account_type"]), (200, &json!("Managed")));
        assert_eq!(ask("GET", "/", ""), None);
    }
}
