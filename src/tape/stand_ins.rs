//! Stand-ins for people: how one is computed by a key, and how one is known without it.

use super::graph;
use super::guid::{self, Guid};
use super::id::Id;
use regex::bytes::Regex;
use std::ops::Range;
use std::sync::LazyLock;

/// The length of the digits of a stand-in: 64 bits, so that no two people share one by chance.
const DIGITS: usize = 16;
const ADDRESS: (&str, &str) = ("person-", "@example.com");
const NAME: &str = "Person-";
/// The first 32 bits of a stand-in for a GUID: `pers` in ASCII, 70657273.
const GUID_MARK: u128 = 0x7065_7273;

/// Computes stand-ins. Whoever has the key can tell of a person whether a stand-in is theirs; nobody else can.
#[derive(Clone, Copy)]
pub struct StandIns([u8; 32]);

impl std::fmt::Debug for StandIns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StandIns(…)")
    }
}

impl StandIns {
    /// The stand-ins of a key.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The stand-in for an address such as a user principal name, in whatever case it is written.
    #[must_use]
    pub fn address(&self, address: &str) -> String {
        in_form(address_form, &self.digest("address", &address.to_lowercase()))
    }

    /// The stand-in for a name.
    #[must_use]
    pub fn name(&self, name: &str) -> String {
        in_form(name_form, &self.digest("name", name.trim()))
    }

    /// The stand-in for a GUID.
    #[must_use]
    pub fn guid(&self, guid: Guid) -> Guid {
        guid_form(&self.digest("guid", &guid.to_string()))
    }

    /// The stand-in for an id by value, whatever it is of a person.
    #[must_use]
    pub fn id(&self, id: &Id) -> Id {
        match id {
            Id::Guid(guid) => Id::Guid(self.guid(*guid)),
            Id::Text(text) if is_address(text) => Id::Text(self.address(text).into()),
            Id::Text(text) => Id::Text(self.name(text).into()),
        }
    }

    fn digest(&self, kind: &str, value: &str) -> blake3::Hasher {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(kind.as_bytes()).update(&[0]).update(value.as_bytes());
        hasher
    }
}

fn address_form(digits: &str) -> String {
    format!("{}{digits}{}", ADDRESS.0, ADDRESS.1)
}

fn name_form(digits: &str) -> String {
    format!("{NAME}{digits}")
}

fn in_form(form: impl Fn(&str) -> String, origin: &blake3::Hasher) -> String {
    form(&origin.finalize().to_hex()[..DIGITS])
}

/// A version 8 UUID (RFC 9562 section 5.8) that begins with the mark.
fn guid_form(origin: &blake3::Hasher) -> Guid {
    let mut bits = [0; 16];
    origin.finalize_xof().fill(&mut bits);
    let chance = u128::from_le_bytes(bits) & !(0xffff_ffff << 96) & !(0xf << 76) & !(0b11 << 62);
    Guid(GUID_MARK << 96 | 8 << 76 | 0b10 << 62 | chance)
}

/// Another stand-in of the same kind, if `value` is one.
#[must_use]
pub fn alike(value: &str, origin: &blake3::Hasher) -> Option<String> {
    match Id::of(value) {
        Id::Guid(guid) if is_guid(guid) => Some(guid_form(origin).to_string()),
        Id::Text(text) if is_address_stand_in(&text) => Some(in_form(address_form, origin)),
        Id::Text(text) if is_name(&text) => Some(in_form(name_form, origin)),
        _ => None,
    }
}

/// Whether a value stands for somebody: for an address, a name or a GUID.
#[must_use]
pub fn is_stand_in(value: &str) -> bool {
    Guid::parse(value).map_or_else(|| is_address_stand_in(value) || is_name(value), is_guid)
}

/// Whether a GUID stands for another.
#[must_use]
pub fn is_guid(guid: Guid) -> bool {
    guid.0 >> 96 == GUID_MARK && guid.is_version_8()
}

/// Whether a text stands for a name.
#[must_use]
pub fn is_name(text: &str) -> bool {
    text.strip_prefix(NAME).is_some_and(are_digits)
}

fn is_address_stand_in(text: &str) -> bool {
    text.strip_prefix(ADDRESS.0).and_then(|text| text.strip_suffix(ADDRESS.1)).is_some_and(are_digits)
}

fn are_digits(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Every stand-in that is a text, with where it stands, in whatever coding.
pub fn texts(text: &str) -> impl Iterator<Item = (usize, String)> {
    static FORM: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?-u)(?:person-([0-9a-f]{16})(?:@|%40|%2540)example\.com|Person-([0-9a-f]{16}))\b")
            .expect("the pattern is tested")
    });
    FORM.captures_iter(text.as_bytes()).map(|found| {
        let digits =
            |group: usize| found.get(group).map(|digits| String::from_utf8_lossy(digits.as_bytes()).into_owned());
        let at = found.get(0).expect("a match has a group 0").start();
        let name = || name_form(&digits(2).unwrap_or_default());
        (at, digits(1).map_or_else(name, |digits| address_form(&digits)))
    })
}

/// An address of somebody, and where it stands.
#[derive(Debug, PartialEq, Eq)]
pub struct Address {
    /// Where.
    pub range: Range<usize>,
    /// The address, decoded and in lower case.
    pub value: String,
    /// How its `@` is written there.
    pub at: &'static str,
}

/// Whether a whole text is one address of somebody, or the stand-in for one.
#[must_use]
pub fn is_address(text: &str) -> bool {
    is_address_stand_in(text) || addresses(text.as_bytes()).next().is_some_and(|found| found.range == (0..text.len()))
}

/// Every address in a text that may be somebody's: not a stand-in, nor one in a domain that is for examples (RFC 2606).
pub fn addresses(text: &[u8]) -> impl Iterator<Item = Address> {
    static FORM: LazyLock<Regex> = LazyLock::new(|| {
        let local = concat!(
            r"[A-Za-z0-9_\x80-\xff](?:[A-Za-z0-9._+~'\x80-\xff-]|%2[Bb]|%27%27|#EXT#|%23EXT%23",
            r"|%[C-Fc-f][0-9A-Fa-f](?:%[89ABab][0-9A-Fa-f])+)*"
        );
        let domain = r"[A-Za-z0-9\x80-\xff-]+(?:\.[A-Za-z0-9\x80-\xff-]+)*\.[A-Za-z\x80-\xff]{2,}";
        Regex::new(&format!(r"(?-u)(?P<local>{local})(?P<at>@|%40|%2540|\\u0040)(?P<domain>{domain})"))
            .expect("the pattern is tested")
    });
    FORM.captures_iter(text).filter_map(move |found| {
        let part = |name: &str| found.name(name).expect("every match has all of its parts");
        let (local, domain) = (part("local"), part("domain"));
        let start = local.start() + escape(&text[..local.start()], local.as_bytes());
        let utf8 = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (local, domain) = (utf8(&text[start..local.end()]), utf8(domain.as_bytes()).to_lowercase());
        let at = ["@", "%40", "%2540", "\\u0040"].into_iter().find(|at| part("at").as_bytes() == at.as_bytes())?;
        let local = graph::percent_decode(&local).replace("''", "'").to_lowercase();
        let value = format!("{local}@{domain}");
        let somebody = !local.is_empty() && local != "redacted" && !is_nobodys(&domain);
        somebody.then(|| Address { range: start..part("domain").end(), value, at })
    })
}

/// How many of the first bytes of a local part belong to an escape that begins before it: `%27`, `%2527`, `\n`, `\u0027`.
fn escape(before: &[u8], local: &[u8]) -> usize {
    let hex = |from: usize| local.get(from..from + 2).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
    match before.last() {
        Some(b'%') if local.starts_with(b"25") && hex(2) => 4,
        Some(b'%') if hex(0) => 2,
        Some(b'\\') if local.starts_with(b"u") && hex(1) && hex(3) => 5,
        Some(b'\\') if local.first().is_some_and(|b| b"bfnrt".contains(b)) => 1,
        _ => 0,
    }
}

/// Whether no person has an address in a domain: those for examples, and what only looks like one in Graph's texts.
fn is_nobodys(domain: &str) -> bool {
    let within = |of: &str| domain == of || domain.strip_suffix(of).is_some_and(|before| before.ends_with('.'));
    ["example.com", "example.org", "example.net", "example", "test", "invalid", "localhost", "tacv2"]
        .into_iter()
        .any(within)
        || ["odata.", "microsoft.graph", "thread."].into_iter().any(|begin| domain.starts_with(begin))
        || domain == "unq.gbl.spaces"
}

/// Every GUID that stands for a person's, and where.
pub fn guids(text: &str) -> impl Iterator<Item = (Range<usize>, Guid)> {
    guid::tokens(text).filter(|(_, guid)| is_guid(*guid))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        addresses(text.as_bytes()).map(|found| format!("{} {}", &text[found.range], found.value)).collect()
    }

    #[test]
    fn addresses_are_found_however_they_are_written() {
        for (text, written, value) in [
            ("/users/Anna.K@contoso.com/x", "Anna.K@contoso.com", "anna.k@contoso.com"),
            ("users('anna@contoso.com')", "anna@contoso.com", "anna@contoso.com"),
            ("users(%27anna%40contoso.com%27)", "anna%40contoso.com", "anna@contoso.com"),
            ("users%28%27o%27%27neil%40contoso.com%27%29", "o%27%27neil%40contoso.com", "o'neil@contoso.com"),
            ("%2528%2527anna%2540contoso.com%2527%2529", "anna%2540contoso.com", "anna@contoso.com"),
            (r"line\nanna@contoso.com\r", "anna@contoso.com", "anna@contoso.com"),
            (r"\u0027anna\u0040contoso.com\u0027", "anna\\u0040contoso.com", "anna@contoso.com"),
            ("SMTP:a+b@x.contoso.co.uk;", "a+b@x.contoso.co.uk", "a+b@x.contoso.co.uk"),
            ("q=a%2Bb%40contoso.com&x", "a%2Bb%40contoso.com", "a+b@contoso.com"),
            ("Jürgen@contoso.de.", "Jürgen@contoso.de", "jürgen@contoso.de"),
            (
                "a_b.com#EXT#@fabrikam.onmicrosoft.com",
                "a_b.com#EXT#@fabrikam.onmicrosoft.com",
                "a_b.com#ext#@fabrikam.onmicrosoft.com",
            ),
        ] {
            assert_eq!(found(text), [format!("{written} {value}")], "{text}");
        }
        for text in [
            "person-0123456789abcdef@example.com",
            "ada@example.com b@c.example",
            "rootCertificate@odata.bind",
            "x@microsoft.graph.downloadUrl",
            "19:4a95@thread.tacv2 19:a_b@unq.gbl.spaces",
            "a@b @contoso.com https://user:REDACTED@contoso.com/",
        ] {
            assert_eq!(found(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn a_stand_in_is_known_without_the_key_and_differs_by_it() {
        let (one, other) = (StandIns::new([1; 32]), StandIns::new([2; 32]));
        let guid = Guid(7);
        let made = [one.address("Anna@Contoso.com"), one.name("Anna K"), one.guid(guid).to_string()];
        for text in &made {
            assert!(is_stand_in(text), "{text}");
            assert!(alike(text, &blake3::Hasher::new()).is_some_and(|alike| is_stand_in(&alike) && alike != *text));
        }
        assert_eq!(made[0], one.address("anna@contoso.COM"));
        assert_ne!(made, [other.address("Anna@Contoso.com"), other.name("Anna K"), other.guid(guid).to_string()]);
        assert_eq!(one.id(&Id::of("ANNA@contoso.com")), Id::of(&made[0]));
        let text = format!("/users/{}/x {} Person-0", made[0].replace('@', "%40"), made[1]);
        assert_eq!(texts(&text).map(|(_, found)| found).collect::<Vec<_>>(), made[..2]);
        for text in ["Person-1", "person-0123456789abcdeX@example.com", "00000000-0000-0000-0000-000000000007"] {
            assert!(!is_stand_in(text) && alike(text, &blake3::Hasher::new()).is_none(), "{text}");
        }
    }
}
