//! `highway resolve`: what a user decides about a job of which nobody knows whether it was paid for.

use highwayapi_jobs::{Entry, Job, Jobs, Ledger};

use crate::args::{Decision, Resolve};
use crate::exit::Failure;
use crate::hint::highway;
use crate::interrupt::Interrupts;
use crate::report::Report;
use crate::{say, service, show};

pub(crate) async fn resolve(args: Resolve) -> Result<(), Failure> {
    match args.decision {
        Decision { drop: true, .. } => {
            let ledger = service::ledger().await?;
            let job = ledger.give_up(&find(&ledger, &args.id).await?.job.id).await?;
            Report::new(args.json).resolved(&job);
        }
        Decision { task: Some(task_id), .. } => {
            let jobs = service::jobs(&args.service, None).await?;
            let job = jobs.name_task(&find(&jobs, &args.id).await?.job.id, &task_id).await?;
            Report::new(args.json).resolved(job.job());
        }
        Decision { resubmit: true, .. } => {
            let jobs = service::jobs(&args.service, None).await?;
            submit_again(&jobs, &args.id, Report::new(args.json)).await?;
        }
        Decision { .. } => {
            let entry = find(&service::ledger().await?, &args.id).await?;
            show::print(&entry, args.json);
            if !args.json {
                say::out(format_args!("\n{}", choices(&entry.job)));
            }
        }
    }
    Ok(())
}

async fn submit_again(jobs: &Jobs, id: &str, report: Report) -> Result<(), Failure> {
    let interrupts = Interrupts::listen();
    let id = find(jobs, id).await?.job.id;
    report.submitting();
    let job = interrupts.submit(jobs.submit_again(&id, interrupts.pressed(1)), &report).await?;
    report.submitted(job.job());
    report.resolved(job.job());
    Ok(())
}

async fn find(ledger: &Ledger, id: &str) -> Result<Entry, Failure> {
    Ok(ledger.find(id).await?)
}

/// What is known, what is not, and what can be done.
fn choices(job: &Job) -> String {
    let id = &job.id;
    if job.state != highwayapi_jobs::State::Unknown {
        return format!("It is {}: nothing is to be decided.", job.state);
    }
    format!(
        "\
Known: the request was about to be sent, or was sent. Not known: whether the service accepted it. If it did, it is
paid for and makes a video; without the answer only your account's own records can tell. The service documents no key
that would make sending it again safe. Look there for a task from about this time, then say what you found:

  it was accepted; takes that task up, pays nothing:       {}
  it was not; sends it again, pays twice if it was:        {}
  leaves it, whether or not it was paid for:               {}",
        highway(format_args!("resolve {id} --task TASK_ID")),
        highway(format_args!("resolve {id} --resubmit")),
        highway(format_args!("resolve {id} --drop")),
    )
}
