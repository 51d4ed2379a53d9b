//! By which name faults, journal and metrics know a request.

use std::fmt;

use axum::http::{Method, Uri};

use crate::api::{SUBMIT, TASK_RESULT};

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Operation {
    Submit,
    Poll,
    File,
    /// The sandbox's own: its page, health, metrics and admin API.
    Admin,
    Other,
}

impl Operation {
    pub(crate) fn of(method: &Method, uri: &Uri) -> Self {
        let reads = method == Method::GET || method == Method::HEAD;
        match uri.path() {
            SUBMIT if method == Method::POST => Self::Submit,
            TASK_RESULT if reads => Self::Poll,
            path if path.starts_with("/files/") && reads => Self::File,
            "/" | "/healthz" | "/metrics" | "/_sandbox" => Self::Admin,
            path if path.starts_with("/_sandbox/") => Self::Admin,
            _ => Self::Other,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Poll => "poll",
            Self::File => "file",
            Self::Admin => "admin",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_has_a_name() {
        for (method, uri, wanted) in [
            (Method::POST, SUBMIT, "submit"),
            (Method::GET, SUBMIT, "other"),
            (Method::GET, "/v3/async/task-result?task_id=1", "poll"),
            (Method::HEAD, "/files/1.mp4?signature=x", "file"),
            (Method::PUT, "/files/1.mp4", "other"),
            (Method::DELETE, "/_sandbox/tasks", "admin"),
            (Method::GET, "/_sandboxes", "other"),
            (Method::GET, "/", "admin"),
            (Method::GET, "/v3/", "other"),
        ] {
            assert_eq!(Operation::of(&method, &Uri::from_static(uri)).name(), wanted, "{method} {uri}");
        }
    }
}
