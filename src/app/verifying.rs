//! Whether Graph still answers as it was recorded: `graphdeck verify`.

use super::diffing::{lines, place};
use super::progress::Progress;
use super::{Fault, run};
use crate::config::Config;
use crate::store::cassettes::{self, Cassettes};
use crate::tape::exchange::{Request, Response};
use crate::tape::redact;
use crate::tape::renaming::Changes;
use crate::tape::verification::{Leave, Verification};
use crate::wire::message::{self, Read};
use crate::wire::upstream::Upstream;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The variable that holds the token. It is no flag, since everybody on a machine sees those.
const TOKEN: &str = "GRAPHDECK_TOKEN";
/// How often a request is asked that Graph has no time for, and how long it is waited for at most.
const TRIES: usize = 4;
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What is asked for.
#[derive(Debug)]
pub struct Wish {
    /// Whether anything is sent at all.
    pub send: bool,
    /// Whether what may change something is sent too.
    pub writes: bool,
    /// Headers that every request gets, `Name: value`.
    pub headers: Vec<String>,
    /// Whether it is told to programs.
    pub json: bool,
}

/// What came of an exchange.
enum Outcome {
    Same,
    Differs(Changes),
    /// Its request was not sent, or would not be.
    Left(String),
    /// Its request would be sent.
    Planned,
}

impl Outcome {
    fn of(changes: Changes) -> Self {
        if changes.is_empty() { Self::Same } else { Self::Differs(changes) }
    }
}

/// Sends the requests of a cassette to Graph again, where that is wished, and tells where its answers differ from the
/// tape, and the exit code.
///
/// # Errors
/// When the cassette or the wish cannot be used.
pub async fn verify(config: &Config, name: &str, wish: &Wish) -> Result<(String, u8), Fault> {
    let cassettes = Cassettes::new(config.cassettes.clone());
    let (path, cassette) = (cassettes.path(name)?, cassettes.load(name)?);
    let damaged = |source| Fault::from(cassettes::Fault::Damaged { path: path.clone(), source });
    let mut verification = Verification::of(&cassette, &config.rules).map_err(damaged)?;
    let graph = if wish.send { Some(Graph::new(config, &wish.headers)?) } else { None };
    let hosts: Vec<String> = config.hosts.iter().chain([&config.reverse]).cloned().collect();
    let leave = Leave { writes: wish.writes, hosts: &hosts };
    let progress = Progress::of(&format!("verifying {name}"), cassette.entries.len());
    let mut told = Told { path: path.clone(), sent: wish.send, outcomes: Vec::new(), stopped: None };
    for number in 1..=cassette.entries.len() {
        progress.step();
        let outcome = match (verification.why_not(number, leave).map_err(damaged)?, &graph) {
            (Some(why), _) => Outcome::Left(why),
            (None, None) => {
                verification.assume(number);
                Outcome::Planned
            }
            (None, Some(graph)) => match graph.ask(verification.request(number).map_err(damaged)?).await {
                Ok(response) => Outcome::of(verification.answered(number, response).map_err(damaged)?),
                Err(why) => {
                    told.stopped = Some((number, verification.name(number), why));
                    break;
                }
            },
        };
        told.outcomes.push((verification.name(number), outcome));
    }
    let text = if wish.json { told.for_programs() } else { told.for_people() };
    Ok((text, told.code()))
}

/// Graph, as somebody with a token asks it.
struct Graph {
    upstream: Upstream,
    headers: HeaderMap,
    limit: usize,
}

impl Graph {
    fn new(config: &Config, more: &[String]) -> Result<Self, Fault> {
        let mut headers = HeaderMap::new();
        for header in more {
            let wrong = |why: &str| Fault::Flag { flag: "--header", why: why.to_owned() };
            let (name, value) = header.split_once(':').ok_or_else(|| wrong("write NAME: VALUE"))?;
            let name: HeaderName =
                name.trim().parse().map_err(|_| wrong("what stands before the colon is no name of a header"))?;
            let value = HeaderValue::from_str(value.trim())
                .map_err(|_| wrong("what stands after the colon cannot stand in a header"))?;
            headers.append(name, value);
        }
        if !headers.contains_key(AUTHORIZATION) {
            headers.insert(AUTHORIZATION, authorization(std::env::var(TOKEN).ok())?);
        }
        headers.values_mut().for_each(|value| value.set_sensitive(true));
        Ok(Self { upstream: run::upstream(config)?, headers, limit: config.body_limit })
    }

    /// What Graph answers, when it has time; or why there is no answer that could be compared.
    async fn ask(&self, request: Request) -> Result<Response, String> {
        let mut tried = 0;
        loop {
            tried += 1;
            let sent = self.http(&request)?;
            let (head, body) = self.upstream.send(sent).await.map_err(|why| why.to_string())?.into_parts();
            let read = message::read(message::streaming(body), self.limit, self.upstream.timeout()).await;
            let bytes = match read.map_err(|why| format!("its answer broke off: {why}"))? {
                Read::Whole(bytes) => bytes,
                Read::TooLarge(_) => {
                    return Err(format!("its answer is larger than {} bytes (body_limit)", self.limit));
                }
            };
            match head.status.as_u16() {
                401 => {
                    return Err(format!(
                        "Graph refused the token (401): is {TOKEN} one for this tenant, and of today?"
                    ));
                }
                429 | 503 | 504 if tried < TRIES => {
                    let seconds = head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
                    tokio::time::sleep(Duration::from_secs(seconds.unwrap_or(3)).min(LONGEST_WAIT)).await;
                }
                _ => {
                    let response = message::owned_response(&head, &bytes, self.limit);
                    return response.map_err(|why| format!("its answer cannot be read: {why}"));
                }
            }
        }
    }

    fn http(&self, request: &Request) -> Result<http::Request<message::Body>, String> {
        let bytes = |value: &str| value.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect::<Vec<u8>>();
        let mut sent = http::Request::builder().method(request.method.as_str()).uri(request.url());
        for (name, value) in request.headers.iter().filter(|(name, _)| self.headers.get(*name).is_none()) {
            sent = sent.header(name, bytes(value));
        }
        let sent = sent.body(message::full(request.body.clone()));
        let mut sent = sent.map_err(|why| format!("it cannot be sent: {why}"))?;
        sent.headers_mut().extend(self.headers.clone());
        Ok(sent)
    }
}

/// The token as a header; it is shown nowhere, also not where it cannot be one.
fn authorization(token: Option<String>) -> Result<HeaderValue, Fault> {
    let wrong = |why: &str| Fault::Flag { flag: TOKEN, why: why.to_owned() };
    let token = token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| {
        wrong("requests to Graph need a token: set it, such as to what `az account get-access-token --resource https://graph.microsoft.com --query accessToken -o tsv` prints")
    })?;
    let value = if token.contains(' ') { token } else { format!("Bearer {token}") };
    HeaderValue::from_str(&value)
        .map_err(|_| wrong("what it holds is no token: it has characters that no header can carry"))
}

/// What is told of a verification.
struct Told {
    path: PathBuf,
    sent: bool,
    /// Of each exchange from the first on: its request, and what came of it.
    outcomes: Vec<(String, Outcome)>,
    stopped: Option<(usize, String, String)>,
}

impl Told {
    fn count(&self, is: fn(&Outcome) -> bool) -> usize {
        self.outcomes.iter().filter(|(_, outcome)| is(outcome)).count()
    }

    /// 0 where all is the same, 1 where something differs, 2 where nothing could be found out or not all.
    fn code(&self) -> u8 {
        let (same, differs) =
            (self.count(|it| matches!(it, Outcome::Same)), self.count(|it| matches!(it, Outcome::Differs(_))));
        match () {
            () if self.stopped.is_some() || (self.sent && same + differs == 0) => 2,
            () => u8::from(differs > 0),
        }
    }

    fn for_people(&self) -> String {
        let path: &Path = &self.path;
        let all = self.outcomes.len();
        let mut text = if self.sent {
            let (same, differs) =
                (self.count(|it| matches!(it, Outcome::Same)), self.count(|it| matches!(it, Outcome::Differs(_))));
            format!(
                "{}: {same} answered as recorded, {differs} otherwise, {} not sent\n",
                path.display(),
                all - same - differs
            )
        } else {
            let planned = self.count(|it| matches!(it, Outcome::Planned));
            format!("{}: a dry run, nothing was sent; with --send {planned} of {all} would be\n", path.display())
        };
        let called = |number: usize, request: &str| format!("exchange {number}, {}", redact::printable(request));
        for (number, (request, outcome)) in (1..).zip(&self.outcomes) {
            let name = called(number, request);
            let told = match outcome {
                Outcome::Same => continue,
                Outcome::Planned => format!("{name}: would be sent\n"),
                Outcome::Left(why) if self.sent => format!("{name}: not sent: {why}\n"),
                Outcome::Left(why) => format!("{name}: would not be sent: {why}\n"),
                Outcome::Differs(changes) => format!("{name}: is answered otherwise\n{}", lines(changes)),
            };
            text.push_str(&told);
        }
        if let Some((number, request, why)) = &self.stopped {
            writeln!(text, "{}: stopped here: {why}", called(*number, request)).expect("a text takes a line");
        }
        text
    }

    fn for_programs(&self) -> String {
        let exchanges = (1..).zip(&self.outcomes).map(|(number, (request, outcome))| {
            let (word, why, changes) = match outcome {
                Outcome::Same => ("same", None, None),
                Outcome::Planned => ("planned", None, None),
                Outcome::Left(why) => ("not sent", Some(why), None),
                Outcome::Differs(changes) => ("differs", None, Some(changes)),
            };
            let mut told = json!({ "exchange": number, "request": request, "outcome": word });
            if let Some(why) = why {
                told["why"] = json!(why);
            }
            if let Some(changes) = changes {
                told["differences"] = changes.first.iter().map(place).collect();
                told["more"] = json!(changes.more);
            }
            told
        });
        let exchanges: Vec<Value> = exchanges.collect();
        let stopped = self.stopped.as_ref();
        let stopped =
            stopped.map(|(number, request, why)| json!({ "exchange": number, "request": request, "why": why }));
        let told = json!({ "version": 1, "sent": self.sent, "exchanges": exchanges, "stopped": stopped });
        serde_json::to_string_pretty(&told).expect("JSON prints to memory") + "\n"
    }
}
