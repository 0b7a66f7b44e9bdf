//! Where the fields of a connection's last request lead: what comes with the same again is answered at once, as bytes.

use super::control;
use super::front::Front;
use super::outgoing::Outgoing;
use super::refusal::{self, CLIENT_REQUEST_ID, Fault};
use super::wire_answer::{self, WireAnswer};
use crate::session::{HostKind, Session, Target};
use crate::tape::reading_cache::RawRequest;
use crate::wire::framing::Again;
use http::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, EXPECT, HeaderMap, HeaderName, HeaderValue, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{Request, Version};
use std::sync::Arc;

/// Fields that ask for more than an answer, or by which a body is more than its bytes.
const UNUSUAL: [HeaderName; 6] = [TRANSFER_ENCODING, CONTENT_ENCODING, EXPECT, UPGRADE, TE, TRAILER];
/// Whose answers have a body: one to a HEAD has none, and whatever else there is goes the long way.
const METHODS: [&str; 5] = ["GET", "POST", "PATCH", "PUT", "DELETE"];

/// Where the fields of a request lead, whatever its target in origin form and its body are. It keeps its session, also one
/// that was closed, until the connection ends or another request goes the long way.
#[derive(Debug)]
pub struct Road {
    /// The number of the last request that went it the long way.
    number: u64,
    /// How often the sessions had changed then.
    changes: u64,
    session: Arc<Session>,
    target: Target,
    content_type: Box<[u8]>,
    mark: Option<HeaderValue>,
}

/// Whether others with the fields of a request may go its road, where its path [is Graph's](is_graphs): it asks for nothing
/// but an answer.
#[must_use]
#[inline]
pub fn begins<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    let is_kept = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"keep-alive");
    request.version() == Version::HTTP_11
        && request.uri().authority().is_none()
        && headers.get_all(CONNECTION).iter().all(is_kept)
        && !UNUSUAL.iter().any(|name| headers.contains_key(name))
}

/// Whether a target can only be one of Graph's: it is in origin form, and none of the deck's own, by which a session may be
/// named.
pub fn is_graphs(target: &str) -> bool {
    target.starts_with('/') && !control::is_own(target)
}

impl Road {
    /// The road that a request went, which is the connection's one of this number, when the sessions had changed so often.
    /// None where no answer from tape lies at its end.
    pub fn of(
        (number, changes): (u64, u64),
        session: &Arc<Session>,
        target: &Target,
        headers: &HeaderMap,
        before: Option<Self>,
    ) -> Option<Self> {
        let Session::Replay(player) = &**session else { return None };
        if player.trouble().is_none() && target.kind == HostKind::Graph {
            let content_type = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
            let mark = headers.get(&CLIENT_REQUEST_ID);
            // It is made anew only where it is another one.
            let same = before.filter(|it| {
                let same_end = Arc::ptr_eq(&it.session, session) && it.target == *target;
                same_end && *it.content_type == *content_type && it.mark.as_ref() == mark
            });
            return Some(same.map_or_else(
                || {
                    // A copy: what hyper read is not kept.
                    let mark = mark.map(|mark| HeaderValue::from_bytes(mark.as_bytes()).expect("it was one"));
                    let (session, target) = (Arc::clone(session), target.clone());
                    Self { number, changes, session, target, content_type: content_type.into(), mark }
                },
                |same| Self { number, changes, ..same },
            ));
        }
        None
    }

    /// Appends the answer to a request, as it goes to the client, if it came before but for its GUIDs.
    pub fn recall(&self, front: &Front, request: &Again<'_>, answer: &mut Outgoing) -> bool {
        let leads = self.number >= request.since && self.changes == front.sessions.changes();
        let Session::Replay(player) = &*self.session else { return false };
        if !leads
            || !METHODS.contains(&request.method)
            || !is_graphs(request.target)
            || request.body.len() > front.body_limit.bytes
        {
            return false;
        }
        let mark = request.mark.or(self.mark.as_ref().map(HeaderValue::as_bytes));
        let recalled = player.recall(&self.raw(request), |exchange| WireAnswer::new(answer, mark, exchange));
        match recalled.map(|recalled| recalled.map(drop)) {
            None => return false,
            Some(Ok(())) => {}
            Some(Err(miss)) => {
                // It was empty, and may have been begun.
                answer.clear();
                let mark = mark.map(|mark| HeaderValue::from_bytes(mark).expect("it came in a header"));
                wire_answer::append(&refusal::refused(&Fault::Miss(miss), mark), answer);
            }
        }
        true
    }

    fn raw<'a>(&'a self, request: &Again<'a>) -> RawRequest<'a> {
        let Again { method, target, body, .. } = *request;
        RawRequest { method, host: &self.target.host, target, content_type: &self.content_type, body }
    }
}
