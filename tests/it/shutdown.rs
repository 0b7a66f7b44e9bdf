//! Signals: exchanges under way finish, the take is sealed; a second signal stops at once and loses nothing.

use crate::support::client::through;
use crate::support::deck::{Deck, Project, Signal};
use crate::support::graph::{Graph, Reply};
use crate::support::{CONFIG, status, statuses};
use std::sync::Mutex;
use tokio::sync::oneshot;

/// A Graph that answers the first request at once, and the second when it is let go.
async fn slow_graph() -> (Graph, oneshot::Sender<()>) {
    let (go, until) = oneshot::channel::<()>();
    let until = Mutex::new(vec![None, Some(until)].into_iter());
    let graph = Graph::answering_later(move |_| {
        let until = until.lock().unwrap().next().unwrap();
        Box::pin(async move {
            if let Some(until) = until {
                until.await.unwrap();
            }
            Reply::new(201, "{}")
        })
    })
    .await;
    (graph, go)
}

/// Asks twice, and returns when the second request has reached Graph.
async fn ask_twice(
    deck: &Deck<'_>,
    ca_pem: &str,
    graph: &Graph,
) -> tokio::task::JoinHandle<reqwest::Result<reqwest::Response>> {
    let client = through(deck, ca_pem);
    let post = |name: &str| client.post(format!("https://graph.microsoft.com{}", statuses(CONFIG))).body(status(name));
    post("first").send().await.unwrap();
    let second = tokio::spawn(post("second").send());
    graph.wait_for(2).await;
    second
}

/// Waits until the deck takes no more connections: it has had a signal then.
async fn until_closed(deck: &Deck<'_>) {
    while tokio::net::TcpStream::connect(deck.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exchange_under_way_finishes_and_is_sealed() {
    for signal in [Signal::TERM, Signal::INT] {
        let (project, (graph, go)) = (Project::new(), slow_graph().await);
        let ca_pem = project.run(&["ca"]).stdout;
        let deck = project.record("slow", &graph, &[]);
        let second = ask_twice(&deck, &ca_pem, &graph).await;
        deck.signal(signal);
        until_closed(&deck).await;
        go.send(()).unwrap();
        assert_eq!(second.await.unwrap().unwrap().status(), 201);
        let ended = deck.wait();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(project.cassette_json("slow")["exchanges"].as_array().unwrap().len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_stops_at_once_and_loses_nothing() {
    let (project, (graph, _go)) = (Project::new(), slow_graph().await);
    let ca_pem = project.run(&["ca"]).stdout;
    let deck = project.record("slow", &graph, &[]);
    let second = ask_twice(&deck, &ca_pem, &graph).await;
    deck.signal(Signal::TERM);
    until_closed(&deck).await;
    deck.signal(Signal::TERM);
    let ended = deck.wait();
    assert_eq!(ended.code, Some(143), "{}", ended.stderr);
    assert!(ended.stderr.contains("stopped at once; this take is kept, with 1 exchange: "), "{}", ended.stderr);
    assert!(second.await.unwrap().is_err());
    assert_eq!(project.run(&["cassette", "ls"]).stdout, "slow  1 exchange, interrupted take 1\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exchange_that_is_cut_off_is_a_hole() {
    let (project, (graph, _go)) = (Project::new(), slow_graph().await);
    let ca_pem = project.run(&["ca"]).stdout;
    let deck = project.record("slow", &graph, &[]);
    let second = ask_twice(&deck, &ca_pem, &graph).await;
    let ended = deck.stop();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("not recorded, though it should be: POST"), "{}", ended.stderr);
    assert!(second.await.unwrap().is_err());
    assert_eq!(project.cassette_json("slow")["exchanges"].as_array().unwrap().len(), 1);
}

/// Ctrl-C goes to the deck and its program at once, and whichever ends first the recording is sealed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupt_of_the_whole_group_seals_the_recording() {
    use std::os::unix::process::CommandExt;
    let (project, graph) = (Project::new(), Graph::start().await);
    let url = format!("https://graph.microsoft.com{}", statuses(CONFIG));
    let script = format!("curl -sS -o /dev/null -d '{{}}' '{url}'; echo asked >&2; exec sleep 60");
    for round in 0..10 {
        let mut command = project.command(&["record", &format!("group-{round}"), "--upstream-ca"]);
        command.arg(graph.ca_file()).args(["--connect-to", &format!("graph.microsoft.com={}", graph.address)]);
        command.args(["--", "sh", "-c", &script]).process_group(0);
        let mut deck = Deck::spawn(&project, command);
        deck.wait_for_line("asked");
        deck.signal_group(Signal::INT);
        let ended = deck.wait();
        assert_eq!(ended.code, Some(130), "round {round}: {}", ended.stderr);
        assert!(ended.stderr.contains("recorded 1 exchange to"), "round {round}: {}", ended.stderr);
    }
}

#[test]
fn a_signal_reaches_the_program_and_its_exit_code_is_ours() {
    let project = Project::new();
    project.write("cassettes/user-statuses.json", include_str!("../../cassettes/user-statuses.json"));
    let script = "trap 'exit 7' TERM; echo started >&2; while :; do sleep 0.05; done";
    let command = project.command(&["replay", "user-statuses", "--", "sh", "-c", script]);
    let mut deck = Deck::spawn(&project, command);
    deck.wait_for_line("started");
    let ended = deck.stop();
    assert_eq!(ended.code, Some(7), "{}", ended.stderr);
    assert!(ended.stderr.contains("replayed user-statuses: 0 answered"), "{}", ended.stderr);
}

#[test]
fn a_program_that_ignores_signals_is_killed_by_the_second() {
    let project = Project::new();
    project.write("cassettes/user-statuses.json", include_str!("../../cassettes/user-statuses.json"));
    let script = "trap 'echo ignored >&2' TERM; echo started >&2; while :; do sleep 0.05; done";
    let command = project.command(&["replay", "user-statuses", "--", "sh", "-c", script]);
    let mut deck = Deck::spawn(&project, command);
    deck.wait_for_line("started");
    deck.signal(Signal::TERM);
    deck.wait_for_line("ignored");
    assert_eq!(deck.stop().code, Some(143));
}
