//! The sandbox under load, from outside: so many tasks wait, then so many requests come a second, a part of them with a
//! fault that its header asks for.
//!
//! ```text
//! cargo run --release -p load-tests -- HIGHWAY [--tasks 10000] [--rate 500] [--seconds 60]
//! ```
//!
//! Every request knows what it must be answered with. Fails where one was answered otherwise, where the ledger is not
//! what was accepted, or where memory grows while requests come.

mod book;
mod requests;
mod sandbox;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use book::Book;
use requests::Requests;
use sandbox::Sandbox;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// Requests on their way at once.
const AT_ONCE: usize = 128;

/// Memory may move by so much while requests come: buffers of requests on their way, and what the journal and the ledger
/// keep of each until they have their fill.
const FLAT: f64 = 1.35;

struct Plan {
    highway: String,
    tasks: usize,
    rate: u32,
    seconds: u32,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::from(2)
        }
    }
}

async fn run() -> Result<bool> {
    let plan = Plan::from_args(std::env::args().skip(1))?;
    let sandbox = Sandbox::start(&plan.highway, plan.tasks)?;
    let requests = Arc::new(Requests::new(&sandbox)?);
    println!("at rest: {:.0} MiB", sandbox.memory()?);

    let began = Instant::now();
    let queued = all(&requests, plan.tasks).await?;
    let waiting = sandbox.memory()?;
    println!("{} tasks wait after {:.1} s: {waiting:.0} MiB", plan.tasks, began.elapsed().as_secs_f64());

    let (loaded, most, late) = load(&plan, &requests, &sandbox).await?;
    let half = loaded.half.ok_or("no half")?;
    println!(
        "{} requests in {} s, {} of them with a fault that was asked for: {}",
        loaded.count(),
        plan.seconds,
        loaded.faults,
        loaded.kinds()
    );
    println!("answered within {} ms (half), {} ms (99 %)", loaded.within(0.5), loaded.within(0.99));
    println!("memory: {half:.0} MiB half-way, {most:.0} MiB at most, {late:.0} MiB at the end");

    let mut problems = queued.problems.clone();
    problems.extend(loaded.problems.iter().cloned());
    let billed = requests.ledger().await?;
    let accepted = queued.accepted + loaded.accepted;
    println!("accepted {accepted}, in the ledger {billed}");
    if billed != accepted {
        problems.push(format!("the ledger has {billed} submits, and {accepted} were accepted"));
    }
    if late > half * FLAT {
        problems.push(format!("memory grew from {half:.0} MiB half-way to {late:.0} MiB"));
    }
    for problem in problems.iter().take(20) {
        println!("problem: {problem}");
    }
    println!("{} problems", problems.len());
    Ok(problems.is_empty())
}

/// So many submits, as fast as they are taken.
async fn all(requests: &Arc<Requests>, count: usize) -> Result<Book> {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut submits = JoinSet::new();
    for _ in 0..count {
        let (room, requests) = (Arc::clone(&room), Arc::clone(requests));
        let turn = room.acquire_owned().await?;
        submits.spawn(async move {
            let done = requests.submit(None).await;
            drop(turn);
            done
        });
    }
    let mut book = Book::default();
    while let Some(done) = submits.join_next().await {
        book.note(done?);
    }
    Ok(book)
}

/// The load itself, the most memory seen meanwhile, and that at its end.
async fn load(plan: &Plan, requests: &Arc<Requests>, sandbox: &Sandbox) -> Result<(Book, f64, f64)> {
    let count = plan.rate * plan.seconds;
    let time = Duration::from_secs(plan.seconds.into());
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut sent = JoinSet::new();
    let (mut book, mut most) = (Book::default(), 0_f64);
    let began = Instant::now();
    for number in 0..count {
        sleep_until(began + time * number / count).await;
        let (room, requests) = (Arc::clone(&room), Arc::clone(requests));
        let appointed = Instant::now();
        sent.spawn(async move {
            let _turn = room.acquire_owned().await;
            let mut done = requests.any(number).await;
            done.took = appointed.elapsed();
            done
        });
        while let Some(done) = sent.try_join_next() {
            book.note(done?);
        }
        if number % plan.rate == 0 {
            most = most.max(sandbox.memory()?);
        }
        if number == count / 2 {
            book.half = Some(sandbox.memory()?);
        }
    }
    while let Some(done) = sent.join_next().await {
        book.note(done?);
    }
    // What was on its way is given back.
    sleep(Duration::from_secs(1)).await;
    Ok((book, most, sandbox.memory()?))
}

impl Plan {
    fn from_args(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let highway = args.next().ok_or("the first argument is the command `highway`")?;
        let mut plan = Self { highway, tasks: 10_000, rate: 500, seconds: 60 };
        while let Some(flag) = args.next() {
            let value = args.next().ok_or_else(|| format!("{flag} needs a number"))?;
            match &flag[..] {
                "--tasks" => plan.tasks = value.parse()?,
                "--rate" => plan.rate = value.parse()?,
                "--seconds" => plan.seconds = value.parse()?,
                _ => return Err(format!("{flag} is none of --tasks, --rate, --seconds").into()),
            }
        }
        Ok(plan)
    }
}
