//! HTTP/2 by the book: what RFC 9113 and RFC 7541 refuse is refused, and nothing of it is sent on.

use crate::support::client::trusting;
use crate::support::deck::Project;
use crate::support::frames::{self, ACK, DATA, Frame, GOAWAY, HEADERS, RST_STREAM};
use crate::support::graph::{Graph, Reply};
use crate::support::http2::{BAD, Case, PROTOCOL, SOUND, Step, Wants, get};
use crate::support::{http2_frames, http2_requests};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

/// Where the library that reads frames for the deck does not what the RFC says: `docs/threat-model.md` tells of each.
const DIFFERENT: [&str; 3] =
    ["PING instead of the first SETTINGS", "HEADERS instead of the first SETTINGS", "trailers with a pseudo-field"];

/// Where it ends the connection as the RFC says, or more than that, but says `PROTOCOL_ERROR` for the exact reason.
const LESS_EXACT: [&str; 19] = [
    "half-closed: DATA",
    "PRIORITY of another length",
    "RST_STREAM of another length",
    "SETTINGS with ACK and content",
    "SETTINGS that are cut",
    "INITIAL_WINDOW_SIZE above 2^31-1",
    "PING of another length",
    "WINDOW_UPDATE of another length",
    "an index behind both tables",
    "a name's index behind both tables",
    "a table's size at the end of a block",
    "a number that does not end",
    "a text that is cut",
    "Huffman padding of more than 7 bits",
    "Huffman padding of zeros",
    "Huffman text with EOS",
    "the index 0",
    "a table larger than SETTINGS say",
    "a block that cannot be read, of a stream that is refused",
];

/// The stream of a request that tells when all before it was read.
const PROBE: u32 = 9001;

/// What came of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The connection ended, with the code of a GOAWAY if one could be read.
    Ended(Option<u32>),
    /// The stream was reset.
    Reset(u32),
    /// It was answered, well or not.
    Answered(Answer),
    /// A frame of this kind with ACK came.
    Acknowledged(u8),
    /// Nothing came before the probe was answered.
    Passed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Ok,
    BadRequest,
    Other,
}

impl Answer {
    /// The status, as the first field of a block has it (RFC 7541 appendix A), behind any change of the table's size.
    fn of(block: &[u8]) -> Self {
        match block.iter().find(|byte| **byte & 0xe0 != 0x20) {
            Some(0x88) => Self::Ok,
            Some(0x8c) => Self::BadRequest,
            _ => Self::Other,
        }
    }
}

fn is_as_wanted(case: &Case, outcome: Outcome) -> bool {
    match (case.wants, outcome) {
        (Wants::Connection(_) | Wants::Stream(_), Outcome::Ended(Some(PROTOCOL)))
            if LESS_EXACT.contains(&case.name) =>
        {
            true
        }
        (Wants::Answer, outcome) => outcome == Outcome::Answered(Answer::Ok),
        (Wants::Acknowledged(kind), outcome) => outcome == Outcome::Acknowledged(kind),
        // A GOAWAY is lost where the system resets a connection with bytes that nobody has read.
        (_, Outcome::Ended(None)) => true,
        (Wants::Connection(codes), Outcome::Ended(Some(code))) => codes.contains(&code),
        (Wants::Stream(codes), Outcome::Ended(Some(code)) | Outcome::Reset(code)) => codes.contains(&code),
        (Wants::Malformed, outcome) => {
            matches!(outcome, Outcome::Ended(_) | Outcome::Reset(_) | Outcome::Answered(Answer::BadRequest))
        }
        _ => false,
    }
}

/// What has come of a case so far.
#[derive(Default)]
struct Heard {
    goaway: Option<u32>,
    reset: Option<u32>,
    statuses: Vec<(u32, Answer)>,
    ended: Vec<u32>,
    acknowledged: Vec<u8>,
    data: Vec<(u32, usize)>,
    closed: bool,
}

impl Heard {
    /// Reads frames until it is enough, or there are no more.
    fn listen(&mut self, stream: &mut impl Read, is_enough: impl Fn(&Self) -> bool) {
        while !self.closed && !is_enough(self) {
            match frames::next(stream) {
                Some(frame) => self.hear(&frame),
                None => self.closed = true,
            }
        }
    }

    fn hear(&mut self, frame: &Frame) {
        match frame.kind {
            GOAWAY if frame.code() != 0 => self.goaway = Some(frame.code()),
            // After an answer, what is left of its request need not come (RFC 9113 section 8.1).
            RST_STREAM if frame.stream != PROBE && frame.code() != 0 => self.reset = Some(frame.code()),
            RST_STREAM => self.ended.push(frame.stream),
            HEADERS => self.statuses.push((frame.stream, Answer::of(&frame.payload))),
            DATA => self.data.push((frame.stream, frame.payload.len())),
            kind if frame.flags & ACK != 0 => self.acknowledged.push(kind),
            _ => {}
        }
        if frame.ends_stream() {
            self.ended.push(frame.stream);
        }
    }

    /// Whether it is over with the connection or the case's stream. Where a GOAWAY came, the end must follow.
    fn is_over(&self) -> bool {
        self.goaway.is_none() && self.reset.is_some()
    }

    fn answered(&self) -> Option<Answer> {
        let ended = |(stream, _): &&(u32, Answer)| self.ended.contains(stream) && *stream != PROBE;
        self.statuses.iter().rev().find(ended).map(|(_, answer)| *answer)
    }
}

fn outcome(mut stream: impl Read + Write, case: &Case) -> Outcome {
    let mut heard = Heard::default();
    for step in &case.steps {
        match step {
            // Where the deck has ended the connection meanwhile, that is what is read below.
            Step::Send(bytes) => drop(stream.write_all(bytes).and_then(|()| stream.flush())),
            Step::Ended(id) => heard.listen(&mut stream, |heard| heard.ended.contains(id)),
            Step::Data(id, length) => {
                heard.listen(&mut stream, |heard| !heard.data.is_empty());
                assert_eq!(heard.data, [(*id, *length)], "{}", case.name);
            }
        }
    }
    match case.wants {
        Wants::Acknowledged(kind) => {
            heard.listen(&mut stream, |heard| heard.is_over() || heard.acknowledged.contains(&kind));
            if heard.acknowledged.contains(&kind) {
                return Outcome::Acknowledged(kind);
            }
        }
        Wants::Answer => {
            let last = |heard: &Heard| heard.statuses.iter().map(|(stream, _)| *stream).max();
            heard.listen(&mut stream, |heard| {
                heard.goaway.is_none() && last(heard).is_some_and(|last| heard.ended.contains(&last)) || heard.is_over()
            });
        }
        Wants::Malformed => heard.listen(&mut stream, |heard| heard.is_over() || heard.ended.contains(&1)),
        Wants::Connection(_) | Wants::Stream(_) => {
            drop(stream.write_all(&get(PROBE)).and_then(|()| stream.flush()));
            heard.listen(&mut stream, |heard| {
                heard.is_over() || (heard.goaway.is_none() && heard.ended.contains(&PROBE))
            });
        }
    }
    match (heard.goaway, heard.reset, heard.closed, heard.answered()) {
        (Some(code), ..) => Outcome::Ended(Some(code)),
        (_, Some(code), ..) => Outcome::Reset(code),
        (_, _, true, _) => Outcome::Ended(None),
        (.., Some(answer)) if !matches!(case.wants, Wants::Connection(_) | Wants::Stream(_)) => {
            Outcome::Answered(answer)
        }
        _ => Outcome::Passed,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_and_fields_are_taken_as_the_rfcs_have_them() {
    let graph = Graph::answering(|_| Reply::new(200, "{}")).await;
    let project = Project::new();
    let mut config = trusting(&project.run(&["ca"]).stdout);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let config = Arc::new(config);
    let deck = project.record("conforming", &graph, &["--all"]);
    let cases: Vec<Case> = http2_frames::cases().into_iter().chain(http2_requests::cases()).collect();
    assert!(cases.len() >= 70, "{}", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let connect = || {
            let stream = TcpStream::connect(deck.address).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
            stream
        };
        let name = ServerName::try_from("graph.microsoft.com").unwrap();
        let tls = StreamOwned::new(ClientConnection::new(Arc::clone(&config), name).unwrap(), connect());
        for (way, outcome) in [("plain", outcome(connect(), case)), ("in TLS", outcome(tls, case))] {
            if is_as_wanted(case, outcome) == DIFFERENT.contains(&case.name) {
                wrong.push(format!(
                    "{} {}, {way}: {outcome:?}, and {:?} is wanted",
                    case.section, case.name, case.wants
                ));
            }
        }
    }
    eprintln!("{} cases", cases.len());
    let targets: Vec<String> = graph.asked().into_iter().map(|asked| asked.target).collect();
    wrong.extend(targets.iter().filter(|target| *target != SOUND).map(|target| format!("{target} was sent on")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(targets.len() > 20 && !targets.iter().any(|target| target == BAD));
}
