//! Answers that leave in a way that HTTP does not know: lost, cut, dripped, reset.

use std::io;
use std::time::Duration;

use axum::body::HttpBody;
use axum::http::{header, response};
use axum::response::Response;
use http_body_util::BodyExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, copy, sink};
use tokio::time::{sleep, timeout};

use crate::faults::By;
use crate::patience::PatientStream;

/// How long a silent connection is kept for a client that does not go away.
const SILENCE: Duration = Duration::from_secs(600);

/// What is still read of a request after its answer, so that the answer is seen.
const LINGER: (u64, Duration) = (256 << 20, Duration::from_secs(30));

/// How an answer leaves; in its extensions. The connection ends with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Delivery {
    /// Whether `103 Early Hints` comes first.
    pub(crate) hinted: bool,
    pub(crate) part: Part,
    /// The body in so many pieces, with a pause after each.
    pub(crate) pace: Option<(u32, Duration)>,
    pub(crate) end: By,
}

/// How much of an answer leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Part {
    Nothing,
    HalfHead,
    HalfBody,
    #[default]
    Whole,
}

/// Sends it, and ends the connection. `bare` where no body may come.
pub(crate) async fn deliver(
    mut stream: PatientStream,
    response: Response,
    delivery: Delivery,
    bare: bool,
) -> io::Result<()> {
    let (head, body) = response.into_parts();
    let text = written(&head, body.size_hint().exact());
    if delivery.hinted {
        stream.write_all(b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n").await?;
    }
    match delivery.part {
        Part::Nothing => {}
        Part::HalfHead => stream.write_all(&text[..text.len() / 2]).await?,
        Part::HalfBody | Part::Whole => {
            stream.write_all(&text).await?;
            if !bare {
                let length = head.headers.get(header::CONTENT_LENGTH).and_then(|text| text.to_str().ok()?.parse().ok());
                let length: Option<u64> = length.or_else(|| body.size_hint().exact());
                let most = if delivery.part == Part::Whole { u64::MAX } else { length.unwrap_or_default() / 2 };
                send(&mut stream, body, most, length.unwrap_or_default(), delivery.pace).await?;
            }
        }
    }
    stream.flush().await?;
    match delivery.end {
        By::Reset => stream.into_inner().set_zero_linger(),
        By::Silence => {
            gone(stream, SILENCE).await;
            Ok(())
        }
        By::Close => {
            stream.shutdown().await?;
            // Closed before the other side has read all, it would lose what is still on its way.
            gone(stream.take(LINGER.0), LINGER.1).await;
            Ok(())
        }
    }
}

/// Until the other side has gone, or for so long.
async fn gone(mut stream: impl AsyncRead + Unpin, limit: Duration) {
    let _ = timeout(limit, copy(&mut stream, &mut sink())).await;
}

async fn send(
    stream: &mut PatientStream,
    mut body: axum::body::Body,
    most: u64,
    length: u64,
    pace: Option<(u32, Duration)>,
) -> io::Result<()> {
    let piece = pace.map_or(usize::MAX, |(pieces, _)| length.div_ceil(u64::from(pieces.max(1))).max(1) as usize);
    let mut left = most;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(io::Error::other)?.into_data() else { continue };
        let data = &data[..data.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
        left -= data.len() as u64;
        for part in data.chunks(piece) {
            stream.write_all(part).await?;
            if let Some((_, pause)) = pace {
                stream.flush().await?;
                sleep(pause).await;
            }
        }
        if left == 0 {
            break;
        }
    }
    Ok(())
}

/// The head as its headers are, also where they lie.
fn written(head: &response::Parts, length: Option<u64>) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {} {}\r\n", head.status.as_str(), head.status.canonical_reason().unwrap_or(""));
    if let Some(length) = length.filter(|_| !head.headers.contains_key(header::CONTENT_LENGTH)) {
        text.push_str(&format!("content-length: {length}\r\n"));
    }
    let mut text = text.into_bytes();
    for (name, value) in &head.headers {
        text.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    text.extend(b"connection: close\r\n\r\n");
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::body::Body;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn who_does_not_take_what_comes_in_another_way_is_cut_off_too() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let stream = PatientStream::new(listener.accept().await.unwrap().0, Duration::from_millis(200));
        let response = Response::new(Body::from(vec![0; 64 << 20]));
        let sent = timeout(Duration::from_secs(60), deliver(stream, response, Delivery::default(), false)).await;
        assert_eq!(sent.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(client);
    }
}
