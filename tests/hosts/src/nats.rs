//! The NATS server on a host of its own, with a small disk of its own that can be filled.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use fault_tests::Result;
use fault_tests::highway::PATIENCE;
use rustix::process::Signal;
use tokio::net::TcpStream;
use tokio::time::{Duration, sleep, timeout};

use crate::net::{Host, run};
use crate::process::{Process, Voice};

const PORT: u16 = 4222;
const BALLAST: &str = "ballast";

pub(crate) struct Nats {
    host: Host,
    folder: PathBuf,
    process: Process,
}

impl Nats {
    /// With a new disk of so many megabytes.
    pub(crate) async fn start(host: &Host, folder: PathBuf, megabytes: u32) -> Result<Self> {
        let store = folder.join("disk");
        fs::create_dir_all(&store)?;
        run("mount", &format!("-t tmpfs -o size={megabytes}m tmpfs {}", store.display()))?;
        let process = process(host, &folder)?;
        let nats = Self { host: host.clone(), folder, process };
        nats.is_there().await?;
        Ok(nats)
    }

    /// The record of this name on it.
    pub(crate) fn url(&self, record: &str) -> String {
        format!("nats://{}:{PORT}/{record}", self.host.address)
    }

    pub(crate) async fn kill(&mut self) -> Result<()> {
        self.process.kill().await.map(drop)
    }

    /// After a kill, on what is on the disk.
    pub(crate) async fn start_again(&mut self) -> Result<()> {
        self.process = process(&self.host, &self.folder)?;
        self.is_there().await
    }

    /// Until there is no room for a byte.
    pub(crate) fn fill(&self) -> Result<()> {
        let mut ballast = File::create(self.disk().join(BALLAST))?;
        for size in [1 << 20, 1 << 12, 1] {
            let piece = vec![0; size];
            loop {
                match ballast.write_all(&piece) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    pub(crate) fn make_room(&self) -> Result<()> {
        Ok(fs::remove_file(self.disk().join(BALLAST))?)
    }

    fn disk(&self) -> PathBuf {
        self.folder.join("disk")
    }

    async fn is_there(&self) -> Result<()> {
        let connect = async {
            while TcpStream::connect((self.host.address, PORT)).await.is_err() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        let there = timeout(PATIENCE, connect).await;
        Ok(there.map_err(|_| format!("nats-server does not listen: {}", self.process.last_words()))?)
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.process.signal(Signal::KILL);
        // Lazily: the dead may not be gone yet. At the latest it goes with the harness.
        let _ = run("umount", &format!("--lazy {}", self.disk().display()));
    }
}

fn process(host: &Host, folder: &Path) -> Result<Process> {
    let mut command = host.command(Path::new("nats-server"));
    command.args(["--jetstream", "--addr", &host.address.to_string(), "--port", &PORT.to_string()]);
    command.arg("--store_dir").arg(folder.join("disk"));
    // Where Debian has it, which is not in everybody's path.
    command.env("PATH", format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default()));
    Process::start(command, &folder.join("nats-server.log"), &Voice::default())
}
