//! A NATS server of a test's own, with JetStream in a folder of its own.

use std::env;
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use highwayapi_jobs::{NatsOptions, NatsStore};
use tempfile::TempDir;

use crate::support::{FOREVER, folder};

pub(crate) struct Server {
    program: PathBuf,
    pub(crate) folder: TempDir,
    port: u16,
    child: Option<Child>,
}

impl Server {
    /// `None`, said aloud, where this machine has no server: then the test is not run. With `HIGHWAY_NATS_REQUIRED` that is
    /// a failure.
    pub(crate) fn start() -> Option<Self> {
        Self::with("")
    }

    /// With further lines of configuration, and `FOLDER` for its folder.
    pub(crate) fn with(config: &str) -> Option<Self> {
        let Some(program) = program() else {
            let hint = "no nats-server in the PATH, and HIGHWAY_NATS_SERVER names none";
            assert!(env::var_os("HIGHWAY_NATS_REQUIRED").is_none(), "{hint}");
            let test = std::thread::current().name().unwrap_or("a test").to_owned();
            // Past what the test's runner keeps back.
            let _ = writeln!(std::io::stderr(), "NOT RUN: {test}: {hint}");
            return None;
        };
        let folder = folder();
        let path = folder.path().display().to_string();
        let jetstream = if config.contains("jetstream") { "" } else { "jetstream { store_dir: \"FOLDER/store\" }\n" };
        let text = format!("listen: \"127.0.0.1:PORT\"\nports_file_dir: \"FOLDER\"\n{jetstream}{config}\n");
        fs::write(folder.path().join("template.conf"), text.replace("FOLDER", &path)).expect("a file");
        let mut server = Self { program, folder, port: 0, child: None };
        server.run();
        Some(server)
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}/test", self.port)
    }

    pub(crate) fn run(&mut self) {
        let config = self.folder.path().join("nats.conf");
        let template = fs::read_to_string(self.folder.path().join("template.conf")).expect("a file");
        let port = if self.port == 0 { "-1".to_owned() } else { self.port.to_string() };
        fs::write(&config, template.replace("PORT", &port)).expect("a file");
        let log = fs::File::create(self.folder.path().join("log")).expect("a file");
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(&config).stdout(Stdio::null()).stderr(log);
        let mut child = command.spawn().expect("a server");
        let ports = self.folder.path().join(format!("nats-server_{}.ports", child.id()));
        let begun = Instant::now();
        while self.port == 0 || TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(child.try_wait().expect("a server").is_none(), "it ended: {}", log());
            assert!(begun.elapsed() < FOREVER, "it does not listen: {}", log());
            std::thread::sleep(std::time::Duration::from_millis(10));
            let Ok(text) = fs::read_to_string(&ports) else { continue };
            let Ok(ports) = serde_json::from_str::<serde_json::Value>(&text) else { continue };
            if let Some(url) = ports["nats"][0].as_str().or(ports["tls"][0].as_str()) {
                self.port = url.rsplit(':').next().expect("a port").parse().expect("a port");
            }
        }
        self.child = Some(child);
    }

    /// As `kill -9`.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub(crate) async fn store(&self) -> NatsStore {
        NatsStore::connect(&self.url(), options()).await.expect("a record")
    }

    /// For what is not async itself, in a runtime with several threads.
    pub(crate) fn open(&self) -> NatsStore {
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(self.store()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A lease that a test can wait for.
pub(crate) fn options() -> NatsOptions {
    let mut options = NatsOptions::default();
    options.lease = std::time::Duration::from_secs(2);
    options
}

fn program() -> Option<PathBuf> {
    if let Some(program) = env::var_os("HIGHWAY_NATS_SERVER").filter(|program| !program.is_empty()) {
        return Some(program.into());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    // Where Debian's package puts it, which is not in everybody's path.
    let folders = env::split_paths(&path).chain(["/usr/sbin".into()]);
    folders.map(|folder| folder.join("nats-server")).find(|program| program.is_file())
}
