//! The one port: accepts connections, and ends without cutting an exchange off.

use super::connection::{self, Context, Ending};
use super::front::Front;
use super::lingering::{Alone, Linger};
use super::resetting::{Reset, Socket};
use super::reverse::Via;
use crate::session::sessions::Name;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// How long exchanges under way may take when the deck is to end.
const LAST_EXCHANGES: Duration = Duration::from_secs(10);
/// How long to wait when the system has no file descriptor left for another connection.
const BACK_OFF: Duration = Duration::from_millis(50);

/// Serves until `stop` is ready, then lets the exchanges under way finish, for ten seconds at most.
pub async fn serve(listener: TcpListener, front: Arc<Front>, stop: impl Future<Output = ()>) {
    let (end, _) = watch::channel(Ending::No);
    let most = front.limits.connections.min(Semaphore::MAX_PERMITS);
    let places = Arc::new(Semaphore::new(most));
    let alone = Alone::of(&places);
    let mut full = false;
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => match Arc::clone(&places).try_acquire_owned() {
                Ok(place) => {
                    full = false;
                    begin(stream, &front, end.subscribe(), (place, Linger::new(alone.clone(), most)));
                }
                Err(_) if full => {}
                Err(_) => {
                    full = true;
                    tracing::warn!(
                        "more than {most} connections at once: more are closed (limits.connections in config.toml)"
                    );
                }
            },
            Err(fault) => {
                tracing::warn!("a connection could not be accepted: {fault}");
                tokio::time::sleep(BACK_OFF).await;
            }
        }
    }
    drop(listener);
    // Whoever waits for a client's next step stops waiting, whoever is answering goes on to the end of the answer.
    end.send_replace(Ending::Soon);
    if tokio::time::timeout(LAST_EXCHANGES, end.closed()).await.is_err() {
        tracing::warn!("exchanges still under way after {} s are cut off", LAST_EXCHANGES.as_secs());
        end.send_replace(Ending::Now);
        end.closed().await;
    }
}

fn begin(
    stream: TcpStream,
    front: &Arc<Front>,
    ending: watch::Receiver<Ending>,
    (place, linger): (OwnedSemaphorePermit, Linger),
) {
    // Answers are small and written whole: waiting to fill a packet would only delay them.
    let local = stream.set_nodelay(true).and_then(|()| stream.local_addr());
    let Ok(local) = local else { return };
    let reset = Reset::default();
    let stream = Box::new(Socket::new(stream, reset.clone(), linger));
    let (front, session, place) = (Arc::clone(front), Name::default(), Arc::new(place));
    let context = Context { front, ending, local, session, reset, place };
    context.clone().spawn(connection::serve(context, stream, Via::Own));
}
