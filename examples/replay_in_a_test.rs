//! A Rust program that is tested against a recording: `cargo run --example replay_in_a_test`.

use graphdeck::Deck;
use reqwest::{Certificate, Client, Proxy};
use std::error::Error;

/// What is tested: it knows Microsoft Graph, and nothing of Graphdeck.
async fn create_status(graph: &Client, configuration: &str) -> Result<String, Box<dyn Error>> {
    let url =
        format!("https://graph.microsoft.com/beta/deviceManagement/deviceConfigurations/{configuration}/userStatuses");
    let status = r##"{"@odata.type": "#microsoft.graph.deviceConfigurationUserStatus", "userDisplayName": "User Display Name value",
        "devicesCount": 12, "status": "notApplicable", "lastReportedDateTime": "2026-11-25T12:00:00Z",
        "userPrincipalName": "User Principal Name value"}"##;
    let answer = graph.post(url).header("content-type", "application/json").body(status).send().await?;
    Ok(answer.error_for_status()?.text().await?)
}

/// The test: a deck, a client that goes through it, what is tested, and what came of it.
#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<(), Box<dyn Error>> {
    let deck = Deck::replay("cassettes/user-statuses.json").start().await?;
    let graph = Client::builder()
        .proxy(Proxy::https(deck.proxy())?)
        .tls_certs_only([Certificate::from_pem(deck.ca_pem().as_bytes())?])
        .build()?;
    // An id of its own: no recording knows it.
    let created = create_status(&graph, "6f9619ff-8b86-4d01-b42d-00cf4fc964ff").await?;
    assert!(created.contains(r#""status":"notApplicable""#), "{created}");
    let report = deck.report();
    assert_eq!((report.answered, report.missed), (1, 0));
    Ok(())
}
