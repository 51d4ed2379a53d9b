//! Batches that are killed and workers on several hosts, and what came of it: `docs/many-hosts.md` keeps a long run.

use std::env::args;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use hosts_tests::{BatchKills, Ground, Highway, Inside, Memory, Page, Result, Throughput, Troubles, enter};
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "\
hosts [PART…] [--small] [--seed N] [--pairs N] [--kills N] [--clips N] [--highway FILE] [--picture FILE]
parts: batch-kills troubles throughput memory; all of them unless some are named, with --small all but throughput";

/// For workers.
const HOSTS: u8 = 8;

/// What shall be done.
struct Orders {
    parts: Vec<Part>,
    batch_kills: BatchKills,
    troubles: Troubles,
    throughput: Throughput,
    memory: Memory,
    highway: Option<PathBuf>,
    picture: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    BatchKills,
    Troubles,
    Throughput,
    Memory,
}

impl Part {
    const ALL: [(&str, Self); 4] = [
        ("batch-kills", Self::BatchKills),
        ("troubles", Self::Troubles),
        ("throughput", Self::Throughput),
        ("memory", Self::Memory),
    ];

    fn needs_hosts(self) -> bool {
        matches!(self, Self::Troubles | Self::Throughput)
    }
}

impl Orders {
    fn read(args: &[String]) -> Result<Self> {
        let small = args.iter().any(|arg| arg == "--small");
        let seed = fastrand::u64(..1 << 32);
        let mut orders = if small { Self::small(seed) } else { Self::long(seed) };
        let mut args = args.iter().filter(|arg| *arg != "--small");
        while let Some(arg) = args.next() {
            if let Some((_, part)) = Part::ALL.iter().find(|(name, _)| name == arg) {
                orders.parts.push(*part);
                continue;
            }
            let value = args.next().ok_or(USAGE)?;
            match arg.as_str() {
                "--seed" => (orders.batch_kills.seed, orders.troubles.seed) = (value.parse()?, value.parse()?),
                "--pairs" => orders.batch_kills.pairs = value.parse()?,
                "--kills" => orders.batch_kills.kills = value.parse()?,
                "--clips" => orders.troubles.clips = value.parse()?,
                "--highway" => orders.highway = Some(value.into()),
                "--picture" => orders.picture = Some(value.into()),
                _ => return Err(USAGE.into()),
            }
        }
        if orders.parts.is_empty() {
            // How fast it is says nothing on a machine that does much else.
            let parts = Part::ALL.iter().map(|(_, part)| *part);
            orders.parts = parts.filter(|part| !small || *part != Part::Throughput).collect();
        }
        Ok(orders)
    }

    fn long(seed: u64) -> Self {
        Self {
            parts: Vec::new(),
            batch_kills: BatchKills { pairs: 300, kills: 10, seed },
            troubles: Troubles { clips: 2000, workers: 4, in_flight: 16, calm: 20, seed },
            throughput: Throughput {
                counts: vec![1, 2, 4, 8],
                budget: 250,
                // By then the first minute's budget is spent, if it ever is; and a whole one is counted.
                before: Duration::from_secs(45),
                window: Duration::from_secs(61),
            },
            memory: Memory { in_flight: 256 },
            highway: None,
            picture: None,
        }
    }

    /// For every change.
    fn small(seed: u64) -> Self {
        Self {
            batch_kills: BatchKills { pairs: 30, kills: 3, seed },
            troubles: Troubles { clips: 200, workers: 4, in_flight: 4, calm: 8, seed },
            ..Self::long(seed)
        }
    }

    async fn carry_out(self, highway: &Highway, inside: Option<Inside>) -> Result<Page> {
        eprintln!("seed {}", self.troubles.seed);
        let ground = inside.map(|inside| Ground::new(inside, HOSTS)).transpose()?;
        let ground = || ground.as_ref().ok_or("not inside");
        let asked = |part: Part| self.parts.contains(&part);
        let batch_kills = async { Ok((self.batch_kills.clone(), self.batch_kills.run(highway).await?)) };
        let troubles = async { Ok((self.troubles.clone(), self.troubles.run(ground()?, highway).await?)) };
        let throughput = async { Ok((self.throughput.clone(), self.throughput.run(ground()?, highway).await?)) };
        let memory = async { Ok((self.memory.clone(), self.memory.run(highway).await?)) };
        // Each of them waits most of the time; only how fast it is must be measured alone.
        let (batch_kills, troubles, memory) = tokio::try_join!(
            only(asked(Part::BatchKills), batch_kills),
            only(asked(Part::Troubles), troubles),
            only(asked(Part::Memory), memory)
        )?;
        let throughput = only(asked(Part::Throughput), throughput).await?;
        Ok(Page { batch_kills, troubles, throughput, memory })
    }
}

async fn alone(inside: Option<Inside>) {
    match inside {
        Some(inside) => inside.alone().await,
        None => std::future::pending().await,
    }
}

async fn only<T>(asked: bool, part: impl Future<Output = Result<T>>) -> Result<Option<T>> {
    if asked { part.await.map(Some) } else { Ok(None) }
}

fn main() -> Result<ExitCode> {
    let mut args: Vec<String> = args().skip(1).collect();
    let orders = Orders::read(&args)?;
    let highway = match &orders.highway {
        Some(path) => Highway::at(path.canonicalize()?)?,
        None => Highway::build()?,
    };
    let inside = Inside::now();
    if inside.is_none() && orders.parts.iter().any(|part| part.needs_hosts()) {
        if orders.highway.is_none() {
            args.extend(["--highway".to_owned(), highway.path().display().to_string()]);
        }
        return enter(&args);
    }
    let runtime = tokio::runtime::Runtime::new()?;
    let done = runtime.block_on(async {
        let (mut interrupt, mut end) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let picture = orders.picture.clone();
        // Dropped, it ends all that it started.
        let page = tokio::select! {
            page = orders.carry_out(&highway, inside) => page?,
            _ = interrupt.recv() => return Err("interrupted".into()),
            _ = end.recv() => return Err("ended".into()),
            () = alone(inside) => return Err("left alone".into()),
        };
        print!("{page}");
        if let (Some(file), Some(picture)) = (picture, page.picture()) {
            fs::write(file, picture)?;
        }
        Ok(if page.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    });
    // It does not wait for the pipe's end.
    runtime.shutdown_background();
    done
}
