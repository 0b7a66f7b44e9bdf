//! The player: finds a request on tape and speaks the answer. There is no network in it, and nothing to await.

use super::tally::Tally;
use super::trouble::{Asked, Fault, Trouble};
use crate::tape::bindings::Bindings;
use crate::tape::exchange::{Request, Taped};
use crate::tape::index::Index;
use crate::tape::lexicon::Lexicon;
use crate::tape::matching::Reading;
use crate::tape::miss::{Miss, Unanswered};
use crate::tape::played::{self, Damaged};
use crate::tape::playing::{self, Answer, Decided, Manner};
use crate::tape::reading_cache::RawRequest;
use crate::tape::scribe;
use crate::tape::script::Message;
use http::Response;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Plays one cassette to one program.
#[derive(Debug)]
pub struct Player {
    index: Arc<Index>,
    manner: Manner,
    bindings: Mutex<Bindings>,
    /// What a session knows that has settled nothing: enough for what stands alone.
    nothing: Bindings,
    tally: Arc<Tally>,
    trouble: Trouble,
}

impl Player {
    /// A player at the begin of the tape.
    #[must_use]
    pub fn new(index: Arc<Index>, manner: Manner, tally: Arc<Tally>) -> Self {
        let (bindings, nothing) = (Mutex::default(), Bindings::default());
        Self { index, manner, bindings, nothing, tally, trouble: Trouble::default() }
    }

    /// The same with trouble on demand.
    #[must_use]
    pub fn with_trouble(self, trouble: Trouble) -> Self {
        Self { trouble, ..self }
    }

    /// The trouble on demand.
    #[must_use]
    pub fn trouble(&self) -> &Trouble {
        &self.trouble
    }

    /// What has happened so far.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The numbers of the exchanges that have answered nothing so far, counted from 0.
    #[must_use]
    pub fn unused(&self) -> Vec<u32> {
        let bindings = self.bindings();
        (0..).take(self.index.len()).filter(|number| bindings.played(*number) == 0).collect()
    }

    /// What an exchange is called, whose number is counted from 0: its number from 1, method and address.
    #[must_use]
    pub fn name(&self, number: u32) -> String {
        played::whole(|| self.index.name(number)).unwrap_or_else(|Damaged| format!("exchange {}", number + 1))
    }

    /// The name of a rule: its route.
    #[must_use]
    pub fn rule_name(&self, number: usize) -> &str {
        self.index.rule_name(number)
    }

    /// The ids of a request that Graph made up when the tape was recorded: it may know them no more.
    #[must_use]
    pub fn minted_ids(&self, request: &Taped<Request>) -> Vec<String> {
        playing::minted_ids(&self.index, request)
    }

    /// A request as it is compared: without its secrets.
    #[must_use]
    pub fn taped(&self, request: Request) -> Taped<Request> {
        scribe::tape_request(request, self.index.secrets())
    }

    /// The fault that a request gets on demand, if it gets one. Nothing on tape is used up by it: a retry meets it.
    pub fn strike(&self, request: &Taped<Request>, asked: Asked<'_>) -> Option<Fault> {
        let fault = self.trouble.strike(asked, || playing::key(&self.index, request))?;
        tracing::debug!("the fault `{}` is the answer to {} {}", fault.name, request.method, request.url());
        self.tally.faulted(&fault.name);
        Some(fault)
    }

    /// How long the answer to a request takes, in milliseconds.
    #[must_use]
    pub fn latency(&self, request: &Taped<Request>, answer: &Answer) -> u64 {
        self.trouble.latency(answer.took, || playing::key(&self.index, request))
    }

    /// Whether a request would be answered from tape.
    #[must_use]
    pub fn has(&self, request: &Taped<Request>) -> bool {
        let mut bindings = self.bindings();
        playing::is_on_tape(&self.index, &mut bindings, self.manner, request)
    }

    /// Answers a request from tape.
    ///
    /// # Errors
    /// A [`Miss`] that says why nothing answers.
    pub fn answer(&self, request: &Taped<Request>) -> Result<Answer, Box<Miss>> {
        self.answer_raw(request, None)
    }

    /// The same, and next time one that differs by its GUIDs only is [recalled](Self::recall); `raw` is how it came.
    ///
    /// # Errors
    /// A [`Miss`] that says why nothing answers.
    pub fn answer_raw(&self, request: &Taped<Request>, raw: Option<&RawRequest<'_>>) -> Result<Answer, Box<Miss>> {
        // Others are answered while this one is explained.
        let explain = |unanswered: Box<Unanswered>| Box::new(unanswered.explain(&self.index, self.tally.cassette()));
        let answered = played::whole(|| self.find_raw(request, raw).map_err(explain));
        answered
            .unwrap_or_else(|Damaged| Err(Box::new(Miss::damaged(request))))
            .inspect_err(|miss| self.tally.missed(miss))
    }

    /// Answers a request from tape, where it is on it; when it is not, that is no miss yet.
    ///
    /// # Errors
    /// When nothing answers.
    pub fn find(&self, request: &Taped<Request>) -> Result<Answer, Box<Unanswered>> {
        self.find_raw(request, None)
    }

    fn find_raw(&self, request: &Taped<Request>, raw: Option<&RawRequest<'_>>) -> Result<Answer, Box<Unanswered>> {
        let (held, reading) = self.read(request);
        let sought = self.index.seek(&reading);
        let mut bindings = held.unwrap_or_else(|| self.bindings());
        let plain = bindings.lexicon().is_empty();
        let decided = playing::decide(&self.index, &mut bindings, self.manner, sought)
            .map_err(|used| playing::unanswered(&self.index, &mut bindings, request, used))?;
        let answer = self.speak(decided, bindings, |_| Response::default());
        if let Some(raw) = raw.filter(|_| plain) {
            self.index.keep(raw, request, &reading);
        }
        self.answered(&answer, &request.method, &request.host, &request.target);
        Ok(answer)
    }

    /// Answers a request of a kind that was answered before, with other GUIDs: it need not go down the road to tape
    /// again. It is spoken as what `message` begins for the exchange that answers, counted from 1. `None` says nothing yet.
    pub fn recall<M: Message>(
        &self,
        raw: &RawRequest<'_>,
        message: impl FnOnce(usize) -> M,
    ) -> Option<Result<Answer<M>, Box<Miss>>> {
        let reading = self.index.recall(raw)?;
        let sought = self.index.seek(&reading);
        let mut bindings = self.bindings();
        if !bindings.lexicon().is_empty() {
            return None;
        }
        debug_assert_eq!(reading, playing::read(&self.index, &self.taped(raw.request()), &Lexicon::default()));
        let answered = played::whole(|| {
            let decided = playing::decide(&self.index, &mut bindings, self.manner, sought);
            decided.map(|decided| self.speak(decided, bindings, message))
        });
        let answer = match answered {
            Ok(answer) => answer.ok()?,
            Err(Damaged) => {
                let miss = Box::new(Miss::damaged(&self.taped(raw.request())));
                self.tally.missed(&miss);
                return Some(Err(miss));
            }
        };
        self.answered(&answer, raw.method, raw.host, raw.target);
        Some(Ok(answer))
    }

    /// Speaks an answer, and lets others be answered meanwhile where that makes no difference to it.
    fn speak<M: Message>(
        &self,
        decided: Decided<'_>,
        mut bindings: MutexGuard<'_, Bindings>,
        message: impl FnOnce(usize) -> M,
    ) -> Answer<M> {
        let message = message(decided.exchange());
        if !decided.stands_alone(&self.index) {
            return decided.speak(&self.index, &bindings, self.manner, message).settle(&mut bindings);
        }
        drop(bindings);
        decided.speak(&self.index, &self.nothing, self.manner, message).answer
    }

    fn answered<M>(&self, answer: &Answer<M>, method: &str, host: &str, target: &str) {
        tracing::debug!("exchange {} answers {method} https://{host}{target}", answer.exchange);
        self.tally.answered(answer.repeat, answer.allowed.iter().map(|rule| self.index.rule_name(*rule)));
    }

    /// Reads a request; where what the session knows makes a difference to it, what it knows is held from then on.
    fn read(&self, request: &Taped<Request>) -> (Option<MutexGuard<'_, Bindings>>, Reading) {
        let bindings = self.bindings();
        if !bindings.lexicon().is_empty() {
            let reading = playing::read(&self.index, request, bindings.lexicon());
            return (Some(bindings), reading);
        }
        drop(bindings);
        (None, playing::read(&self.index, request, &Lexicon::default()))
    }

    fn bindings(&self) -> MutexGuard<'_, Bindings> {
        // A panic elsewhere leaves the bindings whole: they change only after an answer is certain.
        self.bindings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
