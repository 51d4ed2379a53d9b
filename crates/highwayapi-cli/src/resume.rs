//! `highway resume`: finishing what was begun.

use std::sync::Arc;

use highwayapi_jobs::{Job, Jobs, State};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::args::Resume;
use crate::exit::Failure;
use crate::interrupt::Interrupts;
use crate::report::Report;
use crate::{service, steps};

/// Jobs that are worked on at once: enough to wait for many, few enough for a line that fetches.
const AT_ONCE: usize = 8;

pub(crate) async fn resume(args: Resume) -> Result<(), Failure> {
    let jobs = service::jobs(&args.service, Some(args.limit.timeout)).await?;
    let (report, interrupts) = (Arc::new(Report::new(args.json)), Interrupts::listen());
    let Some(id) = args.id else {
        return all(&jobs, report, &interrupts).await;
    };
    let mut job = jobs.take_up(&jobs.find(&id).await?.job.id).await?;
    if args.output.is_some() || args.overwrite {
        let known = || job.job().output.clone().unwrap_or_else(|| format!("clip-{}.mp4", job.job().id).into());
        job.redirect(args.output.unwrap_or_else(known), args.overwrite).await?;
    }
    steps::finish(&mut job, &report, &interrupts).await
}

async fn all(jobs: &Jobs, report: Arc<Report>, interrupts: &Interrupts) -> Result<(), Failure> {
    let mut failures = Vec::new();
    let (room, mut works) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
    let mut elsewhere = Vec::new();
    for entry in jobs.list().await? {
        let job = entry.job;
        if !job.state.is_unfinished() && !matches!(job.state, State::Unknown | State::Intent) {
            continue;
        }
        // The key is for this service, and so is all that can be asked.
        if job.service != jobs.client().base_url() {
            elsewhere.push(job.service);
        } else if job.state == State::Unknown {
            failures.push(Failure::unresolved(&job));
        } else {
            let (jobs, report, room, interrupts) =
                (jobs.clone(), Arc::clone(&report), Arc::clone(&room), interrupts.clone());
            works.spawn(async move {
                let _room = room.acquire().await;
                one(&jobs, job, &report, &interrupts).await
            });
        }
    }
    let begun = works.len();
    report.begun(begun);
    while let Some(work) = works.join_next().await {
        match work {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => failures.push(failure),
            Err(error) => failures.push(Failure::bad_input(format!("a job could not be worked on: {error}"))),
        }
    }
    if !elsewhere.is_empty() {
        elsewhere.sort();
        elsewhere.dedup();
        failures.push(Failure::elsewhere(&elsewhere));
    }
    match failures.len() {
        0 => {
            report.resumed(begun);
            Ok(())
        }
        1 => Err(failures.swap_remove(0)),
        _ => Err(Failure::several(failures)),
    }
}

async fn one(jobs: &Jobs, job: Job, report: &Report, interrupts: &Interrupts) -> Result<(), Failure> {
    let mut held = jobs.take_up(&job.id).await.inspect_err(|_| report.ended())?;
    steps::finish(&mut held, report, interrupts).await
}
