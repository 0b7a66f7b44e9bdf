//! Where in Graph's messages people stand: their names and ids, by the names of members and of what these stand in.

use super::graph::{self, Segment};
use super::guid::{self, Guid};
use super::id::Id;
use super::lexicon::{self, Occurrence};
use super::stand_ins;
use super::walk::{self, Kind, Leaf};
use regex::Regex;
use serde_json::{Map, Value};
use std::sync::LazyLock;

/// What a text is of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The name.
    Name,
    /// The id.
    Id,
    /// Any text: people may be named in it.
    Text,
}

/// Members that hold a person's name, whatever they stand in.
const NAMES: [&str; 9] = [
    "userDisplayName",
    "userName",
    "givenName",
    "surname",
    "middleName",
    "mailNickname",
    "onPremisesSamAccountName",
    "registeredOwnerName",
    "ownerName",
];

/// Members that hold a user's id, or several of them, whatever they stand in.
const IDS: [&str; 7] =
    ["userId", "userIds", "userObjectId", "aadUserId", "azureADUserId", "createdByUserId", "lastModifiedByUserId"];

/// Members that hold a person: of an identity set, and of a message.
const PEOPLE: [&str; 2] = ["user", "emailAddress"];

/// What a user has besides its principal name, and what only tells of one has not.
const OF_A_USER: [&str; 7] =
    ["givenName", "surname", "mail", "mailNickname", "accountEnabled", "businessPhones", "jobTitle"];

/// Sees a text, its role and its pointer; tells whether it changed the text.
pub(super) type Visit<'a> = dyn FnMut(&mut String, Role, &str) -> bool + 'a;

/// Visits every text of a JSON value with its role and pointer, those of JSON texts too; `visit` tells whether it
/// changed the text, and so does this. `user` says that the value is a user, or has users in its `value`.
pub(super) fn each_text(value: &mut Value, user: bool, visit: &mut Visit<'_>) -> bool {
    let users =
        user || value.get("@odata.context").and_then(Value::as_str).is_some_and(|at| at.contains("$metadata#users"));
    walk_in(value, Place { member: "", person: users, list: users, pointer: String::new() }, visit)
}

struct Place<'a> {
    member: &'a str,
    /// Whether what stands here is a person.
    person: bool,
    /// Whether its `value` holds people.
    list: bool,
    pointer: String,
}

fn walk_in(value: &mut Value, place: Place<'_>, visit: &mut Visit<'_>) -> bool {
    let Place { member, person, list, pointer } = place;
    match value {
        Value::String(text) => {
            if let Some(mut inner) = walk::parse_json(text.as_bytes()) {
                let changed =
                    each_text(&mut inner, false, &mut |text, role, at| visit(text, role, &format!("{pointer}{at}")));
                if changed {
                    *text = inner.to_string();
                }
                return changed;
            }
            visit(text, role(member, person), &pointer)
        }
        Value::Array(elements) => elements.iter_mut().enumerate().fold(false, |changed, (i, element)| {
            let place = Place { member, person, list: false, pointer: format!("{pointer}/{i}") };
            walk_in(element, place, visit) || changed
        }),
        Value::Object(members) => {
            let is_person = person || is_user(members) || PEOPLE.contains(&member);
            let mut changed = false;
            for (name, inner) in members.iter_mut() {
                let person = if inner.is_string() { is_person } else { list && name == "value" };
                let pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
                changed |= walk_in(inner, Place { member: name, person, list: false, pointer }, visit);
            }
            changed
        }
        _ => false,
    }
}

fn role(member: &str, person: bool) -> Role {
    if NAMES.contains(&member) || (person && matches!(member, "displayName" | "name")) {
        Role::Name
    } else if IDS.contains(&member) || (person && graph::is_entity_id(member)) {
        Role::Id
    } else {
        Role::Text
    }
}

fn is_user(members: &Map<String, Value>) -> bool {
    let says =
        |member: &str, of: &str| members.get(member).and_then(Value::as_str).is_some_and(|kind| kind.ends_with(of));
    let has = |member: &&str| members.contains_key(*member);
    says("@odata.type", "graph.user")
        || says("type", "User")
        || (has(&"userPrincipalName") && OF_A_USER.iter().any(has))
}

/// The ids in a value of a request and, among them, who stands there: an address in any case, and the whole of what may be a name.
pub(super) fn with_people(leaf: &Leaf<'_>, mut found: Vec<Occurrence>) -> Vec<Occurrence> {
    if matches!(leaf.kind, Kind::Word | Kind::Literal | Kind::Bytes) || leaf.text.is_empty() {
        return found;
    }
    let addresses = stand_ins::addresses(leaf.text.as_bytes());
    found.extend(addresses.map(|address| (address.range, Id::Text(address.value.into()))));
    if found.is_empty()
        && let walk::Place::Json(pointer) = &leaf.place
        && may_be_name(pointer)
    {
        found.push((0..leaf.text.len(), Id::Text(leaf.text.as_ref().into())));
    }
    for (_, id) in &mut found {
        if let Id::Text(text) = id
            && stand_ins::is_address(text)
        {
            *text = text.to_lowercase().into();
        }
    }
    lexicon::settle(found)
}

/// Whether the member that a pointer ends with may hold a person's name: `displayName` is one of a person or of a thing.
fn may_be_name(pointer: &str) -> bool {
    let member = pointer.rsplit('/').next().unwrap_or_default();
    NAMES.contains(&member) || matches!(member, "displayName" | "name")
}

/// Whether a path leads to a user, or to users.
pub(super) fn leads_to_users(path: &str) -> bool {
    let segments = graph::segments(path);
    let last = segments.iter().skip(1).rev().find_map(|segment| match segment {
        Segment::Name(name) => Some(name.to_ascii_lowercase()),
        Segment::Key(_) => None,
    });
    last.is_some_and(|last| ["users", "me", "manager"].contains(&last.as_str()))
}

/// The GUIDs in a text that are keys of users in an address, in whatever coding.
pub(super) fn user_keys(text: &str) -> impl Iterator<Item = Guid> {
    const OPENINGS: [&str; 7] = ["/", "(", "('", "(%27", "%28%27", "%2528%2527", "(\\u0027"];
    guid::tokens(text).filter_map(|(range, guid)| {
        let before = &text.as_bytes()[..range.start];
        let names = |opening: &&str| {
            let name = before.strip_suffix(opening.as_bytes());
            name.is_some_and(|name| name.len() >= 5 && name[name.len() - 5..].eq_ignore_ascii_case(b"users"))
        };
        OPENINGS.iter().any(names).then_some(guid)
    })
}

/// The names that a decoded query asks for: `displayName eq '…'`, `startswith(displayName,'…')`.
pub(super) fn asked_names(query: &str, of_users: bool) -> Vec<String> {
    static FORM: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?P<member>[A-Za-z]+)(?: (?:eq|ne) |, ?)'(?P<name>(?:[^']|'')*)'").expect("the pattern is tested")
    });
    let named = |member: &str| NAMES.contains(&member) || (of_users && member == "displayName");
    let found = FORM.captures_iter(query).filter(|found| named(&found["member"]));
    found.map(|found| found["name"].to_owned()).filter(|name| !name.is_empty()).collect()
}
