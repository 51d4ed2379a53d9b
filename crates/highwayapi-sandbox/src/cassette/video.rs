//! A video on its way through: counted, hashed, kept if that is wanted, never whole in memory.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::Body;
use http_body_util::channel::Channel;
use sha2::{Digest, Sha256};

use crate::cassette::format::{Line, Video, videos};
use crate::cassette::write::{Writer, private};
use crate::error::Error;
use crate::hex;

/// Makes the folder beside the cassette, which only its owner can enter.
pub(crate) fn folder(cassette: &Path) -> Result<PathBuf, Error> {
    let folder = videos(cassette);
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let made = builder.create(&folder);
    made.map_err(|e| Error::new(format!("{} cannot be made", folder.display())).caused_by(e))?;
    Ok(folder)
}

/// The body for the client. Its line is written when the last byte is handed on.
pub(crate) fn pass_on(n: u64, answer: reqwest::Response, writer: Arc<Writer>, keep: Option<&Path>) -> Body {
    let (client, body) = Channel::new(1);
    let name = format!("{n}.mp4");
    let path = keep.map(|folder| folder.join(&name));
    tokio::spawn(async move {
        let mut copy =
            Copy { digest: Sha256::new(), length: 0, file: path.as_deref().and_then(|path| private(path).ok()) };
        let whole = pour(answer, &mut copy, client).await;
        let kept = (whole && copy.file.is_some()).then_some(name);
        if let (None, Some(path)) = (&kept, &path) {
            let _ = std::fs::remove_file(path);
        }
        let sha256 = hex::encode(&copy.digest.finalize());
        let told = Video { n, at_ms: writer.now(), length: copy.length, sha256, whole, kept };
        // Where the cassette can be written no more, the next request is refused.
        let _ = writer.write(&Line::Video(told));
    });
    Body::new(body)
}

struct Copy {
    digest: Sha256,
    length: u64,
    /// None, too, once it cannot be written.
    file: Option<std::fs::File>,
}

/// Whether all of it went through.
async fn pour(
    mut answer: reqwest::Response,
    copy: &mut Copy,
    mut client: http_body_util::channel::Sender<axum::body::Bytes, reqwest::Error>,
) -> bool {
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) => {
                copy.digest.update(&chunk);
                copy.length += chunk.len() as u64;
                if copy.file.as_mut().is_some_and(|file| file.write_all(&chunk).is_err()) {
                    copy.file = None;
                }
                if client.send_data(chunk).await.is_err() {
                    return false;
                }
            }
            Ok(None) => return true,
            Err(e) => {
                client.abort(e);
                return false;
            }
        }
    }
}
