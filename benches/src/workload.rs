//! The workload: the userStatuses POST of the examples, for any configuration and any user.

/// A GUID that `n` gives, the same one in every process.
pub(crate) fn guid(kind: u64, n: u64) -> [u8; 36] {
    let (high, low) = (mixed(kind << 56 ^ n), mixed(kind << 48 ^ n ^ 0x5bd1_e995));
    let high = high & !0xf000 | 0x4000;
    let low = low & !(3 << 62) | 2 << 62;
    let mut text = [b'-'; 36];
    let mut digits = (0..16).rev().map(|i| high >> (4 * i)).chain((0..16).rev().map(|i| low >> (4 * i)));
    for (at, byte) in text.iter_mut().enumerate() {
        if ![8, 13, 18, 23].contains(&at) {
            *byte = b"0123456789abcdef"[digits.next().expect("32 digits") as usize & 15];
        }
    }
    text
}

/// Numbers without a pattern (splitmix64).
pub(crate) fn mixed(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The kinds of GUIDs.
pub(crate) const RECORDED_CONFIGURATION: u64 = 1;
pub(crate) const RECORDED_STATUS: u64 = 2;
pub(crate) const FRESH_CONFIGURATION: u64 = 3;

pub(crate) const HOST: &str = "graph.microsoft.com";
pub(crate) const PATH: &str = "/beta/deviceManagement/deviceConfigurations/";

/// The members of a status, as they are in a request.
pub(crate) fn members(user: u64) -> [(&'static str, String); 6] {
    [
        ("@odata.type", "\"#microsoft.graph.deviceConfigurationUserStatus\"".to_owned()),
        ("userDisplayName", format!("\"User {user:07}\"")),
        ("devicesCount", "12".to_owned()),
        ("status", "\"notApplicable\"".to_owned()),
        ("lastReportedDateTime", "\"2017-01-01T00:00:17.7769392-08:00\"".to_owned()),
        ("userPrincipalName", format!("\"user{user:07}@contoso.com\"")),
    ]
}

/// The body of a request.
pub(crate) fn body(user: u64) -> String {
    let members: Vec<String> = members(user).iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

/// A request in HTTP/1.1, whose configuration and user are changed in place.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    pub(crate) bytes: Vec<u8>,
    configuration: usize,
    users: [usize; 2],
}

impl Post {
    pub(crate) fn new() -> Self {
        let (head, body) = (format!("POST {PATH}"), body(0));
        let bytes = format!(
            "{head}{:036}/userStatuses HTTP/1.1\r\nHost: {HOST}\r\nAccept: */*\r\nAuthorization: Bearer no-token\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            0,
            body.len()
        );
        let place = |text: &str| bytes.find(text).expect("it is there") + text.len();
        let users = [place("\"User "), place("\"user")];
        let users = [users[0], bytes.rfind("\"user").map_or(users[1], |at| at + 5)];
        Self { configuration: head.len(), users, bytes: bytes.into_bytes() }
    }

    pub(crate) fn set(&mut self, configuration: &[u8; 36], user: u64) {
        self.bytes[self.configuration..][..36].copy_from_slice(configuration);
        let digits = digits(user);
        for at in self.users {
            self.bytes[at..][..7].copy_from_slice(&digits);
        }
    }
}

impl Post {
    /// Gives it other header fields than it had before.
    pub(crate) fn turn(&mut self) {
        let at = self.bytes.windows(8).position(|it| it.eq_ignore_ascii_case(b"no-token")).expect("it is there");
        self.bytes[at] ^= b'n' ^ b'N';
    }
}

/// A user's number as it stands in texts.
pub(crate) fn digits(mut user: u64) -> [u8; 7] {
    let mut digits = [b'0'; 7];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (user % 10) as u8;
        user /= 10;
    }
    digits
}

/// Which requests one client sends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Series {
    /// Of how many users.
    pub(crate) users: u64,
    /// Whether each is for a configuration that nobody has seen, rather than the recorded one.
    pub(crate) renamed: bool,
    /// Which client it is.
    pub(crate) client: u64,
    /// How many it has sent.
    pub(crate) sent: u64,
}

impl Series {
    /// The next request: a user at random, and a configuration.
    pub(crate) fn next(&mut self) -> ([u8; 36], u64) {
        self.sent += 1;
        let number = self.client << 40 | self.sent;
        let user = mixed(number) % self.users;
        let configuration =
            if self.renamed { guid(FRESH_CONFIGURATION, number) } else { guid(RECORDED_CONFIGURATION, user) };
        (configuration, user)
    }
}
