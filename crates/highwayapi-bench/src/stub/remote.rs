//! The stub as the harness sees it: a process that ends with it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::CONTROL;
use crate::{Result, machine};

pub(crate) struct Remote {
    child: Child,
    /// Where it listens without and with TLS.
    pub(crate) base: String,
    pub(crate) secure_base: String,
    /// The certificate that clients are to trust.
    pub(crate) certificate: PathBuf,
}

/// What it has counted.
#[derive(Deserialize)]
pub(crate) struct Counts {
    pub(crate) gets: u64,
    /// Of all bodies, as they were on the wire.
    pub(crate) bytes_in: u64,
    /// Of the clip alone.
    pub(crate) bytes_out: u64,
    /// When the first byte of the first request was there.
    pub(crate) first_byte: Option<u64>,
}

impl Remote {
    /// Starts it on its own core.
    pub(crate) fn start(folder: &Path, answers: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct Addresses {
            http: String,
            https: String,
        }
        let certificate = folder.join("authority.pem");
        machine::pin(machine::STUB)?;
        let child = Command::new(std::env::current_exe()?)
            .arg("stub")
            .arg(&certificate)
            .arg(answers)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn();
        machine::unpin()?;
        let mut child = child?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("the stub has no output")?).read_line(&mut line)?;
        let Addresses { http, https } = serde_json::from_str(&line).map_err(|_| "the stub did not start")?;
        Ok(Self { child, base: http, secure_base: https, certificate })
    }

    /// Begins anew; `how` is a query such as `cut=1000`.
    pub(crate) fn reset(&self, how: &str) -> Result<()> {
        control::<serde_json::Value>(&self.base, &format!("reset?{how}")).map(drop)
    }

    pub(crate) fn counts(&self) -> Result<Counts> {
        control(&self.base, "counts")
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks the stub at `base` for something of its own.
pub(crate) fn control<T: DeserializeOwned>(base: &str, what: &str) -> Result<T> {
    let address = base.strip_prefix("http://").ok_or("the stub is spoken to without TLS")?;
    let mut stream = BufReader::new(TcpStream::connect(address)?);
    write!(stream.get_mut(), "GET {CONTROL}{what} HTTP/1.1\r\n\r\n")?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            Some(("content-length", value)) => length = value.parse()?,
            _ if line.trim_end().is_empty() => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    serde_json::from_slice(&body).map_err(|_| String::from_utf8_lossy(&body).into_owned().into())
}
