//! Hosts: network namespaces, each with an address of its own, on one bridge.

use std::fs;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};

use fault_tests::Result;

use crate::inside::Inside;

const NAMESPACES: &str = "/run/netns";
const BRIDGE: &str = "hub";

/// All hosts that there are. The harness itself is at the first address.
#[derive(Clone, Debug)]
pub struct Ground {
    pub(crate) nats: Host,
    pub(crate) api: Host,
    pub(crate) workers: Vec<Host>,
}

/// A machine, as far as the network can tell.
#[derive(Clone, Debug)]
pub struct Host {
    name: String,
    pub(crate) address: Ipv4Addr,
}

impl Ground {
    /// With hosts for so many workers.
    ///
    /// # Errors
    ///
    /// When the system does not make them.
    pub fn new(_: Inside, workers: u8) -> Result<Self> {
        fs::create_dir_all(NAMESPACES)?;
        run("mount", "-t tmpfs tmpfs /run/netns")?;
        ip("link set lo up")?;
        ip(&format!("link add {BRIDGE} type bridge"))?;
        ip(&format!("address add {}/24 dev {BRIDGE}", address(1)))?;
        ip(&format!("link set {BRIDGE} up"))?;
        let workers = (1..=workers).map(|number| Host::new(&format!("worker-{number}"), 10 + number));
        let workers = workers.collect::<Result<_>>()?;
        Ok(Self { nats: Host::new("nats", 2)?, api: Host::new("api", 3)?, workers })
    }
}

impl Host {
    fn new(name: &str, number: u8) -> Result<Self> {
        let address = address(number);
        ip(&format!("netns add {name}"))?;
        ip(&format!("link add {name} type veth peer name eth0 netns {name}"))?;
        ip(&format!("link set {name} master {BRIDGE} up"))?;
        ip(&format!("-n {name} address add {address}/24 dev eth0"))?;
        ip(&format!("-n {name} link set eth0 up"))?;
        ip(&format!("-n {name} link set lo up"))?;
        Ok(Self { name: name.to_owned(), address })
    }

    /// A command that runs there.
    pub(crate) fn command(&self, program: &Path) -> tokio::process::Command {
        let mut command = tokio::process::Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Every packet to and from the other one is lost, without a word.
    pub(crate) fn cut_off(&self, other: &Self) -> Result<()> {
        let (table, other) = (table(other), other.address);
        self.nft(&format!(
            "table ip {table} {{\n\
             chain out {{ type filter hook output priority 0; ip daddr {other} drop\n}}\n\
             chain in {{ type filter hook input priority 0; ip saddr {other} drop\n}}\n}}\n"
        ))
    }

    pub(crate) fn join(&self, other: &Self) -> Result<()> {
        self.nft(&format!("delete table ip {}\n", table(other)))
    }

    fn nft(&self, rules: &str) -> Result<()> {
        let mut nft = Command::new("ip");
        nft.args(["netns", "exec", &self.name, "nft", "-f", "-"]).stdin(Stdio::piped());
        let mut nft = nft.spawn()?;
        if let Some(mut stdin) = nft.stdin.take() {
            stdin.write_all(rules.as_bytes())?;
        }
        match nft.wait()?.success() {
            true => Ok(()),
            false => Err(format!("nft does not take\n{rules}").into()),
        }
    }
}

fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, number)
}

fn table(other: &Host) -> String {
    format!("cut_off_{}", other.name)
}

fn ip(args: &str) -> Result<()> {
    run("ip", args)
}

/// Runs a program to its end, which must be a good one.
pub(crate) fn run(program: &str, args: &str) -> Result<()> {
    let output = Command::new(program).args(args.split(' ')).output().map_err(|error| format!("{program}: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{program} {args}: {}", String::from_utf8_lossy(&output.stderr)).into()),
    }
}
