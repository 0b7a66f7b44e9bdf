//! Programs of userStatuses requests, as the law speaks of them: with ids of their own, and ids that they are given.

use super::entities::Entities;
use super::graph::Asked;
use graphdeck::tape::exchange::{Exchange, Headers, Request, Response};
use graphdeck::tape::guid::Guid;
use graphdeck::tape::spelling::{Coding, encode};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// How a program spells the key of a configuration in a path.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    Slash,
    Quoted,
    QuotesEncoded,
    AllEncoded,
    DoubleSlash,
    Upper,
}

/// What a program does; configurations are numbers, statuses count back from the last one that it was given.
#[derive(Clone, Debug)]
pub enum Step {
    Post { config: usize, form: Form, between: &'static str, name: usize, bind: Option<usize> },
    Get { back: usize },
    List { config: usize, form: Form },
    Patch { back: usize, name: usize },
    Delete { back: usize },
    Broken { config: usize },
    Missing { config: usize, status: usize },
}

/// What was asked and answered.
pub type Run = Vec<(Request, Response)>;

fn form() -> impl Strategy<Value = Form> {
    prop_oneof![
        3 => Just(Form::Slash),
        1 => Just(Form::Quoted),
        1 => Just(Form::QuotesEncoded),
        1 => Just(Form::AllEncoded),
        1 => Just(Form::DoubleSlash),
        1 => Just(Form::Upper),
    ]
}

fn between() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        4 => Just(""),
        1 => Just("/rootCertificate"),
        1 => Just("/identityCertificate/rootCertificate"),
        1 => Just("/microsoft.graph.iosScepCertificateProfile/rootCertificate"),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let config = 0..5usize;
    prop_oneof![
        4 => (config.clone(), form(), between(), 0..4usize, proptest::option::weighted(0.2, config.clone()))
            .prop_map(|(config, form, between, name, bind)| Step::Post { config, form, between, name, bind }),
        2 => (0..6usize).prop_map(|back| Step::Get { back }),
        2 => (config.clone(), form()).prop_map(|(config, form)| Step::List { config, form }),
        1 => (0..6usize, 0..4usize).prop_map(|(back, name)| Step::Patch { back, name }),
        1 => (0..6usize).prop_map(|back| Step::Delete { back }),
        1 => config.clone().prop_map(|config| Step::Broken { config }),
        1 => (config, 0..3usize).prop_map(|(config, status)| Step::Missing { config, status }),
    ]
}

/// A program of 1 to 40 steps.
pub fn program() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step(), 1..=40)
}

/// Where the time of a run stands among what its program is given.
pub const CLOCK: usize = 8;

/// Five configurations and three statuses that no server knows, ids of every kind; and the time.
pub fn given() -> impl Strategy<Value = Vec<String>> {
    let guid = any::<u128>()
        .prop_map(|bits| uuid::Builder::from_u128(bits).with_version(uuid::Version::Random).into_uuid().to_string());
    let id = prop_oneof![
        8 => guid.boxed(),
        1 => "[A-Z][a-z]{6}Policy\\.[A-Z][a-z]{9}".boxed(),
        1 => "AAMk[A-Za-z0-9]{16}-AAA=".boxed(),
        1 => "19:[0-9a-f]{32}@thread\\.tacv2".boxed(),
        1 => "1[0-9]{12}".boxed(),
        1 => "[a-z]{3}[/ %\"&#+é][a-z]{4}[0-9]{5}".boxed(),
    ];
    let ids = proptest::collection::btree_set(id, 8).prop_map(|ids| ids.into_iter().collect::<Vec<_>>()).prop_shuffle();
    (ids, "2026-0[1-9]-1[0-9]T00:00:00Z").prop_map(|(mut given, clock)| {
        given.push(clock);
        given
    })
}

/// Runs a program with ids of its own; `serve` answers it.
pub fn run(steps: &[Step], given: &[String], mut serve: impl FnMut(&Request) -> Response) -> Run {
    let mut statuses: Vec<(String, String)> = Vec::new();
    let mut run = Run::new();
    for step in steps {
        let request = request(step, given, &statuses);
        let response = serve(&request);
        if response.status == 201 {
            let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
            statuses.push((request.path().trim_end_matches('/').to_owned(), body["id"].as_str().unwrap().to_owned()));
        }
        run.push((request, response));
    }
    run
}

/// Which configuration a step is about: what a client of its own would do.
pub fn client(step: &Step, run_before: &[(Request, Response)], given: &[String]) -> usize {
    match step {
        Step::Post { config, .. }
        | Step::List { config, .. }
        | Step::Broken { config }
        | Step::Missing { config, .. } => *config,
        Step::Get { back } | Step::Patch { back, .. } | Step::Delete { back } => {
            let created: Vec<&Request> = run_before.iter().filter(|(_, r)| r.status == 201).map(|(q, _)| q).collect();
            let Some(path) = created.iter().rev().nth(back % created.len().max(1)).map(|q| q.target.to_lowercase())
            else {
                return 0;
            };
            let spelled = |id: &str| [Coding::Path, Coding::Url].map(|coding| encode(id, &[coding]).to_lowercase());
            given.iter().position(|id| spelled(id).iter().any(|id| path.contains(id))).unwrap()
        }
    }
}

fn request(step: &Step, given: &[String], statuses: &[(String, String)]) -> Request {
    let nothing = Step::List { config: 0, form: Form::Slash };
    let last = |back: usize| statuses.iter().rev().nth(back % statuses.len().max(1));
    match step {
        Step::Post { config, form, between, name, bind } => {
            let target = format!("{}{between}/userStatuses", path(&given[*config], *form));
            let bind = bind.map(|config| {
                let key = encode(&given[config], &[Coding::Quotes, Coding::Path]);
                format!(r#","rootCertificate@odata.bind":"https://graph.microsoft.com/beta/deviceManagement/deviceConfigurations('{key}')""#)
            });
            make(
                "POST",
                target,
                format!(
                    r#"{{"userDisplayName":"User {name}","roleId":"{ROLE}","lastReportedDateTime":"{}"{}}}"#,
                    given[CLOCK],
                    bind.unwrap_or_default()
                ),
            )
        }
        Step::List { config, form } => {
            make("GET", format!("{}/userStatuses", path(&given[*config], *form)), String::new())
        }
        Step::Broken { config } => {
            make("POST", format!("{}/userStatuses", path(&given[*config], Form::Slash)), "{".to_owned())
        }
        Step::Missing { config, status } => make(
            "GET",
            format!(
                "{}/userStatuses/{}",
                path(&given[*config], Form::Slash),
                encode(&given[5 + status], &[Coding::Path])
            ),
            String::new(),
        ),
        Step::Get { back } | Step::Patch { back, .. } | Step::Delete { back } => {
            let Some((collection, id)) = last(*back) else { return request(&nothing, given, statuses) };
            let target = format!("{collection}/{}", encode(id, &[Coding::Path]));
            match step {
                Step::Patch { name, .. } => {
                    let body =
                        format!(r#"{{"userDisplayName":"Other {name}","lastReportedDateTime":"{}+1"}}"#, given[CLOCK]);
                    make("PATCH", target, body)
                }
                Step::Delete { .. } => make("DELETE", target, String::new()),
                _ => make("GET", target, String::new()),
            }
        }
    }
}

/// A GUID that is no id: it stands for what it is, and may not change.
pub const ROLE: &str = "62e90394-69f5-4237-9190-012177145e10";

fn path(config: &str, form: Form) -> String {
    let root = "/beta/deviceManagement/deviceConfigurations";
    let (path, url) = (encode(config, &[Coding::Path]), encode(config, &[Coding::Url]));
    match form {
        Form::Slash => format!("{root}/{path}"),
        Form::Quoted => format!("{root}('{path}')"),
        Form::QuotesEncoded => format!("{root}(%27{url}%27)"),
        Form::AllEncoded => format!("{root}%28%27{url}%27%29"),
        Form::DoubleSlash => format!("/beta//deviceManagement/deviceConfigurations/{path}"),
        Form::Upper => {
            let key = if Guid::parse(config).is_some() { path.to_uppercase() } else { path };
            format!("/beta/DEVICEMANAGEMENT/DEVICECONFIGURATIONS/{key}")
        }
    }
}

fn make(method: &str, target: String, body: String) -> Request {
    let headers: Headers = [("content-type", "application/json")].into_iter().collect();
    Request { method: method.into(), host: "graph.microsoft.com".into(), target, headers, body: body.into() }
}

/// A stand-in that answers without a socket between.
pub fn server() -> impl FnMut(&Request) -> Response {
    let mut entities = Entities::with_texts();
    move |request| {
        let asked = Asked {
            method: request.method.clone(),
            host: request.host.clone(),
            target: request.target.clone(),
            version: http::Version::HTTP_2,
            headers: http::HeaderMap::new(),
            body: request.body.clone(),
        };
        let reply = entities.answer(&asked);
        Response { status: reply.status, headers: reply.headers.into_iter().collect(), body: reply.body }
    }
}

/// A run as exchanges.
pub fn exchanges(run: &Run) -> Vec<Exchange> {
    run.iter()
        .map(|(request, response)| Exchange { request: request.clone(), response: response.clone(), took: None })
        .collect()
}

/// All that a client is told, as one text: status, headers that are recorded, body.
pub fn told(response: &Response) -> String {
    let headers: BTreeMap<&str, &str> = response.headers.iter().collect();
    let body = String::from_utf8_lossy(&response.body);
    format!("{} {:?}\n{body}", response.status, headers)
}
