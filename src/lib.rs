//! Graphdeck records what a program says to Microsoft Graph and answers it offline, with ids that fit the run.
//!
//! For Rust tests there is [`Deck`]. This page is the map: the floors, the five promises, and the walk of one request.
//!
//! # The floors
//!
//! A room names only rooms below it; `tests/it/architecture.rs` sees to it.
//!
//! ```text
//! main.rs              the program: arguments in, exit code out
//! deck.rs              the library's door: a replay within a Rust test
//! cli/                 the command line: flags and environment over the settings
//!   arguments.rs         what it may say
//! app/                 puts the rooms together and runs them
//!   run.rs               a recording or a replay, from the settings to the exit code
//!   certificates.rs      the root certificate as the settings need it
//!   opening.rs           sessions opened, and what they recorded sealed
//!   telling.rs           how a run went, to people and to files
//!   progress.rs          how far long work is
//!   explain.rs           what would answer a request
//!   library.rs           the commands on cassettes
//!   scanning.rs          what should not be in a cassette
//!   importing.rs         files of other tools, made into cassettes
//!   diffing.rs           what changed between two cassettes
//!   verifying.rs         whether Graph still answers as it was recorded
//!   readying.rs          large cassettes, made ready piece by piece
//!   workers.rs           work spread over the cores
//!   sealing.rs           from a take to a cassette
//! child.rs             runs a program behind the deck: proxy and trust variables
//! config/              config.toml: as it is meant, and in
//!   limits.rs            the section [limits]
//!   redaction.rs         the section [redact]
//!   trouble.rs           faults, limits and latency on demand
//!   written.rs           as it is written, each key with its line
//!   values.rs            hosts and addresses in it
//!
//! proxy/               FLOOR 4: what listens
//!   server.rs            one port: accepts, and ends without cutting an exchange off
//!   connection.rs        one connection: TLS, HTTP, tunnels
//!   preface.rs           its first bytes
//!   protocol.rs          HTTP/1 or HTTP/2 on it, within limits
//!   framed.rs            HTTP/1 that is framed beyond doubt, and no other
//!   shortcut.rs          requests that came before, answered at once
//!   wire_answer.rs       their answers as bytes
//!   outgoing.rs          bytes on their way
//!   fields.rs            fields that read one way in every version
//!   seldom.rs            its end, looked for when there is reason to
//!   activity.rs          whether anything happens on it
//!   forward.rs           CONNECT and absolute form
//!   reverse.rs           origin form
//!   troubled.rs          faults on demand, as clients meet them
//!   resetting.rs         a socket that can be reset
//!   lingering.rs         the next request looked for a moment longer
//!   naming.rs            which session a request belongs to
//!   control.rs           the deck's own pages
//!   answer.rs            one request in, one response out
//!   batched.rs           the same for the requests in a batch
//!   refusal.rs           faults become Graph-shaped errors
//!   front.rs             what all connections share
//!
//! session/             FLOOR 3: one run
//!   sessions.rs          its sessions, by name
//!   name.rs              a name, and why there is none of it
//!   wanted.rs            one as it is wanted
//!   record.rs            the recorder: asks Graph, writes it down
//!   replay.rs            the player: finds it on tape, speaks it; no network, nothing to await
//!   auto.rs              both: plays what is on tape, records the rest
//!   trouble.rs           faults, throttling and latency on demand
//!   tally.rs             what happens, counted
//!   report.rs            what happened, to be told
//!   missed.rs            a miss in it
//!   rendering.rs         in the forms of others: JUnit, Markdown, annotations
//!
//! store/               FLOOR 2: what survives on disk
//!   takes.rs             what recording needs of a store
//!   journal.rs           the store on sled
//!   orders.rs            who commits: one thread for all, or whoever is alone
//!   committer.rs         what a commit is
//!   backlog.rs           what it has committed and the engine has not
//!   log.rs               a file in which a commit is one write and one sync
//!   frames.rs            what stands in it; pure
//!   filler.rs            the thread that puts it into the engine
//!   engine.rs            sled, its panics caught and its writes synced
//!   rows.rs              the rows
//!   counts.rs            how many were acknowledged, kept outside it
//!   format.rs            which version of it this is
//!   cassettes.rs         cassette files
//!   indexes.rs           the indexes of large ones, beside the store
//!   people_key.rs        the key of stand-ins, beside it too
//! wire/                FLOOR 2: the network seen from inside
//!   message.rs           HTTP messages, streamed, held, owned
//!   framing.rs           where an HTTP/1 request ends
//!   head.rs              its head
//!   coding.rs            content codings
//!   tls.rs               the crypto provider, roots, trust bundles
//!   root.rs              the root certificate, and the key that signs in its name
//!   constraints.rs       the hosts that it is good for
//!   authority.rs         the leaves that are signed for hosts
//!   upstream.rs          the way to the real Graph
//!   reach.rs             which other hosts may be reached
//! formats/             FLOOR 2: how other tools write exchanges down; pure
//!   har.rs               HTTP Archive 1.2, read and written
//!   http_file.rs         .http files, written
//!   dev_proxy.rs         mocks of Dev Proxy
//!   test_proxy.rs        recordings of the Azure SDK test proxy
//!   vcr.rs               cassettes of vcrpy and of Ruby's VCR
//!   wiremock.rs          mappings of WireMock
//!   intake.rs            what is taken over, and what is left
//!   document.rs          a parsed file, read place by place
//!   yaml.rs              YAML as JSON
//!
//! tape/                FLOOR 1: the product; pure
//!   scribe.rs            the one road from wire form to tape form, and back
//!   script.rs            a recorded response, ready to be spoken
//!   row.rs               an exchange in a store, before its ids are known
//!   holding.rs           what a cassette can hold
//!   redact.rs            secrets out
//!   secrets.rs           finds them
//!   secret_rules.rs      what one looks like
//!   together.rs          patterns that are searched together
//!   people.rs            people out, on demand
//!   person_places.rs     where they stand in Graph's messages
//!   stand_ins.rs         what stands for them
//!   learning.rs          which strings of a recording are ids
//!   ids.rs               the ids of a cassette; texts with placeholders in their stead
//!   lexicon.rs           where ids stand in a text
//!   values.rs            many ids by value, in little room
//!   row_set.rs           sets of them
//!   id.rs                an id by value: a GUID or any other text
//!   guid.rs              GUIDs, and where they stand in a text
//!   spelling.rs          how an occurrence of an id is written
//!   surroundings.rs      how it must be written where it stands
//!   template.rs          text with placeholders
//!   body.rs              bodies in a cassette
//!   cassette.rs          the file format and its versions
//!   streaming.rs         a file read piece by piece
//!   ending.rs            where a value in it ends
//!   place.rs             places of a message, and patterns for them
//!   walk.rs              the one walk over every value of a message
//!   leaf.rs              one of these values
//!   compact.rs           a JSON text without white space, made without a tree
//!   json_text.rs         a JSON text written anew while it is parsed
//!   json_values.rs       the values of a JSON text, without a tree
//!   ordering.rs          arrays whose order says nothing
//!   route.rs             METHOD path-pattern
//!   matching.rs          what is compared of a request
//!   reading_cache.rs     the same again, but for its GUIDs and texts
//!   skeleton.rs          what it is but for these
//!   stencil.rs           what is the same, laid over the next one
//!   outline.rs           what its keys are made of but for them
//!   rules.rs             the rules by which it is compared
//!   address.rs           where it goes, keys aside
//!   index.rs             a cassette made ready to answer
//!   prepared.rs          what can be said of an exchange by itself
//!   preparing.rs         many at once, each by itself or by its form
//!   cutting.rs           the text of one, cut at what is another in the next
//!   form.rs              what is the same in many of them
//!   forming.rs           a form, made of one of them
//!   forms.rs             the forms of those before
//!   pattern.rs           bytes with blanks for what is another
//!   compiling.rs         exchange by exchange
//!   played.rs            compiled exchanges, in memory or kept outside it
//!   lent.rs              one of them, read from its bytes
//!   shapes.rs            which of them have requests of one shape
//!   gathering.rs         these, exchange by exchange
//!   column.rs            numbers that go up evenly, in little room
//!   finder.rs            numbers by hash
//!   packing.rs           an index as bytes
//!   choosing.rs          which of its exchanges answers
//!   bindings.rs          what a session has settled: live ids, plays
//!   bound_ids.rs         the GUIDs among them
//!   paged.rs             what some of many numbers have
//!   playing.rs           a request answered: chosen, bound, spoken
//!   speaking.rs          the value of every id in an answer
//!   echo.rs              ignored places that an answer repeats
//!   statements.rs        what requests of a cassette stated
//!   mint.rs              sealed ids: derived GUIDs that say what they stand for
//!   miss.rs              why nothing answers
//!   differences.rs       where a request differs from a recorded one
//!   renaming.rs          where two exchanges differ, ids aside
//!   volatile.rs          what of an answer differs each time
//!   verification.rs      whether Graph answers today as on tape
//!   pairing.rs           which exchange of one cassette is which of another
//!   schema.rs            what a valid userStatus is
//!   request_text.rs      requests that people write or copy
//!   adapting.rs          waits and challenges, made fit for a replay
//!   faults.rs            faults on demand, by rule
//!   throttle.rs          limits as Intune keeps them
//!   latency.rs           how long answers take
//!   graph_error.rs       errors as Graph and Intune write them
//!   batch.rs             $batch: requests in one envelope
//!   sign_in.rs           sign-in without Microsoft
//!   graph.rs             all that is peculiar to Microsoft Graph
//!   exchange.rs          Request, Response, Exchange, and Taped
//! platform.rs          FLOOR 1: what depends on the operating system
//!   synced.rs            a file each write to which is on the disk
//!   trust.rs             its trust store
//! ```
//!
//! # The promises
//!
//! 1. **Offline by construction.** [`session::replay::Player`] holds nothing that can reach a network.
//! 2. **The renaming law.** Requests under renamed ids get the recorded answers under the same renaming.
//! 3. **Deterministic.** A cassette, a seed and a set of requests give the same bytes in every process.
//! 4. **No secret on disk.** [`store`] takes only [`tape::exchange::Taped`], and only [`tape`] makes that.
//! 5. **What the client was told is kept.** An exchange is on the disk before its client sees the end of the answer.
//!
//! # The walk of one request
//!
//! *Recorded*: [`proxy::server`] accepts; [`proxy::connection`] tells TLS from HTTP and opens a CONNECT with a leaf of
//! [`wire::authority`]; [`proxy::answer`] hands the request to [`session::record`], which asks [`wire::upstream`], takes
//! the exchange down the road of [`tape::scribe`] and waits for [`store::journal`] to have it on the disk. At the end
//! [`app::run`] seals the take: [`tape::learning`] learns from all of it which strings are ids, and [`store::cassettes`]
//! writes the file.
//!
//! *Replayed*: the same way to [`proxy::answer`], down the same road, and then [`session::replay`]: [`tape::matching`]
//! reads the request, an exchange is chosen from [`tape::index`], [`tape::playing`] binds its ids and speaks the answer; or
//! [`tape::miss`] says why there is none. What differs only by its GUIDs and texts from a request before is known again by
//! [`tape::reading_cache`], which spares it the road and the reading; and where its fields came before on its connection,
//! [`proxy::shortcut`] sends it there before hyper reads it, and [`proxy::framed`] writes the answer.

pub mod app;
pub mod child;
pub mod cli;
pub mod config;
pub mod deck;
pub mod formats;
pub mod platform;
pub mod proxy;
pub mod session;
pub mod store;
pub mod tape;
pub mod wire;

pub use deck::Deck;
