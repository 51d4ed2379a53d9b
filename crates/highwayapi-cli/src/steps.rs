//! The commands as steps: submit, wait, fetch.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use std::future::IntoFuture;

use highwayapi::{Client, ClientBuilder, Event, FirstLastFrame, Task, TaskResult};
use serde_json::json;

use crate::args::{Fetch, Generate, Output, Service, Submit, Wait};
use crate::exit::Failure;
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

    #[cfg(feature = "sandbox")]
    if args.sandbox {
        let sandbox = crate::sandbox::start().await?;
        let client = crate::sandbox::client(&sandbox)?;
        return make(&client, &request, &args).await.map_err(Failure::in_sandbox);
    }
    make(&client(&args.service)?, &request, &args).await
}

async fn make(client: &Client, request: &FirstLastFrame, args: &Generate) -> Result<(), Failure> {
    let (report, interrupts) = (Report::new(args.json), Interrupts::listen());
    let asked = asked(request).await?;
    let submitted_at = SystemTime::now();
    let task = send(client, request, &report, &interrupts).await?;
    let result = wait_for(task.wait_timeout(args.limit.timeout), &report, &interrupts).await?;
    let (got, count) = (result.videos().len(), sample_count(request));
    if got < count {
        report.note(&format!("{got} of {count} videos came; the service left out the others"));
    }
    let origin = Origin {
        task_id: result.task_id().as_str(),
        seed_used: result.seed(),
        submitted_at: Some(submitted_at),
        request: Some(&asked),
        service: client.base_url(),
    };
    save(&result, &args.output, count, &origin, &report, &interrupts).await
}

pub(crate) async fn submit(args: Submit) -> Result<(), Failure> {
    let request = frames::request(&args.request)?;
    submit_only(&request, &args.service, args.json).await
}

pub(crate) async fn wait(args: Wait) -> Result<(), Failure> {
    let task = client(&args.service)?.task(args.task_id).wait_timeout(args.limit.timeout);
    let report = Report::new(args.json);
    let result = wait_for(task, &report, &Interrupts::listen()).await?;
    let videos = result.videos().len();
    let id = result.task_id();
    let text = format!("task {id} succeeded with {videos} video(s); to get them: highway fetch {id}");
    report.done(json!({ "event": "done", "task_id": id, "status": "succeeded", "videos": videos }), Some(&text));
    Ok(())
}

pub(crate) async fn fetch(args: Fetch) -> Result<(), Failure> {
    let client = client(&args.service)?;
    let (report, interrupts) = (Report::new(args.json), Interrupts::listen());
    let result = client.task(args.task_id).poll().await?.finished()?;
    let count = result.videos().len();
    check_targets(&args.output, count)?;
    let origin = Origin {
        task_id: result.task_id().as_str(),
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
    request.set_options().sample_count.unwrap_or_default().value().into()
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
    report.done(json!({ "event": "done", "task_id": id, "status": "submitted" }), Some(id.as_str()));
    Ok(())
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
    let task = interrupts.submit(client.submit(request), report).await?;
    report.submitted(task.id().as_str());
    Ok(task)
}

async fn wait_for(task: Task, report: &Report, interrupts: &Interrupts) -> Result<TaskResult, Failure> {
    let mut events = task.events();
    loop {
        let Some(event) = interrupts.stoppable(events.next()).await else {
            return Err(Failure::interrupted(task.id().as_str()));
        };
        match event {
            Some(Ok(Event::Progress(result))) => report.progress(&result),
            Some(Ok(Event::PollFailed { error, failures, pause })) => report.poll_failed(&error, failures, pause),
            Some(Ok(Event::Done(result))) => return Ok(result),
            Some(Err(error)) => return Err(error.into()),
            Some(Ok(_)) => {}
            None => return Err(Failure::interrupted(task.id().as_str())),
        }
    }
}

async fn save(
    result: &TaskResult,
    output: &Output,
    count: usize,
    origin: &Origin<'_>,
    report: &Report,
    interrupts: &Interrupts,
) -> Result<(), Failure> {
    let mut files = Vec::new();
    for (index, video) in result.videos().iter().enumerate() {
        let path = target(&output.output, index, count);
        report.fetching(&path);
        let download =
            video.download(&path).overwrite(output.overwrite).on_progress(|done, length| report.fetched(done, length));
        let Some(saved) = interrupts.stoppable(download.into_future()).await else {
            return Err(Failure::interrupted(origin.task_id));
        };
        let saved = saved?;
        let sidecar =
            origin.write(&path, index + 1).map_err(|error| Failure::sidecar(&path.display().to_string(), &error))?;
        report.saved(saved.path(), saved.size());
        files.push(json!({ "file": saved.path(), "size": saved.size(), "record": sidecar }));
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
    for index in 0..count {
        let clip = target(&output.output, index, count);
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
