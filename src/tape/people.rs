//! People out of exchanges: known by their places, and replaced by their stand-ins wherever they stand.

use super::exchange::{Exchange, Request, Taped};
use super::graph;
use super::guid::{self, Guid};
use super::id::Id;
use super::lexicon::Lexicon;
use super::person_places::{Role, asked_names, each_text, leads_to_users, user_keys};
use super::spelling::{self, Coding};
use super::stand_ins::{self, StandIns};
use super::walk;
use bytes::Bytes;
use std::collections::HashSet;
use std::ops::Range;

/// The people that were met so far.
#[derive(Debug)]
pub struct People {
    stand_ins: StandIns,
    /// Of GUIDs the stand-ins: from them nobody can be told, and they are known of a tape that was begun before.
    guids: HashSet<Guid>,
    names: Lexicon,
}

impl People {
    /// Nobody yet.
    #[must_use]
    pub fn new(stand_ins: StandIns) -> Self {
        Self { stand_ins, guids: HashSet::new(), names: Lexicon::default() }
    }

    /// Exchanges with a stand-in wherever somebody stands, also where those stand that only a later one names.
    #[must_use]
    pub fn hide_all(&mut self, exchanges: Vec<Taped<Exchange>>) -> Vec<Taped<Exchange>> {
        exchanges.iter().for_each(|exchange| self.meet(exchange));
        exchanges.into_iter().map(|exchange| self.hide(exchange)).collect()
    }

    /// An exchange with a stand-in wherever somebody stands whom it or one before it names.
    #[must_use]
    pub fn hide(&mut self, exchange: Taped<Exchange>) -> Taped<Exchange> {
        self.meet(&exchange);
        let Exchange { mut request, mut response, took } = exchange.into_inner();
        let of_users = leads_to_users(request.path());
        request.target = self.target(&request, of_users);
        for headers in [&mut request.headers, &mut response.headers] {
            headers.each_value(|value| self.replace(value));
        }
        request.body = self.body(request.body, of_users);
        response.body = self.body(response.body, of_users);
        Taped::new(Exchange { request, response, took })
    }

    /// The path of an address as it may be shown.
    #[must_use]
    pub fn shown(&self, path: &str) -> String {
        let mut path = path.to_owned();
        self.replace(&mut path);
        path
    }

    /// Learns who is named in an exchange.
    fn meet(&mut self, exchange: &Exchange) {
        let Exchange { request, response, .. } = exchange;
        let of_users = leads_to_users(request.path());
        self.meet_keys(&request.target);
        for (_, value) in request.headers.iter().chain(response.headers.iter()) {
            self.meet_keys(value);
        }
        for name in asked_names(&decoded(request.query().unwrap_or_default()), of_users) {
            self.meet_name(&name.replace("''", "'"));
        }
        for body in [&request.body, &response.body] {
            match walk::parse_json(body) {
                Some(mut value) => drop(each_text(&mut value, of_users, &mut |text, role, _| {
                    match role {
                        Role::Name => self.meet_name(text),
                        Role::Id => guid::tokens(text).for_each(|(_, guid)| self.meet_guid(guid)),
                        Role::Text => self.meet_keys(text),
                    }
                    false
                })),
                None => self.meet_keys(&String::from_utf8_lossy(body)),
            }
        }
    }

    fn meet_keys(&mut self, text: &str) {
        user_keys(text).for_each(|guid| self.meet_guid(guid));
    }

    fn meet_guid(&mut self, guid: Guid) {
        self.guids.insert(if stand_ins::is_guid(guid) { guid } else { self.stand_ins.guid(guid) });
    }

    /// A name of one plain word is a word of other meanings too: it is replaced where a name stands, and not in prose.
    fn meet_name(&mut self, name: &str) {
        let name = name.trim();
        let telling = name.chars().count() >= 5 && !name.chars().all(char::is_alphabetic);
        if telling && !stand_ins::is_stand_in(name) && !stand_ins::is_address(name) {
            for written in [name.to_owned(), name.to_lowercase(), name.to_uppercase()] {
                self.names.add_as(&written, name);
            }
        }
    }

    fn target(&self, request: &Request, of_users: bool) -> String {
        let mut target = request.path().to_owned();
        self.replace(&mut target);
        let Some(query) = request.query() else { return target };
        let options = query.split('&').map(|option| {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let mut clear = decoded(value);
            for asked in asked_names(&clear, of_users) {
                let stand_in = self.name(&asked.replace("''", "'"));
                clear = clear.replace(&format!("'{asked}'"), &format!("'{stand_in}'"));
            }
            self.replace(&mut clear);
            if clear == decoded(value) {
                option.to_owned()
            } else {
                format!("{name}={}", spelling::encode(&clear, &[Coding::Url]))
            }
        });
        format!("{target}?{}", options.collect::<Vec<_>>().join("&"))
    }

    fn body(&self, body: Bytes, of_users: bool) -> Bytes {
        if let Some(mut value) = walk::parse_json(&body) {
            let changed = each_text(&mut value, of_users, &mut |text, role, _| {
                let before = text.clone();
                match role {
                    Role::Name if !stand_ins::is_address(text) => *text = self.name(text),
                    _ => self.replace(text),
                }
                *text != before
            });
            return if changed { value.to_string().into() } else { body };
        }
        match std::str::from_utf8(&body) {
            Ok(text) => {
                let mut text = text.to_owned();
                self.replace(&mut text);
                if text.as_bytes() == body { body } else { text.into() }
            }
            Err(_) => self.without_addresses(body),
        }
    }

    /// The stand-in for a name, unless it is one, or none.
    fn name(&self, name: &str) -> String {
        let none = !name.chars().any(char::is_alphabetic) || stand_ins::is_stand_in(name);
        if none { name.to_owned() } else { self.stand_ins.name(name) }
    }

    /// Puts stand-ins in the place of all who stand in a text and are known, or have an address.
    fn replace(&self, text: &mut String) {
        let mut found: Vec<(Range<usize>, String)> =
            stand_ins::addresses(text.as_bytes()).map(|address| self.address(address)).collect();
        for (range, guid) in guid::tokens(text) {
            let stand_in = self.stand_ins.guid(guid);
            if !stand_ins::is_guid(guid) && self.guids.contains(&stand_in) {
                let upper = text[range.clone()].bytes().any(|b| b.is_ascii_uppercase());
                let written = if upper { stand_in.to_string().to_uppercase() } else { stand_in.to_string() };
                found.push((range, written));
            }
        }
        let mut names = Vec::new();
        self.names.find(text, &mut names);
        found.extend(names.into_iter().filter_map(|(range, name)| match name {
            Id::Text(name) => Some((range, self.stand_ins.name(&name))),
            Id::Guid(_) => None,
        }));
        found.sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
        let (mut out, mut from) = (String::new(), 0);
        for (range, stand_in) in found {
            if range.start >= from {
                out.push_str(&text[from..range.start]);
                out.push_str(&stand_in);
                from = range.end;
            }
        }
        if from > 0 {
            out.push_str(&text[from..]);
            *text = out;
        }
    }

    /// Of what is no text, such as an archive or another encoding, only addresses can be told.
    fn without_addresses(&self, body: Bytes) -> Bytes {
        let (mut out, mut from) = (Vec::new(), 0);
        for (range, stand_in) in stand_ins::addresses(&body).map(|address| self.address(address)) {
            out.extend_from_slice(&body[from..range.start]);
            out.extend_from_slice(stand_in.as_bytes());
            from = range.end;
        }
        out.extend_from_slice(&body[from..]);
        if from == 0 { body } else { out.into() }
    }

    fn address(&self, address: stand_ins::Address) -> (Range<usize>, String) {
        (address.range, self.stand_ins.address(&address.value).replace('@', address.at))
    }
}

fn decoded(query: &str) -> String {
    graph::percent_decode(&query.replace('+', " ")).into_owned()
}

/// Who stands in an exchange that should have nobody in it, by place and in words; stand-ins are nobody.
#[must_use]
pub fn leaks(exchange: &Exchange) -> Vec<(String, &'static str)> {
    let Exchange { request, response, .. } = exchange;
    let of_users = leads_to_users(request.path());
    let mut leaks = Vec::new();
    leaks.extend(kind(&request.target).map(|kind| ("request url".to_owned(), kind)));
    for (side, headers) in [("request", &request.headers), ("response", &response.headers)] {
        let found = headers.iter().filter_map(|(name, value)| Some((format!("{side} header `{name}`"), kind(value)?)));
        leaks.extend(found);
    }
    for (side, body) in [("request", &request.body), ("response", &response.body)] {
        let Some(mut value) = walk::parse_json(body) else {
            leaks.extend(kind(&String::from_utf8_lossy(body)).map(|kind| (format!("{side} body"), kind)));
            continue;
        };
        each_text(&mut value, of_users, &mut |text, role, pointer| {
            let found = match role {
                _ if stand_ins::is_stand_in(text) => None,
                Role::Name if text.chars().any(char::is_alphabetic) => Some("a person's name"),
                Role::Id if guid::tokens(text).any(|(_, guid)| !stand_ins::is_guid(guid)) => Some("a user's id"),
                _ => kind(text),
            };
            leaks.extend(found.map(|kind| (format!("{side} body, json:{pointer}"), kind)));
            false
        });
    }
    leaks
}

/// Who stands in a text, if anybody does.
fn kind(text: &str) -> Option<&'static str> {
    if stand_ins::addresses(text.as_bytes()).next().is_some() {
        return Some("a person's address");
    }
    user_keys(text).any(|guid| !stand_ins::is_guid(guid)).then_some("a user's id")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::exchange::{Headers, Response};
    use crate::tape::scribe;
    use crate::tape::secrets::Secrets;

    const GUID: &str = "26e90184-1029-4901-91f0-05454c445d59";
    const THING: &str = "0385114b-b48f-4800-a046-f249eaba24b1";

    fn exchange(target: &str, sent: &str, answered: &str) -> Taped<Exchange> {
        let request = Request {
            method: "POST".into(),
            host: "graph.microsoft.com".into(),
            target: target.into(),
            headers: [("x-on-behalf-of", "Anna@contoso.com")].into_iter().collect(),
            body: sent.to_owned().into(),
        };
        let response = Response { status: 200, headers: Headers::default(), body: answered.to_owned().into() };
        scribe::tape_exchange(Exchange { request, response, took: None }, &Secrets::default())
    }

    fn people() -> People {
        People::new(StandIns::new([7; 32]))
    }

    /// An exchange with nobody in it, in short: each stand-in by what it stands for.
    fn hidden(target: &str, sent: &str, answered: &str) -> [String; 3] {
        let Exchange { request, response, .. } = people().hide(exchange(target, sent, answered)).into_inner();
        let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        let stand_ins = people().stand_ins;
        let id = stand_ins.guid(Guid::parse(GUID).unwrap()).to_string();
        let short = |text: String| {
            let text = text
                .replace(&stand_ins.address("anna@contoso.com"), "<upn>")
                .replace(&stand_ins.name("Anna K"), "<name>");
            text.replace(&id, "<id>").replace(&stand_ins.name("Anna"), "<given>")
        };
        [request.target, text(&request.body), text(&response.body)].map(short)
    }

    #[test]
    fn somebody_is_known_by_place_and_replaced_wherever_they_stand() {
        let (target, sent, answered) = (
            format!("/v1.0/users('{GUID}')/x?$filter=userPrincipalName%20eq%20%27anna%40contoso.com%27&$top=1"),
            format!(
                r#"{{"userDisplayName":"Anna K","note":"for ANNA K, Anna and {THING}","to":["x","SMTP:Anna@Contoso.com"]}}"#
            ),
            format!(
                r#"{{"id":"{THING}_{GUID}","by":{{"user":{{"id":"{GUID}","displayName":"Anna"}}}},"displayName":"Anna","m":"{{\"userName\":\"Anna K\",\"n\":1.10}}"}}"#
            ),
        );
        let [target, sent, answered] = hidden(&target, &sent, &answered);
        assert_eq!(
            target,
            "/v1.0/users('<id>')/x?$filter=userPrincipalName%20eq%20%27<upn>%27&$top=1"
                .replace("<upn>", &people().stand_ins.address("anna@contoso.com").replace('@', "%40"))
        );
        assert_eq!(
            sent,
            format!(r#"{{"userDisplayName":"<name>","note":"for <name>, Anna and {THING}","to":["x","SMTP:<upn>"]}}"#)
        );
        assert_eq!(
            answered,
            format!(
                r#"{{"id":"{THING}_<id>","by":{{"user":{{"id":"<id>","displayName":"<given>"}}}},"displayName":"Anna","m":"{{\"userName\":\"<name>\",\"n\":1.10}}"}}"#
            )
        );
    }

    #[test]
    fn users_are_known_by_path_type_and_context() {
        let member = format!(r#"{{"id":"{GUID}","displayName":"Anna K"}}"#);
        for (target, answered) in [
            ("/v1.0/users", format!(r#"{{"value":[{member}]}}"#)),
            ("/v1.0/me", member.clone()),
            ("/v1.0/x", format!(r##"{{"@odata.context":"https://h/v1.0/$metadata#users(id)","value":[{member}]}}"##)),
            ("/v1.0/x", format!(r##"{{"a":{{"@odata.type":"#microsoft.graph.user",{}}}"##, &member[1..])),
            ("/v1.0/x", format!(r#"{{"a":[{{"userPrincipalName":"a","mail":null,{}]}}"#, &member[1..])),
            ("/v1.0/x?$filter=startswith(givenName,'Anna')", format!(r#"{{"userId":"{GUID}","userName":"Anna K"}}"#)),
        ] {
            let [target, _, told] = hidden(target, "", &answered);
            assert_eq!(told, answered.replace(GUID, "<id>").replace("Anna K", "<name>"), "{target}");
            assert!(!target.contains("Anna"), "{target}");
        }
        let group = r#"{"value":[{"id":"0385114b-b48f-4800-a046-f249eaba24b1","displayName":"Sales"}]}"#;
        assert_eq!(hidden("/v1.0/groups", "", group)[2], group);
    }

    #[test]
    fn nobody_is_left_once_it_is_done_and_doing_it_again_changes_nothing() {
        let path = format!("/v1.0/users/{GUID}?$search=\"mail:anna@contoso.com\"");
        let told = format!(
            r##"{{"@odata.type":"#microsoft.graph.user","id":"{GUID}","surname":"K","mail":"anna@contoso.com","imAddresses":["Anna@contoso.com"]}}"##
        );
        let whole = exchange(&path, &told, &told);
        assert_eq!(leaks(&whole).len(), 10, "{:?}", leaks(&whole));
        let mut people = people();
        let once = people.hide(whole);
        assert_eq!(leaks(&once), []);
        assert_eq!(people.hide(once.clone()), once);
        let noted = exchange("/v1.0/x", "", &format!(r#"{{"note":"{GUID}"}}"#));
        assert_ne!(
            People::new(people.stand_ins).hide_all(vec![noted.clone(), once])[0],
            noted,
            "by the tape alone it is known whose id it is"
        );
    }
}
