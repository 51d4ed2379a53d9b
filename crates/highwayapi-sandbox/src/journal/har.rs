//! The journal as HAR 1.2, which browsers and proxies open.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Entry, millis};

/// These entries with their numbers; `base_url` is where the sandbox listens. As text, for there may be many.
pub(crate) fn archive(entries: &[(u64, Entry)], base_url: &str) -> String {
    let creator = json!({ "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION") });
    let mut text = format!(r#"{{"log":{{"version":"1.2","creator":{creator},"entries":["#);
    for (at, (number, entry)) in entries.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        text += &entry.har(*number, base_url).to_string();
    }
    text + "]}}"
}

impl Entry {
    fn har(&self, number: u64, base_url: &str) -> Value {
        let took = millis(self.took);
        let query = self.path.split_once('?').map_or("", |(_, query)| query);
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let header = |name: &str, value: String| json!({ "name": name, "value": value });
        let came = self.key.iter().map(|key| header("Authorization", format!("Bearer {key}")));
        let sent = self.content_type.iter().map(|kind| header("Content-Type", kind.clone()));
        // 0 is what HAR's readers show for a request without an answer.
        let status = self.status.unwrap_or(0);
        let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
        let size = self.bytes.map_or(-1, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
        json!({
            "startedDateTime": rfc3339(self.unix),
            "time": took,
            "request": {
                "method": self.method,
                "url": format!("{base_url}{}", self.path),
                "httpVersion": "HTTP/1.1",
                "cookies": [],
                "headers": came.collect::<Vec<_>>(),
                "queryString": pairs.map(|(name, value)| header(name, value.to_owned())).collect::<Vec<_>>(),
                "headersSize": -1,
                "bodySize": -1,
            },
            "response": {
                "status": status,
                "statusText": reason.unwrap_or_default(),
                "httpVersion": "HTTP/1.1",
                "cookies": [],
                "headers": sent.collect::<Vec<_>>(),
                "content": { "size": size.max(0), "mimeType": self.content_type.as_deref().unwrap_or_default() },
                "redirectURL": "",
                "headersSize": -1,
                "bodySize": size,
            },
            "cache": {},
            "timings": { "send": 0, "wait": took, "receive": 0 },
            "comment": self.fault.as_ref().map_or(String::new(), |fault| format!("fault: {fault}")),
            "_number": number,
            "_operation": self.operation,
            "_task_id": self.task_id,
            "_request_hash": self.request.map(|request| request.to_string()),
        })
    }
}

/// `2026-01-01T00:00:01.500Z`
pub(crate) fn rfc3339(unix: Duration) -> String {
    let (days, second) = (unix.as_secs() / 86_400, unix.as_secs() % 86_400);
    // Years begin in March, so that the leap day is a year's last; 400 of them have 146,097 days.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = 400 * era + year + next;
    let (hour, minute, second, milli) = (second / 3600, second / 60 % 60, second % 60, unix.subsec_millis());
    format!("{year:04}-{month:02}-{day_of_month:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::tests::entry;
    use super::*;

    #[test]
    fn dates() {
        for (seconds, wanted) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_767_225_599, "2025-12-31T23:59:59.000Z"),
            (1_767_225_600, "2026-01-01T00:00:00.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(Duration::from_secs(seconds)), wanted);
        }
    }

    #[test]
    fn an_entry_has_what_a_reader_needs() {
        let fault = Entry { fault: Some("slow".to_owned()), ..entry("/v3/async/task-result?task_id=a-task") };
        let path = "/files/a.mp4?signature=(redacted)";
        let gone = Entry { status: None, bytes: None, content_type: None, ..entry(path) };
        let archive = archive(&[(1, fault), (2, gone)], "http://127.0.0.1:1");
        let archive: Value = serde_json::from_str(&archive).unwrap();
        insta::assert_snapshot!(format!("{:#}", archive["log"]["entries"]));
    }
}
