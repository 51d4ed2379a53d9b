//! Making a video: the ways through submit, wait and fetch.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use highwayapi::{FirstLastFrame, TaskStatus};
use highwayapi_jobs::{Entry, HeldJob, Jobs, State, Step};
use tokio::sync::Notify;

use crate::args::{Adopt, Fetch, Generate, Submit, Wait};
use crate::exit::Failure;
use crate::frames;
use crate::interrupt::Interrupts;
use crate::report::Report;
use crate::service;

const OUTPUT: &str = "clip.mp4";

pub(crate) async fn generate(args: Generate) -> Result<(), Failure> {
    let request = frames::request(&args.request)?;
    if args.no_wait {
        let jobs = service::jobs(&args.service, None).await?;
        return submit_only(&jobs, &request, args.again, args.json).await;
    }
    // Before the sandbox starts: whoever stops it then leaves no clips behind.
    let interrupts = Interrupts::listen();
    #[cfg(feature = "sandbox")]
    if args.sandbox {
        let sandbox = crate::sandbox::start().await?;
        let jobs = crate::sandbox::jobs(&sandbox, args.limit.timeout, args.service.idle_timeout)?;
        return make(&jobs, &request, args, &interrupts).await.map_err(Failure::in_sandbox);
    }
    let jobs = service::jobs(&args.service, Some(args.limit.timeout)).await?;
    make(&jobs, &request, args, &interrupts).await
}

async fn make(jobs: &Jobs, request: &FirstLastFrame, args: Generate, interrupts: &Interrupts) -> Result<(), Failure> {
    let report = Report::new(args.json);
    let output = args.output.output.unwrap_or_else(|| OUTPUT.into());
    if output == Path::new("-") {
        return Err(Failure::bad_input("output: a video cannot go to standard output; expected a file name"));
    }
    let submission = jobs.submit(request).output(&output).overwrite(args.output.overwrite).again(args.again);
    warn(request, &report);
    let submission = submission.stop(interrupts.pressed(1)).on_unrecorded(|task_id| report.unrecorded(task_id));
    let mut job = interrupts.submit(submission, &report).await?;
    if job.is_new() {
        report.submitted(job.job());
    } else {
        report.earlier(job.job());
        job.redirect(output, args.output.overwrite).await?;
    }
    finish(&mut job, &report, interrupts).await
}

pub(crate) async fn submit(args: Submit) -> Result<(), Failure> {
    let request = frames::request(&args.request)?;
    let jobs = service::jobs(&args.service, None).await?;
    submit_only(&jobs, &request, args.again, args.json).await
}

async fn submit_only(jobs: &Jobs, request: &FirstLastFrame, again: bool, json: bool) -> Result<(), Failure> {
    let (report, interrupts) = (Report::new(json), Interrupts::listen());
    warn(request, &report);
    let submission = jobs.submit(request).again(again).stop(interrupts.pressed(1));
    let submission = submission.on_unrecorded(|task_id| report.unrecorded(task_id));
    let job = interrupts.submit(submission, &report).await?;
    if job.is_new() {
        report.submitted(job.job());
    } else {
        report.earlier(job.job());
    }
    if report.done_with_id(job.job()) { Ok(()) } else { Err(Failure::untold(job.job())) }
}

fn warn(request: &FirstLastFrame, report: &Report) {
    for warning in request.warnings() {
        report.note(&format!("note: {warning}"));
    }
    report.submitting();
}

pub(crate) async fn wait(args: Wait) -> Result<(), Failure> {
    let jobs = service::jobs(&args.service, Some(args.limit.timeout)).await?;
    let (report, interrupts) = (Report::new(args.json), Interrupts::listen());
    let mut job = take(&jobs, &args.id, &report, &interrupts).await?;
    if job.job().state != State::Downloaded {
        let id = job.job().id.clone();
        let waited = interrupts.stoppable(job.wait(|step| report.step(&id, step))).await;
        waited.ok_or_else(|| Failure::interrupted(job.job()))??;
    }
    report.waited(job.job());
    Ok(())
}

pub(crate) async fn fetch(args: Fetch) -> Result<(), Failure> {
    let jobs = service::jobs(&args.service, None).await?;
    let (report, interrupts) = (Report::new(args.json), Interrupts::listen());
    let mut job = take(&jobs, &args.id, &report, &interrupts).await?;
    let known = || job.job().output.clone().unwrap_or_else(|| PathBuf::from(OUTPUT));
    job.redirect(args.output.output.unwrap_or_else(known), args.output.overwrite).await?;
    if !job.job().state.is_unfinished() {
        return finish(&mut job, &report, &interrupts).await;
    }
    // It should be finished by now: one that runs is not waited for.
    let (unfinished, told) = (Mutex::new(None), Notify::new());
    let id = job.job().id.clone();
    let waiting = job.wait(|step| match step {
        Step::Progress(result) if *result.status() != TaskStatus::Succeeded => {
            *unfinished.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(result.clone());
            told.notify_one();
        }
        step => report.step(&id, step),
    });
    let result = tokio::select! {
        waited = interrupts.stoppable(waiting) => waited,
        () = told.notified() => {
            let result = unfinished.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
            let error = result.and_then(|result| result.finished().err()).map(Failure::from);
            return Err(error.unwrap_or_else(|| Failure::interrupted(job.job())).about(job.job()));
        }
    };
    let result = result.ok_or_else(|| Failure::interrupted(job.job()))??;
    let fetched = interrupts.stoppable(job.fetch(&result, |step| report.step(&id, step))).await;
    tell(&job, fetched, &report)
}

pub(crate) async fn adopt(args: Adopt) -> Result<(), Failure> {
    let jobs = service::jobs(&args.service, None).await?;
    let (report, interrupts) = (Report::new(args.json), Interrupts::listen());
    let job = take(&jobs, args.task_id.as_str(), &report, &interrupts).await?;
    report.resolved(job.job());
    Ok(())
}

/// The job of this id; a task that is not in the record, or was given up, is taken in.
async fn take(jobs: &Jobs, id: &str, report: &Report, interrupts: &Interrupts) -> Result<HeldJob, Failure> {
    match jobs.find(id).await {
        Ok(Entry { job, .. }) if job.state != State::Dropped || job.id.as_str() == id => {
            Ok(jobs.take_up(&job.id).await?)
        }
        Err(error) if !error.is_not_found() => Err(error.into()),
        _ => {
            let task_id = id.parse()?;
            let adopted = jobs.adopt(&task_id, |step| report.step_of_task(step));
            let adopted = interrupts.stoppable(adopted).await;
            Ok(adopted.ok_or_else(|| Failure::interrupted_unseen(&task_id))??)
        }
    }
}

/// Works a job through to its end and says where its clips are.
pub(crate) async fn finish(job: &mut HeldJob, report: &Report, interrupts: &Interrupts) -> Result<(), Failure> {
    let id = job.job().id.clone();
    let finished = interrupts.stoppable(job.finish(|step| report.step(&id, step))).await;
    tell(job, finished, report)
}

/// Says which clips are there, in their order, also where not all of them are.
fn tell(job: &HeldJob, done: Option<highwayapi_jobs::Result<()>>, report: &Report) -> Result<(), Failure> {
    report.ended();
    for clip in &job.job().clips {
        report.saved(&job.job().id, clip);
    }
    done.ok_or_else(|| Failure::interrupted(job.job()))??;
    report.done(job.job());
    Ok(())
}
