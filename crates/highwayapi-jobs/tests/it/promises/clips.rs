//! From the task to its files: whole, beside what made them, and fetched no oftener than needed.

use std::fs;
use std::path::{Path, PathBuf};

use highwayapi::{Charged, SampleCount};
use highwayapi_jobs::{HeldJob, Jobs, Sidecar, State, Step, verify};

use super::{jobs, only};
use crate::support::folder;
use crate::support::service::{Service, mp4, request};

struct Place {
    folder: tempfile::TempDir,
    service: Service,
    jobs: Jobs,
}

impl Place {
    async fn new() -> Self {
        let (folder, service) = (folder(), Service::start().await);
        let jobs = jobs(&folder.path().join("state"), service.client());
        Self { folder, service, jobs }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A job of two videos, accepted.
    async fn two(&self) -> HeldJob {
        self.service.videos(2);
        let request = request("dusk falls").sample_count(SampleCount::Two);
        self.jobs.submit(&request).output(self.path("clip.mp4")).await.expect("a task")
    }

    fn files(&self) -> Vec<String> {
        let names =
            fs::read_dir(self.folder.path()).expect("a folder").map(|entry| entry.expect("an entry").file_name());
        let mut names: Vec<_> = names.map(|name| name.to_string_lossy().into_owned()).collect();
        names.retain(|name| name != "state");
        names.sort();
        names
    }
}

fn whole(path: &Path, name: &str) {
    assert_eq!(fs::read(path).expect("a clip"), mp4(name));
    let sidecar = verify(path).expect("a sidecar");
    assert_eq!(format!("{}-{}", sidecar.task_id, sidecar.sample), name);
    assert_eq!(sidecar.seed_used, Some(77));
}

#[tokio::test]
async fn one_that_fails_does_not_give_up_the_other_and_is_fetched_alone_later() {
    let place = Place::new().await;
    let mut job = place.two().await;
    place.service.broken(&[1]);
    let error = job.finish(|_| {}).await.expect_err("one is broken");
    assert_eq!((error.is_not_fetched(), error.is_charged()), (true, Charged::Yes));
    assert_eq!(error.problems().len(), 1);
    assert_eq!(error.problems()[0].file, place.path("clip-1.mp4"));
    assert_eq!(error.to_string(), "1 of 2 videos could not be fetched");
    assert_eq!((job.job().state, place.service.fetched()), (State::Succeeded, vec!["task-1-2".to_owned()]));
    assert_eq!(place.files(), ["clip-2.json", "clip-2.mp4"]);
    drop(job);

    place.service.broken(&[]);
    let id = only(&place.jobs).await.id;
    let mut job = place.jobs.take_up(&id).await.expect("a job");
    let mut saved = Vec::new();
    let on_step = |step: Step<'_>| {
        if let Step::Saved(clip) = step {
            saved.push(clip.sample);
        }
    };
    job.finish(on_step).await.expect("clips");
    assert_eq!((job.job().state, saved), (State::Downloaded, vec![1]));
    assert_eq!(place.service.fetched(), ["task-1-1"]);
    assert_eq!(place.files(), ["clip-1.json", "clip-1.mp4", "clip-2.json", "clip-2.mp4"]);
    whole(&place.path("clip-1.mp4"), "task-1-1");
    whole(&place.path("clip-2.mp4"), "task-1-2");
    assert_eq!(place.service.submits(), 1);
}

#[tokio::test]
async fn a_clip_that_was_deleted_is_fetched_again() {
    let place = Place::new().await;
    let mut job = place.two().await;
    place.service.broken(&[1]);
    job.finish(|_| {}).await.expect_err("one is broken");
    place.service.fetched();
    // Recorded, and gone before the other came.
    fs::remove_file(place.path("clip-2.mp4")).expect("gone");
    place.service.broken(&[]);
    job.finish(|_| {}).await.expect("clips");
    assert_eq!(place.service.fetched(), ["task-1-1", "task-1-2"]);
    whole(&place.path("clip-2.mp4"), "task-1-2");

    fs::remove_file(place.path("clip-1.mp4")).expect("gone");
    assert!(!job.is_intact().await.expect("a record"));
    assert_eq!(only(&place.jobs).await.state, State::Succeeded);
    job.finish(|_| {}).await.expect("a clip");
    assert_eq!(place.service.fetched(), ["task-1-1"]);
    whole(&place.path("clip-1.mp4"), "task-1-1");
    assert!(job.is_intact().await.expect("a record"));
}

#[tokio::test]
async fn a_clip_that_was_altered_is_replaced_where_that_is_allowed() {
    let place = Place::new().await;
    let mut job = place.two().await;
    job.finish(|_| {}).await.expect("clips");
    place.service.fetched();
    let clip = place.path("clip-1.mp4");
    let mut bytes = mp4("task-1-1");
    *bytes.last_mut().expect("a byte") ^= 1;
    fs::write(&clip, &bytes).expect("altered");
    let error = job.finish(|_| {}).await.expect_err("something is in its place");
    let problem = error.problems()[0].error.client_error().expect("the client's");
    assert!(error.is_not_fetched() && problem.is_already_exists(), "{error}");
    assert_eq!((fs::read(&clip).expect("theirs"), place.service.fetched().len()), (bytes, 0));

    job.redirect(place.path("clip.mp4"), true).await.expect("the same place, to be replaced");
    job.finish(|_| {}).await.expect("clips");
    // The other is recognised.
    assert_eq!(place.service.fetched(), ["task-1-1"]);
    whole(&clip, "task-1-1");
}

#[tokio::test]
async fn a_sidecar_that_is_gone_is_written_again_without_asking_anyone() {
    let place = Place::new().await;
    let mut job = place.two().await;
    job.finish(|_| {}).await.expect("clips");
    let polls = place.service.polls();
    fs::remove_file(place.path("clip-2.json")).expect("gone");
    job.finish(|_| {}).await.expect("clips");
    whole(&place.path("clip-2.mp4"), "task-1-2");
    assert_eq!((place.service.polls(), place.service.fetched().len()), (polls, 2));
}

/// The last thing that a program does before it dies.
#[tokio::test]
async fn a_clip_that_was_named_and_not_recorded_is_recognised() {
    let place = Place::new().await;
    let mut job = place.two().await;
    let result = job.wait(|_| {}).await.expect("videos");
    let before = job.job().clone();
    job.fetch(&result, |_| {}).await.expect("clips");
    drop(job);
    place.service.fetched();
    // As the record was before.
    let file = rusqlite::Connection::open(place.path("state/record.sqlite3")).expect("a file");
    let text = serde_json::to_string(&before).expect("JSON");
    assert_eq!(file.execute("UPDATE jobs SET job = ?", [&text]).expect("a record"), 1);
    fs::remove_file(place.path("clip-2.mp4")).expect("gone");

    let mut job = place.jobs.take_up(&before.id).await.expect("a job");
    assert!(job.job().state == State::Succeeded && job.job().clips.is_empty());
    job.finish(|_| {}).await.expect("clips");
    assert_eq!((job.job().clips.len(), place.service.fetched()), (2, vec!["task-1-2".to_owned()]));
    whole(&place.path("clip-1.mp4"), "task-1-1");
}

#[tokio::test]
async fn what_is_in_the_way_is_left_and_the_clip_goes_elsewhere() {
    let place = Place::new().await;
    let mut job = place.jobs.submit(&request("dusk falls")).output(place.path("clip.mp4")).await.expect("a task");
    // They come into being after the submit has looked.
    for mine in ["clip.mp4", "other.json"] {
        fs::write(place.path(mine), "mine").expect("a file");
    }
    assert!(job.finish(|_| {}).await.expect_err("taken").is_not_fetched());
    assert!(job.redirect(place.path("other.mp4"), false).await.expect_err("taken").is_invalid_input());
    job.redirect(place.path("free.mp4"), false).await.expect("a place");
    job.finish(|_| {}).await.expect("a clip");
    whole(&place.path("free.mp4"), "task-1-1");
    assert_eq!(fs::read(place.path("clip.mp4")).expect("mine"), b"mine");
    assert_eq!(fs::read(place.path("other.json")).expect("mine"), b"mine");
    assert_eq!(place.files(), ["clip.mp4", "free.json", "free.mp4", "other.json"]);
}

#[tokio::test]
async fn a_target_that_will_not_do_is_found_before_it_is_paid_for() {
    let place = Place::new().await;
    fs::write(place.path("there.mp4"), "mine").expect("a file");
    for (output, why) in [
        ("there.mp4", "exists already"),
        ("no/clip.mp4", "there is no folder"),
        ("clip.json", "cannot be named .json"),
        ("", "is a folder"),
        ("new/", "is a folder"),
        (&format!("{}.mp4", "x".repeat(245)), "no file can be made"),
    ] {
        let error = place.jobs.submit(&request("dusk falls")).output(place.path(output)).await.expect_err(output);
        assert!(error.is_invalid_input() && error.to_string().contains(why), "{error}");
    }
    assert_eq!((place.service.submits(), place.jobs.list().await.expect("jobs").len()), (0, 0));
    assert_eq!(place.files(), ["there.mp4"]);
}

#[tokio::test]
async fn clips_that_are_there_are_copied_elsewhere() {
    let place = Place::new().await;
    let mut job = place.two().await;
    job.finish(|_| {}).await.expect("clips");
    place.service.fetched();
    fs::write(place.path("copy-2.mp4"), "mine").expect("a file");
    let error = job.redirect(place.path("copy.mp4"), false).await.expect_err("taken");
    assert!(error.is_invalid_input() && error.to_string().contains("copy-2.mp4 exists already"), "{error}");
    assert_eq!((job.job().output.as_deref(), job.job().state), (Some(&*place.path("clip.mp4")), State::Downloaded));
    job.redirect(place.path("copy.mp4"), true).await.expect("copies");
    for (name, bytes) in
        [("clip-1", "task-1-1"), ("clip-2", "task-1-2"), ("copy-1", "task-1-1"), ("copy-2", "task-1-2")]
    {
        whole(&place.path(&format!("{name}.mp4")), bytes);
    }
    assert_eq!(Sidecar::of(&place.path("copy-1.mp4")).expect("a sidecar").file, "copy-1.mp4");
    job.finish(|_| {}).await.expect("copies");
    assert_eq!((place.service.fetched().len(), job.job().output.clone()), (0, Some(place.path("copy.mp4"))));
    assert_eq!(place.files().len(), 8, "{:?}", place.files());
}

#[tokio::test]
async fn fewer_videos_than_asked_for_are_all_there_are() {
    let place = Place::new().await;
    place.service.videos(1);
    let request = request("dusk falls").sample_count(SampleCount::Two);
    let mut job = place.jobs.submit(&request).output(place.path("clip.mp4")).await.expect("a task");
    job.finish(|_| {}).await.expect("a clip");
    assert_eq!((job.job().state, place.files()), (State::Downloaded, vec!["clip-1.json".into(), "clip-1.mp4".into()]));
}

/// Nobody knows whether a failed task is billed.
#[tokio::test]
async fn a_task_without_a_video_has_failed_and_the_same_is_sent_anew_only_when_asked() {
    let place = Place::new().await;
    for (videos, status) in [(0, "TASK_STATUS_SUCCEED"), (1, "TASK_STATUS_FAILED")] {
        place.service.videos(videos);
        let request = request(status);
        let mut job = place.jobs.submit(&request).await.expect("a task");
        place.service.status(job.job().task_id.as_ref().expect("a task").as_str(), status);
        let error = job.finish(|_| {}).await.expect_err("failed");
        assert!(error.client_error().is_some(), "{error}");
        assert_eq!((job.job().state, job.job().charged()), (State::Failed, Charged::Unknown));
        drop(job);
        assert!(!place.jobs.submit(&request).await.expect("that one").is_new());
        assert!(place.jobs.submit(&request).again(true).await.expect("another one").is_new());
    }
    assert_eq!(place.service.submits(), 4);
}

/// What was delivered and deleted long ago, when the service no longer has it.
#[tokio::test]
async fn a_video_that_is_gone_everywhere_is_not_paid_for_again() {
    let place = Place::new().await;
    let request = request("dusk falls");
    let mut job = place.jobs.submit(&request).output(place.path("clip.mp4")).await.expect("a task");
    job.finish(|_| {}).await.expect("a clip");
    fs::remove_file(place.path("clip.mp4")).expect("gone");
    place.service.status(job.job().task_id.as_ref().expect("a task").as_str(), "TASK_STATUS_FAILED");
    drop(job);
    for _ in 0..2 {
        let mut job = place.jobs.submit(&request).output(place.path("clip.mp4")).await.expect("that one");
        let error = job.finish(|_| {}).await.expect_err("gone");
        assert_eq!((error.is_charged(), job.job().state), (Charged::Yes, State::Succeeded), "{error}");
    }
    assert_eq!(place.service.submits(), 1);
}

#[tokio::test]
async fn the_permission_to_overwrite_is_for_the_file_that_was_there() {
    let place = Place::new().await;
    let clip = place.path("clip.mp4");
    fs::write(&clip, "old").expect("a file");
    let mut job = place.jobs.submit(&request("dusk")).output(&clip).overwrite(true).await.expect("a task");
    fs::write(&clip, "somebody's new one").expect("a file");
    assert!(job.finish(|_| {}).await.expect_err("not that one").is_not_fetched());
    assert_eq!(fs::read(&clip).expect("theirs"), b"somebody's new one");
    job.redirect(&clip, true).await.expect("that one, too");
    job.finish(|_| {}).await.expect("a clip");
    whole(&clip, "task-1-1");

    // Nor does it hold for ever.
    fs::write(&clip, "edited").expect("a file");
    assert!(job.finish(|_| {}).await.expect_err("not unasked").is_not_fetched());
    assert_eq!(fs::read(&clip).expect("theirs"), b"edited");
}

#[tokio::test]
async fn a_json_of_the_users_own_is_never_taken_for_a_sidecar() {
    let place = Place::new().await;
    fs::write(place.path("package.json"), "{}").expect("a file");
    let error = place.jobs.submit(&request("dusk")).output(place.path("package.mp4")).overwrite(true).await;
    assert!(error.expect_err("in the way").to_string().contains("is no clip's sidecar"));
    let mut job = place.jobs.submit(&request("dusk")).output(place.path("clip.mp4")).await.expect("a task");
    // One that comes into being while the video is made.
    fs::write(place.path("clip.json"), "{}").expect("a file");
    assert!(job.finish(|_| {}).await.expect_err("in the way").is_not_fetched());
    assert_eq!(fs::read(place.path("clip.json")).expect("theirs"), b"{}");
    assert!(!place.path("clip.mp4").exists());
}

#[tokio::test]
async fn a_place_where_another_video_is_to_go_is_taken() {
    let place = Place::new().await;
    let clip = place.path("clip.mp4");
    let mut one = place.jobs.submit(&request("one")).output(&clip).await.expect("a task");
    let error = place.jobs.submit(&request("two")).output(&clip).await.expect_err("taken");
    assert!(error.is_invalid_input() && error.to_string().contains(one.job().id.as_str()), "{error}");
    let error = place.jobs.submit(&request("one")).output(&clip).again(true).await.expect_err("taken");
    assert!(error.is_invalid_input(), "{error}");
    assert_eq!(place.service.submits(), 1);
    one.finish(|_| {}).await.expect("a clip");
}

/// The name is free, but the other job's video is on its way there.
#[tokio::test]
async fn two_jobs_with_one_output_do_not_harm_each_other() {
    let place = Place::new().await;
    let clip = place.path("clip.mp4");
    let mut one = place.jobs.submit(&request("one")).output(&clip).await.expect("a task");
    // Its sidecar cannot be written, so the whole video waits for its name.
    fs::create_dir(place.path("clip.json.highway-new")).expect("in the way");
    assert!(one.finish(|_| {}).await.expect_err("no sidecar").is_not_fetched());
    fs::remove_dir(place.path("clip.json.highway-new")).expect("gone");
    let part = fs::read(place.path("clip.mp4.highway-part")).expect("the video");

    let error = place.jobs.submit(&request("two")).output(&clip).await.expect_err("taken");
    assert!(error.is_invalid_input() && error.to_string().contains("task-1"), "{error}");
    let mut two = place.jobs.submit(&request("two")).output(place.path("two.mp4")).await.expect("a task");
    assert!(two.redirect(&clip, true).await.expect_err("taken").is_invalid_input());
    two.finish(|_| {}).await.expect("a clip");
    assert!(two.redirect(&clip, false).await.expect_err("taken").is_invalid_input());
    assert_eq!(fs::read(place.path("clip.mp4.highway-part")).expect("the video"), part);

    one.finish(|_| {}).await.expect("a clip");
    whole(&clip, "task-1-1");
    whole(&place.path("two.mp4"), "task-2-1");
}

#[tokio::test]
async fn a_whole_video_goes_along_to_another_name() {
    let place = Place::new().await;
    let mut job = place.jobs.submit(&request("one")).output(place.path("clip.mp4")).await.expect("a task");
    let result = job.wait(|_| {}).await.expect("videos");
    fs::create_dir(place.path("clip.json.highway-new")).expect("in the way");
    assert!(job.fetch(&result, |_| {}).await.expect_err("no sidecar").is_not_fetched());
    fs::write(place.path("clip.mp4"), "theirs").expect("a file");
    assert_eq!(place.service.fetched(), ["task-1-1"]);
    job.redirect(place.path("mine.mp4"), false).await.expect("a place");
    job.finish(|_| {}).await.expect("a clip");
    assert_eq!(place.service.fetched(), [""; 0]);
    whole(&place.path("mine.mp4"), "task-1-1");
    fs::remove_dir(place.path("clip.json.highway-new")).expect("gone");
    assert_eq!(place.files(), ["clip.mp4", "mine.json", "mine.mp4"]);
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_that_was_planted_beside_a_clip_is_not_followed() {
    let place = Place::new().await;
    fs::write(place.path("theirs"), "theirs").expect("a file");
    for name in ["clip.json.highway-new", "copy.mp4.highway-new", "copy.json.highway-new"] {
        std::os::unix::fs::symlink(place.path("theirs"), place.path(name)).expect("a link");
    }
    let mut job = place.jobs.submit(&request("dusk")).output(place.path("clip.mp4")).await.expect("a task");
    job.finish(|_| {}).await.expect("a clip");
    job.redirect(place.path("copy.mp4"), false).await.expect("a copy");
    assert_eq!(fs::read(place.path("theirs")).expect("theirs"), b"theirs");
    assert_eq!(place.files(), ["clip.json", "clip.mp4", "copy.json", "copy.mp4", "theirs"]);
}

#[tokio::test]
async fn a_clip_that_is_there_goes_along_when_the_other_one_goes_elsewhere() {
    let place = Place::new().await;
    let mut job = place.two().await;
    place.service.broken(&[2]);
    assert!(job.finish(|_| {}).await.expect_err("one is missing").is_not_fetched());
    place.service.broken(&[]);
    job.redirect(place.path("copy.mp4"), false).await.expect("a place");
    place.service.fetched();
    job.finish(|_| {}).await.expect("clips");
    assert_eq!(place.service.fetched(), ["task-1-2"]);
    whole(&place.path("copy-1.mp4"), "task-1-1");
    whole(&place.path("copy-2.mp4"), "task-1-2");
}

#[tokio::test]
async fn a_wait_that_is_dropped_is_taken_up() {
    let place = Place::new().await;
    let mut job = place.jobs.submit(&request("dusk falls")).output(place.path("clip.mp4")).await.expect("a task");
    let id = job.job().id.clone();
    place.service.status("task-1", "TASK_STATUS_PROCESSING");
    let begun = tokio::sync::Notify::new();
    tokio::select! {
        _ = job.finish(|_| begun.notify_one()) => panic!("it is not finished"),
        () = begun.notified() => {}
    }
    drop(job);
    place.service.status("task-1", "TASK_STATUS_SUCCEED");
    place.jobs.take_up(&id).await.expect("a job").finish(|_| {}).await.expect("a clip");
    whole(&place.path("clip.mp4"), "task-1-1");
    assert_eq!(place.service.submits(), 1);
}
