//! Routes: `METHOD path-pattern`, by which config says what is recorded and where places are ignored.

use super::graph;
use super::guid;
use globset::{GlobBuilder, GlobMatcher};

/// A method, or any, and a pattern for paths without their version.
///
/// In the pattern `*` stands for one segment or a part of it, `**` for any number of segments.
/// Names compare without regard to case.
#[derive(Clone, Debug)]
pub struct Route {
    text: String,
    method: Option<String>,
    pattern: GlobMatcher,
}

/// Why a text is no route.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The two parts are not there.
    #[error("`{0}` is no route: write a method (or `*`), a space and a path pattern, such as `POST /**/userStatuses`")]
    Parts(String),
    /// The pattern cannot be read.
    #[error("`{pattern}` is no path pattern: {why}")]
    Pattern {
        /// The pattern as written.
        pattern: String,
        /// What is wrong in it.
        why: String,
    },
}

impl Route {
    /// Reads `METHOD path-pattern`.
    ///
    /// # Errors
    /// When a part is missing, the path does not begin with `/`, or the pattern is no glob.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let (method, pattern) = text.split_once(' ').ok_or_else(|| Fault::Parts(text.to_owned()))?;
        let method_is_token = method == "*" || method.bytes().all(|b| b.is_ascii_alphabetic());
        if method.is_empty() || !method_is_token || !pattern.starts_with('/') {
            return Err(Fault::Parts(text.to_owned()));
        }
        let glob = GlobBuilder::new(pattern)
            .literal_separator(true)
            .case_insensitive(true)
            .build()
            .map_err(|fault| Fault::Pattern { pattern: pattern.to_owned(), why: fault.kind().to_string() })?;
        let method = (method != "*").then(|| method.to_ascii_uppercase());
        Ok(Self { text: text.to_owned(), method, pattern: glob.compile_matcher() })
    }

    /// The route as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a request with this method and path is meant.
    #[must_use]
    pub fn matches(&self, method: &str, path: &str) -> bool {
        self.takes(method) && self.leads_to(&graph::route_path(path))
    }

    /// Whether requests with this method are meant.
    #[must_use]
    pub fn takes(&self, method: &str) -> bool {
        self.method.as_deref().is_none_or(|own| own.eq_ignore_ascii_case(method))
    }

    /// Whether it says the same of all paths that differ by their GUIDs only: no pattern looks into a segment.
    #[must_use]
    pub fn is_blind_to_guids(&self) -> bool {
        let pattern = self.text.split_once(' ').map_or("", |(_, pattern)| pattern);
        pattern.split('/').all(|segment| {
            let whole = matches!(segment, "*" | "**") || !segment.contains(['*', '?', '[', '{', '\\']);
            whole && guid::tokens(segment).next().is_none()
        })
    }

    /// Whether a path is meant that is written as [`graph::route_path`] does.
    #[must_use]
    pub fn leads_to(&self, route_path: &str) -> bool {
        self.pattern.is_match(route_path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "7e323db2-3db2-7e32-b23d-327eb23d327e";

    #[test]
    fn the_shipped_route_takes_user_statuses_at_any_depth_and_in_any_spelling() {
        let route = Route::parse("POST /deviceManagement/**/userStatuses").unwrap();
        for path in [
            format!("/beta/deviceManagement/deviceConfigurations/{A}/userStatuses"),
            format!("/v1.0//deviceManagement/deviceConfigurations('{A}')/userStatuses/"),
            format!("/beta/devicemanagement/deviceconfigurations/{A}/identityCertificate/rootCertificate/USERSTATUSES"),
            format!(
                "/beta/deviceManagement/deviceConfigurations/{A}/microsoft.graph.x/rootCertificates/{A}/userStatuses"
            ),
        ] {
            assert!(route.matches("POST", &path), "{path}");
        }
        for (method, path) in [
            ("GET", format!("/beta/deviceManagement/deviceConfigurations/{A}/userStatuses")),
            ("POST", format!("/beta/deviceManagement/deviceConfigurations/{A}/userStatuses/{A}")),
            ("POST", format!("/beta/users/{A}/userStatuses")),
        ] {
            assert!(!route.matches(method, &path), "{method} {path}");
        }
    }

    #[test]
    fn a_route_that_looks_into_no_segment_is_blind_to_guids() {
        for route in ["POST /**/userStatuses", "* /deviceManagement/*/x", "GET /"] {
            assert!(Route::parse(route).unwrap().is_blind_to_guids(), "{route}");
        }
        for route in ["GET /users/a*", "GET /users/[0-9]*", "GET /{a,b}/x", "GET /a?", &format!("GET /users/{A}")] {
            assert!(!Route::parse(route).unwrap().is_blind_to_guids(), "{route}");
        }
    }

    #[test]
    fn star_and_double_star_mean_everything() {
        let all = Route::parse("* /**").unwrap();
        assert!(all.matches("PATCH", "/beta/me") && all.matches("GET", "/v1.0"));
    }

    #[test]
    fn what_is_no_route_says_how_to_write_one() {
        let faults = ["POST", "POST userStatuses", "P:T /x", " /x", "GET /[", "GET /{a"]
            .map(|text| Route::parse(text).unwrap_err().to_string());
        insta::assert_snapshot!(faults.join("\n"));
    }
}
