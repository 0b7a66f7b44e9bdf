//! The rules for secrets that the deck comes with: names of places, and shapes.

/// Headers that carry credentials, on either side, in lower case; `*` stands for any text.
pub(super) const HEADERS: [&str; 7] = [
    "authorization",
    "cookie",
    "ocp-apim-subscription-key",
    "proxy-authorization",
    "set-cookie",
    "x-api-key",
    "x-ms-*token*",
];

/// Members of JSON, elements of XML and keys of property lists whose values are secrets. Each is meant in any case, and
/// with or without `_` between its words.
pub(super) const MEMBERS: [&str; 29] = [
    "access_token",
    "accountKey",
    "activationLockBypassCode",
    "apiKey",
    "bearerToken",
    "client_assertion",
    "client_secret",
    "clientState",
    "connectionString",
    "currentPassword",
    "encryptionKey",
    "id_token",
    "keyMaterial",
    "macKey",
    "newPassword",
    "passphrase",
    "password",
    "passwordBase64",
    "personalRecoveryKey",
    "preSharedKey",
    "privateKey",
    "recoveryKey",
    "refresh_token",
    "secretText",
    "sharedAccessKey",
    "temporaryAccessPass",
    "token",
    "tokenValue",
    "unlockPin",
];

/// Fields of forms, queries and multipart forms, wherever these stand.
pub(super) const FIELDS: [&str; 9] = [
    "access_token",
    "api_key",
    "client_assertion",
    "client_secret",
    "code_verifier",
    "id_token",
    "password",
    "refresh_token",
    "subscription-key",
];

/// Words of other meanings too: they count where a form, a query or a multipart form has its fields. In JSON `code` says
/// what went wrong.
pub(super) const SHORT_FIELDS: [&str; 4] = ["code", "device_code", "pwd", "sig"];

/// Rules by place: `{members}` and `{fields}` stand for the names above. What the group `secret` finds is taken out, or
/// what `number` finds, which then becomes a text in quotes as `quote` finds them.
pub(super) const BY_PLACE: [(&str, &str); 8] = [
    (
        "json-field",
        r#"(?i)(?P<quote>")(?:{members})"\s*:\s*(?:"(?P<secret>(?:[^"\\]|\\(?s:.))+)|(?P<number>-?[0-9][0-9.e+-]*))"#,
    ),
    // The same in JSON that stands in a JSON string, each of its quotes escaped once more.
    (
        "nested-json-field",
        concat!(
            r#"(?i)(?P<quote>\\")(?:{members})\\"\s*:\s*"#,
            r#"(?:\\"(?P<secret>(?:[^"\\]|\\u[0-9a-f]{4}|\\\\(?:\\["\\]|[^"\\]))+)|(?P<number>-?[0-9][0-9.e+-]*))"#
        ),
    ),
    // A quote that ends a text of JSON is no part of either, so that neither goes on in the next member.
    (
        "xml-field",
        concat!(
            r"(?i)(?:<|&lt;|\\u003c)(?:[a-z0-9_]+:)?(?:{members})(?:\s[^<>&]*)?(?:>|&gt;|\\u003e)",
            r#"(?P<secret>(?:[^<\\"]|"[^<:,}\]\s]|\\[^u]|\\u[0-9a-f]{3}[0-9abdef])+?"?)(?:<|&lt;|\\u003c)"#
        ),
    ),
    (
        "plist-field",
        concat!(
            r"(?i)(?:<|&lt;|\\u003c)key(?:>|&gt;|\\u003e)\s*(?:{members})\s*(?:<|&lt;|\\u003c)\\?/key(?:>|&gt;|\\u003e)",
            r"(?:\s|\\[nrt])*(?:<|&lt;|\\u003c)(?:string|data|integer)(?:>|&gt;|\\u003e)",
            r#"(?P<secret>(?:[^<\\"]|"[^<:,}\]\s]|\\[^u]|\\u[0-9a-f]{3}[0-9abdef])+?"?)(?:<|&lt;|\\u003c)"#
        ),
    ),
    ("form-field", r#"(?i)(?:^|[?&;\s"'=/])(?:{fields})=(?P<secret>[^=~&;\s"'<>\\][^&;\s"'<>\\]*)"#),
    ("short-form-field", r#"(?i)(?:^|[?&])(?:{short_fields})=(?P<secret>[^=~&;\s"'<>\\][^&;\s"'<>\\]*)"#),
    (
        "multipart-field",
        concat!(
            r#"(?i)content-disposition:[^\r\n]*[;\s]name="?(?:{fields}|{short_fields})"?[ \t]*(?:;[^\r\n]*)?\r?\n"#,
            r"(?:[^\r\n]+\r?\n)*\r?\n(?P<secret>[^\r\n]+)"
        ),
    ),
    ("www-authenticate-claims", r#"(?i)claims=\\*"(?P<secret>[A-Za-z0-9+/=_-]{16,})"#),
];

/// Rules by shape. What the group `secret` finds is taken out, or else all.
pub(super) const BY_SHAPE: [(&str, &str); 13] = [
    ("jwt", r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)+"),
    ("bearer-token", r"(?i)bearer(?:\s|%20|\+)+(?P<secret>[A-Za-z0-9._~/-][A-Za-z0-9._~+/=-]{19,})"),
    ("refresh-token", r"\b[01]\.A[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]+)*\.[A-Za-z0-9_-]{40,}"),
    // What a PEM holds, and no more: the text around it stays. Its line ends may be escaped.
    (
        "private-key",
        concat!(
            r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?:[A-Za-z0-9+/=\s:,]|\\+r|\\+n|\\+u000[ad])*",
            r"(?:-----END [A-Z0-9 ]*PRIVATE KEY-----)?"
        ),
    ),
    ("sas-signature", r"(?i)(?:\?|&|%26|;|\b)sig(?:=|%3d)(?P<secret>[A-Za-z0-9%+/=_-]{20,})"),
    ("azure-client-secret", r"[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}"),
    (
        "connection-string",
        r#"(?i)(?:account|sharedaccess|sharedsecret|primary|secondary)key=(?P<secret>[^;&"'\s\\]{8,})"#,
    ),
    ("url-password", r#"[a-z][a-z0-9+.-]*://[^/\s:@"'?#]*:(?P<secret>[^/\s:@"'?#]+)@"#),
    ("aws-key", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    ("github-token", r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{60,})"),
    ("slack-token", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
    // Graph shows it as the `key` of a bitlockerRecoveryKey: eight groups of six digits.
    ("bitlocker-recovery-key", r"\b[0-9]{6}(?:-[0-9]{6}){7}\b"),
    // Graph shows it as the `value` of getFileVaultKey: six groups of four.
    ("filevault-recovery-key", r"\b[A-Z0-9]{4}(?:-[A-Z0-9]{4}){5}\b"),
];

/// The rule for JSON that is to be read without its escapes: `"client\u005fsecret"`, `?a=b\u0026client_secret=…`, and members
/// that stand deep in others.
pub(super) const ESCAPED_MEMBER: &str = "escaped-json-field";

/// What calls for it: escapes of what needs none, or members of JSON that stands in a JSON string within another.
pub(super) const ESCAPED: &str = r#"(?i)\\u00[2-7][0-9a-f]|\\/|\\\\\\"(?:{members})\\\\\\""#;
