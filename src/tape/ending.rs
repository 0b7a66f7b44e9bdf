//! Where a value of a JSON text ends, looked for while the text is read.

/// Looks for the end of a value.
#[derive(Default)]
pub(super) struct Scan {
    /// How much of it has been looked at, or is its length when the end is found.
    pub(super) length: usize,
    depth: usize,
    in_string: bool,
    /// Whether it is a number or a word, which ends where something else begins.
    bare: bool,
}

impl Scan {
    /// Looks on in a text that begins with the value; whether its end is there.
    pub(super) fn goes_on(&mut self, text: &[u8]) -> bool {
        while let Some(rest) = text.get(self.length..).filter(|rest| !rest.is_empty()) {
            if self.in_string {
                let Some(at) = memchr::memchr2(b'"', b'\\', rest) else {
                    self.length = text.len();
                    return false;
                };
                if rest[at] == b'\\' {
                    if at + 1 == rest.len() {
                        self.length += at;
                        return false;
                    }
                    self.length += at + 2;
                    continue;
                }
                self.length += at + 1;
                self.in_string = false;
            } else {
                // Within a value that holds others only what opens or closes one matters.
                let matters = |byte: &u8| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']');
                let passed = if self.depth > 0 { rest.iter().position(matters).unwrap_or(rest.len()) } else { 0 };
                if passed > 0 {
                    self.length += passed;
                    continue;
                }
                match rest[0] {
                    b',' | b':' | b'}' | b']' if self.bare => return true,
                    byte if self.bare && byte.is_ascii_whitespace() => return true,
                    b'"' => self.in_string = true,
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                    _ => self.bare = self.depth == 0,
                }
                self.length += 1;
            }
            if self.depth == 0 && !self.in_string && !self.bare {
                return true;
            }
        }
        false
    }
}
