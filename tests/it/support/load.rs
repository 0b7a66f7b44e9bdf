//! Clients that record as fast as they can until the deck is gone, and what each of them was told.

use super::client::through;
use super::deck::Deck;
use super::graph::{Graph, Reply};
use super::{CONFIG, statuses};
use bytes::Bytes;
use graphdeck::tape::exchange::{Exchange, Taped};
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinSet;

/// How many clients there are.
const CLIENTS: usize = 16;

/// A number that looks like chance, and is the same for the same words.
pub fn chance(words: impl std::fmt::Debug) -> u64 {
    let hash = blake3::hash(format!("{words:?}").as_bytes());
    u64::from_be_bytes(hash.as_bytes()[..8].try_into().unwrap())
}

/// A time below `most` that looks like chance.
pub fn moment(most: Duration, words: impl std::fmt::Debug) -> Duration {
    most.mul_f64(chance(words) as f64 / u64::MAX as f64)
}

/// The body by this name: every part of it says whose it is and which part.
pub fn body(name: &str, size: usize) -> Bytes {
    let mut text = format!(r#"{{"userDisplayName":"{name}","size":{size},"text":""#);
    for part in 0.. {
        if text.len() + 2 >= size {
            break;
        }
        text += &format!("{name} part {part}; ");
    }
    (text + "\"}").into()
}

/// A Graph that answers with what it was sent.
pub async fn echo() -> Graph {
    Graph::answering(|asked| Reply::new(201, asked.body.clone()).with("content-type", "application/json")).await
}

/// The clients of one deck.
pub struct Load {
    told: Arc<Mutex<HashMap<String, usize>>>,
    clients: JoinSet<()>,
}

impl Load {
    /// Starts them: each posts bodies of these sizes, the small ones more often, until it is refused.
    pub fn start(deck: &Deck<'_>, ca_pem: &str, round: usize, sizes: &Range<usize>) -> Self {
        let told = Arc::new(Mutex::new(HashMap::new()));
        let mut clients = JoinSet::new();
        let spread = (sizes.end as f64 / sizes.start as f64).ln();
        for client in 0..CLIENTS {
            let (told, http, smallest) = (Arc::clone(&told), through(deck, ca_pem), sizes.start as f64);
            clients.spawn(async move {
                for n in 0.. {
                    let name = format!("round {round} client {client} user {n}");
                    let part = chance(&name) as f64 / u64::MAX as f64;
                    let size = (smallest * (spread * part).exp()) as usize;
                    let url = format!("https://graph.microsoft.com{}", statuses(CONFIG));
                    let Ok(answer) = http.post(url).body(body(&name, size)).send().await else { return };
                    // Only who has seen the end of an answer may count on it.
                    let Ok(answer) = answer.bytes().await else { return };
                    assert!(answer == body(&name, size), "{name} got another's answer");
                    told.lock().unwrap().insert(name, size);
                }
            });
        }
        Self { told, clients }
    }

    /// Waits until so many answers were seen to their end.
    pub async fn wait_for(&self, answers: usize) {
        while self.told.lock().unwrap().len() < answers {
            tokio::task::yield_now().await;
        }
    }

    /// Waits until every client was refused, and returns whose answers were seen to their end.
    pub async fn end(self) -> HashMap<String, usize> {
        self.clients.join_all().await;
        Arc::into_inner(self.told).unwrap().into_inner().unwrap()
    }
}

/// Sees that these exchanges are whole, none is there twice, and all that clients were told of are among them.
pub fn assert_kept(exchanges: &[Taped<Exchange>], told: &HashMap<String, usize>) {
    let kept = names(exchanges);
    let lost: Vec<&String> = told.keys().filter(|name| !kept.contains(*name)).collect();
    assert!(lost.is_empty(), "{} of {} lost: {lost:?}", lost.len(), told.len());
}

/// Whose exchanges these are; they are whole, and none is there twice.
pub fn names(exchanges: &[Taped<Exchange>]) -> HashSet<String> {
    let mut names = HashSet::new();
    for exchange in exchanges {
        let sent: serde_json::Value = serde_json::from_slice(&exchange.request.body).unwrap();
        let (name, size) = (sent["userDisplayName"].as_str().unwrap(), sent["size"].as_u64().unwrap());
        let expected = body(name, usize::try_from(size).unwrap());
        assert!(exchange.request.body == expected && exchange.response.body == expected, "{name} is not whole");
        assert!(names.insert(name.to_owned()), "{name} is there twice");
    }
    names
}
