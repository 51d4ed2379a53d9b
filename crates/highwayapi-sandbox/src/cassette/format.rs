//! The file: JSON lines, each with one key that says what it is. `docs/sandbox-cassettes.md` describes it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Raised when an older reader could misread a newer file.
pub(crate) const VERSION: u32 = 1;

/// Most bytes of a cassette that is read: an exchange takes a few kilobytes.
const MAX_BYTES: u64 = 256 << 20;

/// One line.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line {
    Cassette(Head),
    Request(Request),
    Answer(Answer),
    Video(Video),
    Lost(Lost),
    Note(Note),
}

/// The first line.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Head {
    pub(crate) version: u32,
    /// Milliseconds since 1970; all other times are counted from here.
    pub(crate) began_unix_ms: u64,
    /// Scheme, host and port.
    pub(crate) upstream: String,
}

/// What a client asked; on disk before it is passed on.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Request {
    /// Counted from 1; the lines of one exchange share it.
    pub(crate) n: u64,
    pub(crate) at_ms: u64,
    /// What the client said it was for, in the header `Highway-Note`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
    pub(crate) operation: Operation,
    pub(crate) method: String,
    pub(crate) path: String,
    /// What it is replayed by: a submit's content, a task's id, a link's id.
    pub(crate) subject: String,
    pub(crate) headers: Vec<(String, String)>,
    /// As it came, with `(picture 1)` where a picture was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) pictures: Vec<Picture>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Operation {
    Submit,
    Poll,
    /// A result link.
    File,
}

impl Operation {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Poll => "poll",
            Self::File => "file",
        }
    }
}

/// A picture of a request, told and not kept.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Picture {
    pub(crate) field: String,
    pub(crate) sent: Form,
    /// What a data URI says it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) media_type: Option<String>,
    /// Of the decoded file, or of the text where that cannot be decoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<String>,
    /// Bytes of the decoded file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<u64>,
    /// `png` or `jpeg`, judged by its first bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) width: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) height: Option<u32>,
    /// Whether the whole file can be decoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) readable: Option<bool>,
    /// Without its query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    /// What came, if that is short and no picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
}

/// How a picture was sent.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum Form {
    #[serde(rename = "data URI")]
    DataUri,
    #[serde(rename = "bare Base64")]
    BareBase64,
    #[serde(rename = "URL")]
    Url,
    #[default]
    #[serde(rename = "text")]
    Text,
}

/// What the service answered; on disk before the client gets it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Answer {
    pub(crate) n: u64,
    pub(crate) at_ms: u64,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    /// As it came, with `(link …)` where a result link was; `None` for a video.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) links: Vec<Link>,
    /// More came than is kept.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) cut: bool,
}

/// A result link, of which nothing is kept that could be used.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Link {
    /// From the whole link's hash: another signature is another link.
    pub(crate) id: String,
    pub(crate) url: String,
}

/// What came of a result link, once all of it was passed on.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Video {
    pub(crate) n: u64,
    pub(crate) at_ms: u64,
    pub(crate) length: u64,
    pub(crate) sha256: String,
    /// Whether it came to its end.
    pub(crate) whole: bool,
    /// The file's name in the folder beside the cassette.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kept: Option<String>,
}

/// No answer, or none to its end.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Lost {
    pub(crate) n: u64,
    pub(crate) at_ms: u64,
    pub(crate) why: String,
    /// Whether the request may have reached the service.
    pub(crate) sent: bool,
}

/// What a person added.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Note {
    pub(crate) at_ms: u64,
    /// Of which question.
    pub(crate) question: String,
    pub(crate) text: String,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// Requests and what became of them, read from a file.
#[derive(Clone, Debug)]
pub struct Cassette {
    pub(crate) head: Head,
    pub(crate) exchanges: Vec<Exchange>,
    pub(crate) notes: Vec<Note>,
    /// Whether the last line is not whole: the recorder was killed.
    pub(crate) cut: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) request: Request,
    pub(crate) answer: Option<Answer>,
    pub(crate) video: Option<Video>,
    pub(crate) lost: Option<Lost>,
}

impl Cassette {
    /// Reads a cassette up to its last whole line.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, is no cassette, or is one of a later version.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let name = path.display();
        let unreadable = |e| Error::new(format!("{name} cannot be read")).caused_by(e);
        let length = std::fs::metadata(path).map_err(unreadable)?.len();
        if length > MAX_BYTES {
            return Err(Error::new(format!("{name} has {length} bytes, and a cassette has at most {MAX_BYTES}")));
        }
        let bytes = std::fs::read(path).map_err(unreadable)?;
        Self::parse(&bytes).map_err(|e| Error::new(format!("{name} is no cassette that can be used")).caused_by(e))
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut lines: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
        let cut = !lines.pop().unwrap_or_default().is_empty();
        let read = |(at, line): (usize, &&[u8])| {
            let bad = |e| Error::new(format!("line {} is none that is known", at + 1)).caused_by(e);
            serde_json::from_slice::<Line>(line).map_err(bad)
        };
        let first = lines.first().ok_or_else(|| Error::new("it has no whole line"))?;
        let Line::Cassette(head) = read((0, first))? else {
            return Err(Error::new("its first line does not say that it is one"));
        };
        if head.version != VERSION {
            return Err(Error::new(format!("it is of version {}, and {VERSION} is what is known here", head.version)));
        }
        let mut cassette = Self { head, exchanges: Vec::new(), notes: Vec::new(), cut };
        for line in lines.iter().enumerate().skip(1) {
            let number = line.0 + 1;
            let known = cassette.add(read(line)?);
            known.ok_or_else(|| Error::new(format!("line {number} belongs to no request before it")))?;
        }
        Ok(cassette)
    }

    fn add(&mut self, line: Line) -> Option<()> {
        match line {
            Line::Cassette(_) => return None,
            Line::Request(request) => {
                self.exchanges.push(Exchange { request, answer: None, video: None, lost: None });
            }
            Line::Answer(answer) => {
                let n = answer.n;
                self.exchange(n)?.answer = Some(answer);
            }
            Line::Video(video) => {
                let n = video.n;
                self.exchange(n)?.video = Some(video);
            }
            Line::Lost(lost) => {
                let n = lost.n;
                self.exchange(n)?.lost = Some(lost);
            }
            Line::Note(note) => self.notes.push(note),
        }
        Some(())
    }

    fn exchange(&mut self, n: u64) -> Option<&mut Exchange> {
        self.exchanges.iter_mut().rfind(|exchange| exchange.request.n == n)
    }
}

/// Where kept videos are.
pub(crate) fn videos(cassette: &Path) -> std::path::PathBuf {
    let mut name = cassette.as_os_str().to_owned();
    name.push(".videos");
    name.into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const WHOLE: &str = concat!(
        r#"{"cassette":{"version":1,"began_unix_ms":0,"upstream":"http://127.0.0.1:1"}}"#,
        "\n",
        r#"{"request":{"n":1,"at_ms":0,"operation":"poll","method":"GET","path":"/","subject":"a","headers":[]}}"#,
        "\n",
        r#"{"answer":{"n":1,"at_ms":5,"status":200,"headers":[["date","now"]],"body":"{}"}}"#,
        "\n",
    );

    #[test]
    fn a_cassette_is_read_to_its_last_whole_line() {
        for end in WHOLE.len() - 50..WHOLE.len() {
            let cassette = Cassette::parse(&WHOLE.as_bytes()[..end]).unwrap();
            assert_eq!((cassette.exchanges.len(), cassette.cut), (1, true));
            assert!(cassette.exchanges[0].answer.is_none());
        }
        let cassette = Cassette::parse(WHOLE.as_bytes()).unwrap();
        assert_eq!(cassette.exchanges[0].answer.as_ref().unwrap().status, 200);
        assert!(!cassette.cut);
    }

    #[test]
    fn what_is_no_cassette_is_refused() {
        let answer_alone = WHOLE.lines().last().unwrap();
        let first = WHOLE.lines().next().unwrap();
        for (text, wanted) in [
            ("", "it has no whole line"),
            ("{}\n", "line 1 is none that is known"),
            (&format!("{answer_alone}\n"), "its first line does not say that it is one"),
            (
                &first.replace("\"version\":1", "\"version\":2").replace("}}", "}}\n"),
                "it is of version 2, and 1 is what is known here",
            ),
            (&format!("{first}\n{answer_alone}\n"), "line 2 belongs to no request before it"),
            (&format!("{first}\nnonsense\n{answer_alone}\n"), "line 2 is none that is known"),
        ] {
            assert_eq!(Cassette::parse(text.as_bytes()).unwrap_err().to_string(), wanted);
        }
    }
}
