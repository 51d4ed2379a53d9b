//! The commands as steps: submit, wait, fetch.

use std::fs::{self, File};
use std::future::IntoFuture;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use highwayapi::{Client, ClientBuilder, Event, FirstLastFrame, Task, TaskResult};
use serde_json::json;

use crate::args::{Fetch, Generate, Output, Service, Submit, Wait};
use crate::exit::{self, Failure};
use crate::frames;
use crate::interrupt::Interrupts;
use crate::record::{Asked, Origin, sidecar};
use crate::report::Report;

pub(crate) async fn generate(args: Generate) -> Result<(), Failure> {
    let request = frames::request(&args.request)?;
    if args.no_wait {
        return submit_only(&request, &args.service, args.json).await;
    }
    // Whatever stands in the way of the files is found before anything is paid for.
    check_targets(&args.output, sample_count(&request))?;

    // Before the sandbox starts: whoever stops it then leaves no clips behind.
    let interrupts = Interrupts::listen();
    #[cfg(feature = "sandbox")]
    if args.sandbox {
        let sandbox = crate::sandbox::start().await?;
        let client = crate::sandbox::client(&sandbox)?;
        return make(&client, &request, &args, &interrupts).await.map_err(Failure::in_sandbox);
    }
    make(&client(&args.service)?, &request, &args, &interrupts).await
}

async fn make(
    client: &Client,
    request: &FirstLastFrame,
    args: &Generate,
    interrupts: &Interrupts,
) -> Result<(), Failure> {
    let report = Report::new(args.json);
    let asked = interrupts.stoppable(asked(request)).await.unwrap_or_else(|| Err(Failure::stopped()))?;
    let submitted_at = SystemTime::now();
    let task = send(client, request, &report, interrupts).await?;
    let task = task.wait_timeout(args.limit.timeout);
    let result = wait_for(task, Waiting::AfterSubmit, &report, interrupts).await?;
    let (got, count) = (result.videos().len(), sample_count(request));
    if got < count {
        report.note(&format!("{got} of {count} videos came; the others may have been filtered out"));
    }
    let origin = Origin {
        task_id: result.task_id(),
        seed_used: result.seed(),
        submitted_at: Some(submitted_at),
        request: Some(&asked),
        service: client.base_url(),
    };
    // More than asked for must not all go to one file.
    save(&result, &args.output, count.max(got), &origin, &report, interrupts).await
}

pub(crate) async fn submit(args: Submit) -> Result<(), Failure> {
    let request = frames::request(&args.request)?;
    submit_only(&request, &args.service, args.json).await
}

pub(crate) async fn wait(args: Wait) -> Result<(), Failure> {
    let task = client(&args.service)?.task(args.task_id).wait_timeout(args.limit.timeout);
    let report = Report::new(args.json);
    let result = wait_for(task, Waiting::Again, &report, &Interrupts::listen()).await?;
    let videos = result.videos().len();
    let id = result.task_id();
    let text = format!("task {id} succeeded with {videos} video(s); to get them: highway fetch {id}");
    report.done(json!({ "event": "done", "task_id": id, "status": "succeeded", "videos": videos }), Some(&text));
    Ok(())
}

pub(crate) async fn fetch(args: Fetch) -> Result<(), Failure> {
    let client = client(&args.service)?;
    let (report, interrupts) = (Report::new(args.json), Interrupts::listen());
    let result = wait_for(client.task(args.task_id), Waiting::IfFinished, &report, &interrupts).await?;
    let count = result.videos().len();
    check_targets(&args.output, count)?;
    let origin = Origin {
        task_id: result.task_id(),
        seed_used: result.seed(),
        submitted_at: None,
        request: None,
        service: client.base_url(),
    };
    save(&result, &args.output, count, &origin, &report, &interrupts).await
}

fn client(service: &Service) -> Result<Client, Failure> {
    let builder = ClientBuilder::from_env()?;
    let builder = match &service.base_url {
        Some(base_url) => builder.base_url(base_url),
        None => builder,
    };
    Ok(builder.build()?)
}

fn sample_count(request: &FirstLastFrame) -> usize {
    request.options().sample_count.unwrap_or_default().value().into()
}

async fn asked(request: &FirstLastFrame) -> Result<Asked, Failure> {
    let request = request.clone();
    let asked = tokio::task::spawn_blocking(move || Asked::new(&request)).await;
    match asked {
        Ok(Ok(asked)) => Ok(asked),
        Ok(Err(error)) => Err(Failure::bad_input(format!("a picture cannot be read again: {error}"))),
        Err(error) => Err(Failure::bad_input(format!("the pictures cannot be read: {error}"))),
    }
}

async fn submit_only(request: &FirstLastFrame, service: &Service, json: bool) -> Result<(), Failure> {
    let client = client(service)?;
    let report = Report::new(json);
    let task = send(&client, request, &report, &Interrupts::listen()).await?;
    let id = task.id();
    let result = json!({ "event": "done", "task_id": id, "status": "submitted" });
    if report.done(result, Some(id.as_str())) { Ok(()) } else { Err(Failure::untold(id)) }
}

async fn send(
    client: &Client,
    request: &FirstLastFrame,
    report: &Report,
    interrupts: &Interrupts,
) -> Result<Task, Failure> {
    for warning in request.warnings() {
        report.note(&format!("note: {warning}"));
    }
    report.submitting();
    let task = interrupts.submit(client.submit_until(request, interrupts.pressed(1)), report).await?;
    report.submitted(task.id().as_str());
    Ok(task)
}

/// What a task is waited for.
#[derive(PartialEq, Eq)]
enum Waiting {
    /// It was submitted just now.
    AfterSubmit,
    /// It is said to have been submitted earlier.
    Again,
    /// Only for an answer that comes: it should be finished by now.
    IfFinished,
}

async fn wait_for(
    task: Task,
    waiting: Waiting,
    report: &Report,
    interrupts: &Interrupts,
) -> Result<TaskResult, Failure> {
    let mut events = task.events();
    let mut seen = waiting == Waiting::AfterSubmit;
    loop {
        match interrupts.stoppable(events.next()).await {
            Some(Some(Ok(Event::Progress(result)))) if waiting == Waiting::IfFinished => return Ok(result.finished()?),
            Some(Some(Ok(Event::Progress(result)))) => {
                seen = true;
                report.progress(&result);
            }
            Some(Some(Ok(Event::PollFailed { error, failures, pause, .. }))) => {
                report.poll_failed(&error, failures, pause);
            }
            Some(Some(Ok(Event::Done(result)))) => return Ok(result),
            Some(Some(Ok(_))) => {}
            Some(Some(Err(error))) => return Err(error.into()),
            None | Some(None) if seen => return Err(Failure::interrupted(task.id())),
            None | Some(None) => return Err(Failure::interrupted_unseen(task.id())),
        }
    }
}

/// Fetches every video. One that fails does not give up the others: all are paid for, and their links expire.
async fn save(
    result: &TaskResult,
    output: &Output,
    count: usize,
    origin: &Origin<'_>,
    report: &Report,
    interrupts: &Interrupts,
) -> Result<(), Failure> {
    let (mut files, mut problems) = (Vec::new(), Vec::new());
    for (index, video) in result.videos().iter().enumerate() {
        let path = target(&output.output, index, count);
        report.fetching(&path);
        let download =
            video.download(&path).overwrite(output.overwrite).on_progress(|done, length| report.fetched(done, length));
        let saved = match interrupts.stoppable(download.into_future()).await {
            Some(Ok(saved)) => saved,
            Some(Err(error)) => {
                let because = exit::causes(&error).into_iter().map(|cause| format!(": {cause}"));
                problems.push(format!("{}: {error}{}", path.display(), because.collect::<String>()));
                continue;
            }
            None => return Err(Failure::interrupted_fetch(origin.task_id, problems)),
        };
        report.saved(saved.path(), saved.size());
        match origin.write(&path, index + 1) {
            Ok(sidecar) => files.push(json!({ "file": saved.path(), "size": saved.size(), "record": sidecar })),
            Err(error) => {
                problems.push(format!("{} is there, but its .json cannot be written: {error}", path.display()));
            }
        }
    }
    if !problems.is_empty() {
        return Err(Failure::not_fetched(origin.task_id, problems));
    }
    report.done(json!({ "event": "done", "task_id": origin.task_id, "status": "succeeded", "clips": files }), None);
    Ok(())
}

/// `clip.mp4`, or `clip-2.mp4` for the second of several.
fn target(output: &Path, index: usize, count: usize) -> PathBuf {
    if count == 1 {
        return output.to_owned();
    }
    let stem = output.file_stem().unwrap_or_default().to_string_lossy();
    let name = match output.extension() {
        Some(extension) => format!("{stem}-{}.{}", index + 1, extension.to_string_lossy()),
        None => format!("{stem}-{}", index + 1),
    };
    output.with_file_name(name)
}

fn check_targets(output: &Output, count: usize) -> Result<(), Failure> {
    let way_out = "choose another name with --output, or --overwrite";
    let folder = output.output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(Failure::bad_input(format!("output: there is no folder {}", folder.display())));
    }
    probe(folder).map_err(|error| {
        let text = format!("output: no file can be made in {}: {error}", folder.display());
        Failure::bad_input(format!("{text}; choose another folder with --output"))
    })?;
    for index in 0..count {
        let clip = target(&output.output, index, count);
        if output.output == Path::new("-") {
            return Err(Failure::bad_input("output: a video cannot go to standard output; expected a file name"));
        }
        if clip.file_name().is_none() || clip.is_dir() {
            return Err(Failure::bad_input(format!("output: {} is a folder; expected a file name", clip.display())));
        }
        if sidecar(&clip) == clip {
            return Err(Failure::bad_input("output: a video cannot be named .json; its record goes there"));
        }
        let existing = [clip.clone(), sidecar(&clip)].into_iter().find(|path| path.symlink_metadata().is_ok());
        if let (Some(path), false) = (existing, output.overwrite) {
            return Err(Failure::bad_input(format!("output: {} exists already; {way_out}", path.display())));
        }
    }
    Ok(())
}

/// Makes a file and removes it: permissions alone do not tell whether that works.
fn probe(folder: &Path) -> io::Result<()> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
    let path = folder.join(format!(".highway-probe-{}-{now}", std::process::id()));
    File::create_new(&path)?;
    fs::remove_file(path)
}
