//! The deck's own pages: sessions opened, told, reset and closed, by programs of this machine and nobody else.

use crate::support::client;
use crate::support::deck::{Deck, Project};
use crate::support::graph::Graph;
use crate::support::{CONFIG, status, statuses};
use reqwest::{Client, Method, Proxy};
use serde_json::{Value, json};

struct Pages<'a> {
    deck: &'a Deck<'a>,
    client: Client,
}

impl<'a> Pages<'a> {
    fn of(deck: &'a Deck<'a>) -> Self {
        Self { deck, client: Client::builder().no_proxy().build().unwrap() }
    }

    async fn ask(&self, method: Method, page: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = self.client.request(method, self.deck.url(&format!("/_graphdeck/{page}")));
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send().await.unwrap();
        let code = response.status().as_u16();
        (code, serde_json::from_str(&response.text().await.unwrap()).unwrap())
    }

    async fn get(&self, page: &str) -> (u16, Value) {
        self.ask(Method::GET, page, None).await
    }

    async fn open(&self, body: Value) -> (u16, Value) {
        self.ask(Method::POST, "sessions", Some(body)).await
    }

    /// POSTs a status in a session, and returns the code and the id.
    async fn post(&self, session: &str, name: &str) -> (u16, Value) {
        let url = self.deck.url(&format!("/_graphdeck/s/{session}{}", statuses(CONFIG)));
        let request = self.client.post(url).header("content-type", "application/json").body(status(name));
        let response = request.send().await.unwrap();
        let code = response.status().as_u16();
        (code, serde_json::from_str::<Value>(&response.text().await.unwrap()).unwrap()["id"].take())
    }
}

/// A project with two recordings, of Ada and of Bob.
async fn recorded() -> Project {
    let (project, graph) = (Project::new(), Graph::start().await);
    for name in ["Ada", "Bob"] {
        let deck = project.record(&name.to_lowercase(), &graph, &[]);
        assert_eq!(Pages::of(&deck).post("default", name).await.0, 201);
        assert_eq!(deck.stop().code, Some(0));
    }
    project
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_opened_told_reset_and_closed() {
    let project = recorded().await;
    let deck = project.replay("ada", &["--report", "report.json"]);
    let pages = Pages::of(&deck);
    let wanted = json!({"name": "test", "cassette": "bob", "strict": true, "ids": "derive", "seed": "other"});
    let (code, opened) = pages.open(wanted.clone()).await;
    assert_eq!((code, &opened["cassette"]), (201, &json!("bob")));
    assert_eq!(opened["proxy"], format!("http://test:x@{}", deck.address));
    assert_eq!(opened["url"], deck.url("/_graphdeck/s/test"));
    assert_eq!(pages.open(wanted).await.0, 409);

    let first = pages.post("test", "Bob").await;
    assert_eq!(first.0, 201);
    assert_eq!(pages.post("test", "Bob").await.0, 501, "it is strict");
    assert_eq!(pages.post("default", "Ada").await.0, 201);
    assert_eq!(pages.post("default", "Ada").await.0, 201, "and this one is not");
    let (_, told) = pages.get("sessions/test").await;
    assert_eq!((&told["answered"], &told["missed"]), (&json!(1), &json!(1)));
    assert_eq!(told["misses"][0]["reason"], "alreadyPlayed");

    let (code, told) = pages.ask(Method::POST, "sessions/test/reset", None).await;
    assert_eq!((code, &told["answered"]), (200, &json!(0)));
    assert_eq!(pages.post("test", "Bob").await, first, "it begins again");

    let (_, list) = pages.get("sessions").await;
    let names: Vec<&Value> = list["sessions"].as_array().unwrap().iter().map(|session| &session["name"]).collect();
    assert_eq!(names, ["default", "test"]);
    let (code, closed) = pages.ask(Method::DELETE, "sessions/test", None).await;
    assert_eq!((code, &closed["report"]["answered"], &closed["sealed"]), (200, &json!(1), &Value::Null));
    assert_eq!(pages.get("sessions/test").await.0, 404);
    assert_eq!(deck.stop().code, Some(1), "a miss before the reset is one of the run's");
    let report: Value = serde_json::from_str(&std::fs::read_to_string(project.file("report.json")).unwrap()).unwrap();
    assert_eq!((&report["answered"], &report["missed"]), (&json!(4), &json!(1)));
    assert_eq!(report["sessions"][1]["name"], "test");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_with_seeds_of_their_own_share_a_cassette_that_is_read_once() {
    let project = recorded().await;
    // The first answer is the recorded one, and the id of the second is derived.
    let derived = async |pages: &Pages<'_>, session: &str| {
        assert_eq!(pages.post(session, "Ada").await.0, 201);
        pages.post(session, "Ada").await.1
    };
    let other = project.replay("ada", &["--seed", "other"]);
    let expected = derived(&Pages::of(&other), "default").await;
    let deck = project.replay("ada", &[]);
    let pages = Pages::of(&deck);
    std::fs::remove_file(project.file("cassettes/ada.json")).unwrap();
    for name in ["one", "two"] {
        let (code, opened) = pages.open(json!({"name": name, "seed": "other"})).await;
        assert_eq!(code, 201, "{opened}");
        assert_eq!(derived(&pages, name).await, expected);
        assert_eq!(pages.ask(Method::DELETE, &format!("sessions/{name}"), None).await.0, 200);
    }
    assert_ne!(derived(&pages, "default").await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_is_sealed_when_its_session_is_closed() {
    let (project, graph) = (Project::new(), Graph::start().await);
    let deck = project.record("run", &graph, &[]);
    let pages = Pages::of(&deck);
    assert_eq!(pages.open(json!({"name": "one", "cassette": "ada"})).await.0, 201);
    let (code, refused) = pages.open(json!({"name": "two", "cassette": "ada"})).await;
    assert_eq!(code, 400, "{refused}");
    assert!(
        refused["error"]["message"].as_str().unwrap().contains("the session `one` records ada already"),
        "{refused}"
    );
    assert_eq!(pages.open(json!({"name": "two", "strict": true})).await.0, 400);
    assert_eq!(pages.post("one", "Ada").await.0, 201);
    assert_eq!(pages.ask(Method::POST, "sessions/one/reset", None).await.0, 400);
    let (_, closed) = pages.ask(Method::DELETE, "sessions/one", None).await;
    assert_eq!(closed["sealed"], "recorded 1 exchange to cassettes/ada.json");
    assert!(project.cassette("ada").contains("Ada"));
    // What was sealed in this run is not replaced by a late request; with --append it goes on.
    assert_eq!(pages.post("one", "Ada").await.0, 201, "a session of that name has a cassette of that name");
    let (code, refused) = pages.open(json!({"name": "two", "cassette": "ada"})).await;
    assert_eq!(code, 400);
    assert!(refused["error"]["message"].as_str().unwrap().contains("sealed in this run"), "{refused}");
    assert_eq!(deck.stop().code, Some(0));
    assert!(project.cassette("ada").contains("Ada") && project.cassette("one").contains("Ada"));

    let deck = project.record("run", &graph, &["--append"]);
    let pages = Pages::of(&deck);
    for name in ["Bob", "Cyd"] {
        assert_eq!(pages.post("one", name).await.0, 201);
        assert_eq!(pages.ask(Method::DELETE, "sessions/one", None).await.0, 200);
    }
    assert_eq!(deck.stop().code, Some(0));
    let one = project.cassette("one");
    assert!(["Ada", "Bob", "Cyd"].iter().all(|name| one.contains(name)), "{one}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_makes_no_sense_is_refused_in_words() {
    let project = recorded().await;
    let deck = project.replay("ada", &[]);
    let pages = Pages::of(&deck);
    let mut told = Vec::new();
    for body in [
        json!({"name": "a b"}),
        json!({"name": "x", "casette": "bob"}),
        json!({"name": "x", "cassette": "nobody"}),
        json!({"name": "x", "cassette": "../x"}),
        json!({"name": "x", "ids": "derived"}),
        json!({"cassette": "bob"}),
        json!([]),
    ] {
        let (code, refused) = pages.open(body).await;
        told.push(format!("{code} {}", refused["error"]["message"].as_str().unwrap()));
    }
    for (method, page) in [
        (Method::GET, "sessions/nobody"),
        (Method::DELETE, "sessions/default"),
        (Method::POST, "sessions/nobody/reset"),
        (Method::PUT, "sessions"),
        (Method::GET, "nothing"),
    ] {
        let (code, refused) = pages.ask(method, page, None).await;
        told.push(format!("{code} {}", refused["error"]["message"].as_str().unwrap()));
    }
    let form = pages.client.post(deck.url("/_graphdeck/sessions")).body("name=x").send().await.unwrap();
    told.push(format!("{} {}", form.status().as_u16(), form.text().await.unwrap().trim_end()));
    insta::assert_snapshot!(project.tidy(&told.join("\n")));
    assert_eq!(pages.post("default", "Ada").await.0, 201, "nobody else was disturbed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_elsewhere_cannot_drive_the_deck() {
    let project = recorded().await;
    let deck = project.replay("ada", &[]);
    let pages = Pages::of(&deck);
    let own = format!("http://{}", deck.address);
    for (header, value, code) in [
        ("host", "rebound.example:8080", 403),
        ("host", "graphdeck.local", 403),
        ("host", "deck:8080", 200),
        ("host", "localhost:1", 200),
        ("host", "[::1]:8080", 200),
        ("origin", "https://example.com", 403),
        ("origin", "null", 403),
        ("origin", own.as_str(), 200),
        ("sec-fetch-site", "cross-site", 403),
        ("sec-fetch-site", "same-origin", 200),
    ] {
        let request = pages.client.get(deck.url("/_graphdeck/health")).header(header, value);
        assert_eq!(request.send().await.unwrap().status().as_u16(), code, "{header}: {value}");
    }
    // Nor may it name sessions, or speak to Graph through the deck's own address.
    for path in ["/_graphdeck/s/x/v1.0/me", "/v1.0/me"] {
        for (header, value) in
            [("origin", "http://evil.example"), ("host", "evil.example"), ("sec-fetch-site", "cross-site")]
        {
            let request = pages.client.get(deck.url(path)).header(header, value);
            assert_eq!(request.send().await.unwrap().status().as_u16(), 403, "{path} {header}: {value}");
        }
    }
    // Through a tunnel to Graph these are Graph's own paths.
    let ca_pem = project.run(&["ca"]).stdout;
    let through = client::through(&deck, &ca_pem).get("https://graph.microsoft.com/_graphdeck/health").send();
    assert_eq!(through.await.unwrap().status(), 501);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_the_proxy_the_deck_has_a_name() {
    let project = recorded().await;
    let deck = project.replay("ada", &[]);
    let proxy = Proxy::http(format!("http://{}", deck.address)).unwrap();
    let client = Client::builder().no_proxy().proxy(proxy).build().unwrap();
    for page in ["health", "_graphdeck/health"] {
        let told = client.get(format!("http://graphdeck.local/{page}")).send().await.unwrap();
        assert_eq!(told.text().await.unwrap(), "{\"status\":\"ok\",\"mode\":\"replay\"}\n");
    }
    let own = client.get(deck.url("/_graphdeck/health")).send().await.unwrap();
    assert_eq!(own.status(), 200, "its own address works through itself too");
    let other = client.get("http://192.0.2.1/_graphdeck/health").send().await.unwrap();
    assert_eq!(other.status(), 403, "another's does not: a replay is offline");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_that_is_described_is_there() {
    let project = recorded().await;
    let deck = project.replay("ada", &[]);
    let pages = Pages::of(&deck);
    let (_, described) = pages.get("openapi.json").await;
    pages.open(json!({"name": "test"})).await;
    for (path, methods) in described["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys().filter(|method| *method != "parameters") {
            let page = path[1..].replace("{name}", "test");
            let method: Method = method.to_uppercase().parse().unwrap();
            let body = (method == "POST" && page == "sessions").then(|| json!({"name": "other"}));
            let mut request = pages.client.request(method.clone(), deck.url(&format!("/_graphdeck/{page}")));
            if let Some(body) = body {
                request = request.header("content-type", "application/json").body(body.to_string());
            }
            let code = request.send().await.unwrap().status().as_u16().to_string();
            let known = &methods[method.as_str().to_lowercase().as_str()]["responses"];
            assert!(known[&code].is_object() && code.starts_with('2'), "{method} {page}: {code}");
            // Deleting comes before what needs it in the order of names.
            pages.open(json!({"name": "test"})).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_follow_one_another_in_a_recording() {
    let (project, graph) = (Project::new(), Graph::start().await);
    let deck = project.record("run", &graph, &[]);
    let pages = Pages::of(&deck);
    for name in ["one", "two", "three"] {
        assert_eq!(pages.post(name, name).await.0, 201);
        let (code, closed) = pages.ask(Method::DELETE, &format!("sessions/{name}"), None).await;
        assert_eq!((code, closed["report"]["holes"].as_u64()), (200, Some(0)));
        assert!(project.cassette(name).contains(name));
    }
    let (code, late) = pages.post("one", "late").await;
    assert_eq!((code, late), (400, Value::Null), "what was sealed is not replaced by a late request");
    let ended = deck.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(project.cassette("one").contains("one"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closing_goes_on_when_who_asked_for_it_has_gone() {
    let (arrived, mut arrival) = tokio::sync::mpsc::unbounded_channel();
    let (release, released) = tokio::sync::watch::channel(false);
    let graph = Graph::answering_later(move |_| {
        let (arrived, mut released) = (arrived.clone(), released.clone());
        Box::pin(async move {
            arrived.send(()).unwrap();
            released.wait_for(|released| *released).await.unwrap();
            crate::support::graph::Reply::json(201, &json!({"id": "slow.status.1"}))
        })
    })
    .await;
    let project = Project::new();
    let deck = project.record("run", &graph, &[]);
    let (client, url) = (Client::builder().no_proxy().build().unwrap(), deck.url("/_graphdeck/s/slow"));
    let request = client.post(format!("{url}{}", statuses(CONFIG))).header("content-type", "application/json");
    let slow = tokio::spawn(request.body(status("Ada")).send());
    arrival.recv().await.unwrap();
    // Who closes it waits for the exchange under way, and gives up.
    let closing = client.delete(deck.url("/_graphdeck/sessions/slow"));
    let closing = closing.timeout(std::time::Duration::from_millis(200)).send().await;
    assert!(closing.unwrap_err().is_timeout());
    release.send(true).unwrap();
    assert_eq!(slow.await.unwrap().unwrap().status(), 201);
    let ended = deck.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("recorded 1 exchange to cassettes/slow.json"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_that_cannot_be_sealed_fails_the_run_and_says_where_it_is() {
    let (project, graph) = (Project::new(), Graph::start().await);
    let deck = project.record("run", &graph, &[]);
    let pages = Pages::of(&deck);
    assert_eq!(pages.post("one", "Ada").await.0, 201);
    // A folder stands where the file should.
    std::fs::create_dir_all(project.file("cassettes/one.json/x")).unwrap();
    let (code, refused) = pages.ask(Method::DELETE, "sessions/one", None).await;
    assert_eq!(code, 400, "{refused}");
    let ended = deck.stop();
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("graphdeck cassette export one --take"), "{}", ended.stderr);
}
