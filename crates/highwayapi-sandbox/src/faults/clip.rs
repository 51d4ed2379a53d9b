//! Bodies that are not what they should be, changed while they stream.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_LENGTH, HeaderName};
use axum::response::Response;
use http_body::Frame;

use crate::faults::effect::{Damage, Digest};

const SPACES: &[u8] = &[b' '; 64 << 10];

/// Changes bytes of a body, given where in it they stand.
type Patch = Box<dyn FnMut(u64, &mut [u8]) + Send>;

struct Altered {
    inner: Body,
    at: u64,
    /// Nothing of the body comes beyond this.
    end: u64,
    patch: Patch,
    /// Spaces that follow the body.
    padding: u64,
}

/// How long the body is, if that is known.
pub(crate) fn length(response: &Response) -> Option<u64> {
    let announced = response.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    announced.or_else(|| response.body().size_hint().exact())
}

/// So many bytes of spaces after the answer.
pub(crate) fn padded(response: Response, padding: u64) -> Response {
    let total = length(&response).map(|length| length + padding);
    alter(response, total, |inner| Altered { inner, at: 0, end: u64::MAX, patch: Box::new(|_, _| {}), padding })
}

/// A file that is no whole MP4 as it was made; whole files only.
pub(crate) fn corrupt(mut response: Response, how: Damage, digest: Digest) -> Response {
    if digest == Digest::Gone {
        response.headers_mut().remove(HeaderName::from_static("repr-digest"));
    }
    let Some(length) = length(&response) else { return response };
    let end = if how == Damage::Truncated { length * 2 / 3 } else { length };
    let patch: Patch = match how {
        Damage::Truncated => Box::new(|_, _| {}),
        // In the pictures, where no box tells.
        Damage::FlippedByte => Box::new(move |at, bytes| {
            let middle = (length / 2).checked_sub(at).and_then(|middle| bytes.get_mut(middle as usize));
            if let Some(byte) = middle {
                *byte ^= 1;
            }
        }),
        Damage::LyingBox => Box::new(|at, bytes| second_box(at, bytes, 0, [0x7f, 0xff, 0xff, 0xff])),
        // The second box is `moov`.
        Damage::NoIndex => Box::new(|at, bytes| second_box(at, bytes, 4, *b"free")),
    };
    alter(response, Some(end), |inner| Altered { inner, at: 0, end, patch, padding: 0 })
}

/// Both boxes begin within the first bytes that come.
fn second_box(at: u64, bytes: &mut [u8], offset: usize, put: [u8; 4]) {
    if at != 0 || bytes.len() < 4 {
        return;
    }
    let second = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize + offset;
    if let Some(place) = bytes.get_mut(second..second + 4) {
        place.copy_from_slice(&put);
    }
}

fn alter(response: Response, length: Option<u64>, altered: impl FnOnce(Body) -> Altered) -> Response {
    let (mut head, body) = response.into_parts();
    head.headers.remove(CONTENT_LENGTH);
    if let Some(length) = length {
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Response::from_parts(head, Body::new(altered(body)))
}

impl HttpBody for Altered {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match std::task::ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
            Some(Ok(frame)) => {
                let Ok(data) = frame.into_data() else { return Poll::Ready(None) };
                let keep = self.end.saturating_sub(self.at).min(data.len() as u64);
                if keep == 0 {
                    return Poll::Ready(None);
                }
                let mut bytes = data[..keep as usize].to_vec();
                let at = self.at;
                (self.patch)(at, &mut bytes);
                self.at += keep;
                Poll::Ready(Some(Ok(Frame::data(bytes.into()))))
            }
            None if self.padding > 0 => {
                let next = self.padding.min(SPACES.len() as u64);
                self.padding -= next;
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&SPACES[..next as usize])))))
            }
            end => Poll::Ready(end),
        }
    }
}
