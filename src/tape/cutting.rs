//! The text of an exchange, cut at what is another in the next one of its form.

use super::guid;
use super::redact;
use super::secrets::Secrets;
use std::ops::Range;

/// The largest exchange that is cut, in bytes, and how many parts it may have. What is larger takes long in any case.
pub(super) const LARGEST: usize = 16 * 1024;
const PARTS: usize = 256;
/// The longest text that may be another.
const LONGEST: usize = 512;
/// How much of a text may stand before a placeholder: more would tell less of how an id is written there.
const BEFORE: usize = 1000;
/// How many values there may be: where there are many, their number tells how a body is compared.
const VALUES: usize = 300;
/// What the names begin with that mean something to the parser.
const OWN: &str = "$serde_json::private";

/// What may be another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spot<'t> {
    /// A whole text of a JSON body.
    Text(&'t str),
    /// The number of a placeholder, by the name before it.
    Row(&'t str, &'t str),
    /// How long the exchange took.
    Took(&'t str),
}

/// A part that may be another.
#[derive(Clone, Debug)]
pub(super) struct Part<'t> {
    /// What stands before it, and is the same.
    pub(super) before: &'t str,
    pub(super) spot: Spot<'t>,
    /// Whether it stands in the request.
    pub(super) asked: bool,
}

/// A text that was cut.
#[derive(Debug)]
pub(super) struct Cut<'t> {
    pub(super) parts: Vec<Part<'t>>,
    /// What stands behind the last part.
    pub(super) end: &'t str,
}

/// Cuts the text of an exchange; none where nobody could tell by it what the next one would come to.
pub(super) fn cut(text: &str) -> Option<Cut<'_>> {
    let is_own = |c: char| ('\u{e000}'..='\u{f8ff}').contains(&c);
    let values = text.bytes().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count();
    if text.len() > LARGEST || values > VALUES || text.contains(OWN) || text.contains(is_own) {
        return None;
    }
    let mut cutter = Cutter { text, from: 0, open: Vec::new(), parts: Vec::new() };
    let mut at = 0;
    while at < text.len() {
        at = cutter.step(at)?;
    }
    Some(Cut { parts: cutter.parts, end: &text[cutter.from..] })
}

struct Cutter<'t> {
    text: &'t str,
    /// Where the next part's `before` begins.
    from: usize,
    /// For each object or array that is open the name of the member that was met last.
    open: Vec<&'t str>,
    parts: Vec<Part<'t>>,
}

impl<'t> Cutter<'t> {
    /// Goes past what begins here, and tells where.
    fn step(&mut self, at: usize) -> Option<usize> {
        match self.text.as_bytes()[at] {
            b'"' => return self.string(at + 1),
            b'{' | b'[' => self.open.push(""),
            b'}' | b']' => self.open.truncate(self.open.len().checked_sub(1)?),
            byte if byte.is_ascii_digit() && *self.open == ["took"] => {
                let count = self.text[at..].bytes().take_while(u8::is_ascii_digit).count();
                self.part(at..at + count, Spot::Took(&self.text[at..at + count]))?;
                return Some(at + count);
            }
            _ => {}
        }
        Some(at + 1)
    }

    /// Goes past the string whose content begins here.
    fn string(&mut self, begin: usize) -> Option<usize> {
        let mut end = begin;
        loop {
            end += memchr::memchr2(b'"', b'\\', &self.text.as_bytes()[end..])?;
            if self.text.as_bytes()[end] == b'"' {
                break;
            }
            end += 2;
            self.text.get(end..)?;
        }
        let content = &self.text[begin..end];
        let rest = self.text[end + 1..].trim_start();
        if rest.starts_with(':') {
            // A name is the same in all of a form.
            let name = self.open.last_mut()?;
            *name = content;
            return (!content.contains("{{")).then_some(end + 1);
        }
        self.value(begin..end)?;
        Some(end + 1)
    }

    fn value(&mut self, range: Range<usize>) -> Option<()> {
        let content = &self.text[range.clone()];
        let regular = match self.open[..] {
            // Another layout is printed from a tree.
            [_, "body", "layout"] => false,
            // Fields of forms are looked at in pieces.
            ["request", "headers", "content-type", ..] => !redact::names_form(content.as_bytes()),
            // Options of a query are put in order by their values, and escapes may hide what they are.
            ["request", "url"] => {
                let (path, query) = content.split_once('?').unwrap_or((content, ""));
                !path.contains('%') && !query.contains("{{")
            }
            _ => true,
        };
        if !regular {
            return None;
        }
        if content.contains("{{") {
            return self.placeholders(range);
        }
        let is_json = matches!(self.open[..], [_, "body", "json", ..]);
        if is_json && is_plain(content.as_bytes()) && content.len() <= LONGEST {
            self.part(range, Spot::Text(content))?;
        }
        Some(())
    }

    /// Cuts a text at the numbers of its placeholders.
    fn placeholders(&mut self, range: Range<usize>) -> Option<()> {
        let mut at = range.start;
        while let Some(open) = self.text[at..range.end].find("{{").map(|found| at + found) {
            let inner = &self.text[open + 2..open + 2 + self.text[open + 2..range.end].find("}}")?];
            let after = open + 2 + inner.len() + 2;
            // What is written with braces or filters of its own is left to who reads it all.
            let (name, number) = inner.split('|').next()?.rsplit_once('.')?;
            let is_near = open - range.start <= BEFORE;
            if name.contains(['{', '\'']) || !is_number(number) || !is_near || !self.stands_apart(open, after) {
                return None;
            }
            let from = open + 2 + name.len() + 1;
            self.part(from..from + number.len(), Spot::Row(name, number))?;
            at = after;
        }
        Some(())
    }

    /// Whether nothing before or behind an id can make it a part of something else in a request, such as a secret.
    fn stands_apart(&self, open: usize, after: usize) -> bool {
        let bytes = self.text.as_bytes();
        !self.is_asked() || (b"\"/'(_".contains(&bytes[open - 1]) && b"\"/')_?".contains(&bytes[after]))
    }

    fn is_asked(&self) -> bool {
        self.open.first() == Some(&"request")
    }

    fn part(&mut self, range: Range<usize>, spot: Spot<'t>) -> Option<()> {
        let (before, asked) = (&self.text[self.from..range.start], self.is_asked());
        self.parts.push(Part { before, spot, asked });
        self.from = range.end;
        (self.parts.len() <= PARTS).then_some(())
    }
}

/// Whether a text is a number as placeholders have it.
pub(super) fn is_number(text: &str) -> bool {
    (1..=9).contains(&text.len()) && !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a text of JSON stands for itself whatever it says: without escapes, and with nothing that a placeholder has.
pub(super) fn is_plain(text: &[u8]) -> bool {
    let odd = |byte: u8| byte < b' ' || matches!(byte, b'"' | b'\\' | b'{' | b'}');
    let (is_odd, any) = text.iter().fold((false, 0), |(is_odd, any), byte| (is_odd | odd(*byte), any | byte));
    !text.is_empty() && text.len() <= LONGEST && !is_odd && (any < 0x80 || std::str::from_utf8(text).is_ok())
}

/// What a byte may mean. These alone make ids, or secrets that [`may_hide`] does not tell: without `/`, `(`, `%`, `'` there is
/// no key; without `=`, `~`, `<`, `&`, `;` no secret that has them.
const ODD: u8 = 1;
/// It begins or ends what reaches over the end of its text: `"<key a","…","b>c<d"]`, or `"` and then `:`.
const REACHES: u8 = 2;
/// It does so, but behind a digit, as in a time.
const COLON: u8 = 4;
/// With another one beside it, it begins a secret.
const DASH: u8 = 8;
/// It may be a part of a secret, or an id, that is told by its look.
const JOINED: u8 = 16;

/// What each byte may mean.
const MEANINGS: [u8; 256] = {
    let mut meanings = [0; 256];
    let mut byte: u8 = 0;
    loop {
        meanings[byte as usize] = match byte {
            b'/' | b'(' | b'%' | b'\'' | b'=' | b'~' | b'<' | b'&' | b';' => ODD,
            0..b' ' | b'"' | b'\\' | b'>' => REACHES,
            b':' => COLON,
            b'-' => DASH | JOINED,
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'.' | b'_' | b'+' => JOINED,
            _ => 0,
        };
        if byte == u8::MAX {
            break meanings;
        }
        byte += 1;
    }
};

/// All that the bytes of a text may mean.
fn meanings(text: &[u8]) -> u8 {
    text.iter().fold(0, |all, byte| all | MEANINGS[usize::from(*byte)])
}

/// Whether neither an id nor a secret can stand in a text that a request says, wherever in it no text was found to be more.
pub(super) fn says_nothing(text: &[u8], secrets: &Secrets) -> bool {
    is_word(text, meanings(text), secrets)
}

/// The same of a text that stands for another such text, in a body of JSON without escapes in which no rule finds
/// anything: then none finds anything in the body with this text. What a rule finds is either all between two quotes, in
/// what [`says_nothing`] looks at, or begins and ends in what is the same, and then goes over such texts whatever they are;
/// but for what ends or begins with one of the bytes that are left out here. So it is for the rules that the deck comes
/// with, and for more names of members ([`Secrets::know_words`]).
pub(super) fn is_mute(text: &[u8], secrets: &Secrets) -> bool {
    let all = meanings(text);
    let is_clock =
        || text.first() != Some(&b':') && text.windows(2).all(|two| two[1] != b':' || two[0].is_ascii_digit());
    all & REACHES == 0 && (all & COLON == 0 || is_clock()) && is_word(text, all, secrets)
}

fn is_word(text: &[u8], all: u8, secrets: &Secrets) -> bool {
    let has_dashes = || text.windows(2).any(|two| two == b"--");
    let hides_nothing = || {
        let told = std::str::from_utf8(text).unwrap_or_default();
        guid::tokens(told).next().is_none() && !secrets.find_any(&[b"\"", text, b"\""].concat())
    };
    all & ODD == 0 && (all & DASH == 0 || !has_dashes()) && (!may_hide(text) || hides_nothing())
}

/// Whether a text has a part that is as long as the shortest secret and the shortest id that is told by its look.
fn may_hide(text: &[u8]) -> bool {
    const SHORTEST: usize = 15;
    let is_joined = |byte: &u8| MEANINGS[usize::from(*byte)] & JOINED != 0;
    // A part that long has a byte at the end of some so many; where that one is none, the next is as far behind it.
    let mut from = 0;
    while let Some(part) = text.get(from..from + SHORTEST) {
        match part.iter().rposition(|byte| !is_joined(byte)) {
            Some(apart) => from += apart + 1,
            None => return true,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::secrets::Changes;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    #[test]
    fn a_text_is_mute_that_no_rule_could_look_at() {
        let secrets = Secrets::default();
        for (text, is_word, is_mute) in [
            ("User 0000001", true, true),
            ("user0000001@contoso.com", true, true),
            ("Zoë M. O-Brien, IT", true, true),
            ("2017-01-01T00:00:17.77", true, true),
            ("christopher.montgomery@contoso.com", true, true),
            ("a: b", true, false),
            (": b", true, false),
            ("a>b", true, false),
            ("a\u{1}", true, false),
            ("O'Brien", false, false),
            ("a/b", false, false),
            ("a=b", false, false),
            ("a--b", false, false),
            ("<a", false, false),
            ("xoxb-1234567890", false, false),
            ("Bearer EwBwA8l6BAAUbDba3x2OMJElkF7gJ4z", false, false),
            ("0385114b-b48f-4800-a046-f249eaba24b1", false, false),
        ] {
            let (text, found) = (text.as_bytes(), (is_word, is_mute));
            assert_eq!(
                (says_nothing(text, &secrets), super::is_mute(text, &secrets)),
                found,
                "{}",
                text.escape_ascii()
            );
        }
    }

    #[test]
    fn what_rules_find_is_the_same_whatever_mute_text_stands_between_two_others() {
        let secrets = Secrets::default();
        let mute: Vec<&str> = PIECES.iter().copied().filter(|text| is_mute(text.as_bytes(), &secrets)).collect();
        assert!(mute.len() > 15, "{mute:?}");
        let around = PIECES.iter().flat_map(|open| PIECES.iter().map(move |close| (open, close)));
        for (open, close) in around {
            let find = |text: &str| {
                [
                    format!("[\"{open}\",\"{text}\",\"{close}\"\n\n]"),
                    format!("[{{\"{open}\": \"{text}\"}},\n\n\"{close}\"]"),
                ]
                .map(|body| secrets.find_any(body.as_bytes()))
            };
            let found = find("x");
            mute.iter().for_each(|text| assert_eq!(find(text), found, "{open} {text} {close}"));
        }
    }

    proptest! {
        #[test]
        fn a_long_part_is_seen_wherever_it_stands(text in "[a.+_ @-]{0,60}") {
            let longest = text.split([' ', '@']).map(str::len).max();
            prop_assert_eq!(may_hide(text.as_bytes()), longest >= Some(15));
        }

        #[test]
        fn no_rule_finds_anything_for_a_mute_text_in_the_stead_of_another(
            values in prop::collection::vec((named(), piece(), piece(), any::<bool>()), 1..6),
            between in prop::sample::select(vec![",", ", ", " ,\n\n", "\n,"]),
            own in 0..3_usize,
        ) {
            static SECRETS: LazyLock<[Secrets; 3]> = LazyLock::new(|| [&[][..], &["user", "note"], &["a", "7"]].map(|own| {
                let members = own.iter().map(|&name| name.to_owned()).collect();
                Secrets::new(&Changes { members, ..Changes::default() }).unwrap()
            }));
            let secrets = &SECRETS[own];
            prop_assert!(secrets.know_words());
            let is_mute = |text: &str| is_mute(text.as_bytes(), secrets);
            let body = |is_later: bool| {
                let written = values.iter().map(|(name, one, other, may_differ)| {
                    let differs = is_later && *may_differ && is_mute(one) && is_mute(other);
                    let text = if differs { other } else { one };
                    name.as_ref().map_or_else(|| format!("\"{text}\""), |name| format!("{{\"{name}\" : \"{text}\"}}"))
                });
                format!("[{}]", written.collect::<Vec<_>>().join(between))
            };
            if !secrets.find_any(body(false).as_bytes()) {
                prop_assert!(!secrets.find_any(body(true).as_bytes()), "{} {}", body(false), body(true));
            }
        }
    }

    /// The name of a member, or none for an element.
    fn named() -> impl Strategy<Value = Option<String>> {
        let name = prop::sample::select(vec!["a", "note", "b c", "<password", "sig=", "content-disposition:", "user"]);
        prop::option::of(prop_oneof![4 => name.prop_map(str::to_owned), 1 => piece()])
    }

    /// Pieces of secrets, and of what people are called.
    const PIECES: &[&str] = &[
        "<",
        ">",
        "&lt;",
        "&gt;",
        "</",
        "password",
        "token",
        "key",
        "string",
        "<password>",
        "<password a",
        "b>c<d",
        "<key>password</key><string>",
        "?",
        "&",
        ";",
        "=",
        "sig=",
        "code=",
        "name=",
        "; name=",
        "; name=pwd",
        ":",
        " :",
        "content-disposition:",
        "claims=",
        "-----BEGIN PRIVATE KEY-----",
        "--",
        "-",
        "bearer",
        " ",
        "+",
        "eyJhbGci",
        "OiJub25l",
        ".eyJz",
        ".",
        "0.A",
        "8Q~",
        "AKIA",
        "ABCDEF",
        "1234567",
        "ghp_",
        "xoxb-",
        "123456-",
        "ABCD-",
        "://",
        "https://h:",
        "user:",
        "@",
        "REDACTED",
        "accountkey=",
        "7",
        "x",
        "Zoë",
        "User 0000001",
        "user1@contoso.com",
        "2017-01-01T00:00:17.77",
        "pwd",
        "a",
        "}",
        "]",
        "{",
        ",",
        "'",
        "%3d",
    ];

    /// A text of some of them.
    fn piece() -> impl Strategy<Value = String> {
        let few = prop::collection::vec(prop::sample::select(PIECES), 1..4);
        prop_oneof![8 => few.prop_map(|pieces| pieces.concat()), 1 => "[A-Za-z0-9 ._:+,-]{1,30}"]
    }
}
