//! Where cells are tried out, and what a run of the command leaves behind.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use highwayapi_sandbox::Sandbox;
use tokio::process::Command;
use tokio::time::timeout;

use crate::cell::{Address, Around, Cell, Outcome, Resume};
use crate::highway::{Ended, Highway, plain};
use crate::hosts::{Stranger, self_signed};
use crate::proxy::{Played, Proxy};
use crate::script::{Script, Stage, Step};
use crate::secrets::{self, KEY};
use crate::{Result, words};

/// What somebody else wrote to the clip's name meanwhile.
pub(crate) const THEIRS: &str = "theirs";

/// Bytes of a picture that no connection's buffers hold.
const LARGE: usize = 12 << 20;

/// What was seen of one cell.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) posts: usize,
    pub(crate) paid: usize,
    pub(crate) code: Option<i32>,
    pub(crate) charged: Option<String>,
    pub(crate) files: String,
    pub(crate) resume: Resume,
    pub(crate) words: String,
    /// What does not hold.
    pub(crate) problems: Vec<String>,
}

/// What all lanes share.
pub(crate) struct Ground {
    highway: Highway,
    sandbox: Sandbox,
    self_signed: String,
    /// What a whole clip is: the first two that this sandbox makes.
    clips: Vec<Vec<u8>>,
    room: tempfile::TempDir,
}

/// A proxy, and the cells that are tried out behind it.
pub(crate) struct Lane {
    ground: Arc<Ground>,
    proxy: Proxy,
    stranger: Stranger,
}

impl Ground {
    pub(crate) async fn new(highway: Highway) -> Result<Self> {
        let sandbox = Sandbox::builder().api_key(KEY).start().await?;
        let room = tempfile::tempdir()?;
        secrets::pictures(&room.path().join("small"), 0)?;
        secrets::pictures(&room.path().join("large"), LARGE)?;
        let self_signed = self_signed().await?;
        let mut ground = Self { highway, sandbox, self_signed, clips: Vec::new(), room };
        ground.clips = ground.clips_of_nothing_going_wrong().await?;
        Ok(ground)
    }

    /// From here on the sandbox has them and renders no more.
    async fn clips_of_nothing_going_wrong(&self) -> Result<Vec<Vec<u8>>> {
        let folder = self.room.path().join("whole");
        std::fs::create_dir(&folder)?;
        let args = self.generate("nothing goes wrong", "small", &["--sample-count=2"]);
        let mut command = self.command(Around::Nothing, &folder, &args);
        let output = command.env("HIGHWAY_BASE_URL", self.sandbox.base_url()).output().await?;
        if !output.status.success() {
            return Err(format!("without any fault: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        let clip = |name: &str| std::fs::read(folder.join(name));
        Ok(vec![clip("clip-1.mp4")?, clip("clip-2.mp4")?])
    }

    /// Tasks that were accepted for this prompt.
    fn paid(&self, prompt: &str) -> usize {
        self.sandbox.accepted().iter().filter(|accepted| accepted.prompt == prompt).count()
    }

    /// The arguments of `highway generate`, for a clip that the sandbox has already.
    fn generate(&self, prompt: &str, pictures: &str, args: &[&str]) -> Vec<String> {
        let picture = |name: &str| self.room.path().join(pictures).join(name).display().to_string();
        let mut all = vec!["generate".to_owned(), picture("first.jpg"), picture("last.jpg")];
        let fixed = ["-p", prompt, "--seed=7", "--duration-seconds=4", "-o", "clip.mp4", "--json"];
        all.extend(fixed.iter().chain(args).map(|&arg| arg.to_owned()));
        all
    }

    /// The command with these arguments, in this folder and these surroundings.
    fn command(&self, around: Around, folder: &Path, args: &[String]) -> Command {
        let highway = self.highway.path();
        let shell = |program: &str, before: &[&str], script: &str| {
            let mut command = Command::new(program);
            command.args(before).args(["-c", script, "sh"]).arg(highway);
            command
        };
        let mut command = match around {
            Around::Nothing => Command::new(highway),
            Around::Shell(first) => shell("sh", &[], &format!("{first}; exec \"$@\"")),
            Around::Mount(options) => {
                // What is left in it is taken out before it vanishes.
                let script = format!(
                    "mount -t tmpfs -o {options} tmpfs \"$PWD\" && cd \"$PWD\" || exit 99; \
                     \"$@\"; code=$?; cp -a . ../left; exit $code"
                );
                shell("unshare", &["-rm", "sh"], &script)
            }
        };
        plain(&mut command);
        command.args(args).current_dir(folder).env("HIGHWAY_API_KEY", KEY);
        command
    }

    /// What is in the folder, in words.
    fn files(&self, folder: &Path) -> Result<String> {
        let mut names = Vec::new();
        let entries = match std::fs::read_dir(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok("no folder".to_owned()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type()?;
            let bytes = if kind.is_file() { std::fs::read(entry.path())? } else { Vec::new() };
            names.push(match () {
                () if kind.is_dir() => format!("{name}/"),
                () if kind.is_symlink() => format!("{name} (a link)"),
                () if bytes == THEIRS.as_bytes() => format!("{name} of somebody else"),
                () if !name.ends_with(".mp4") => name,
                () if self.clips.contains(&bytes) => format!("{name} whole"),
                () => format!("{name} NOT WHOLE"),
            });
        }
        names.sort_unstable();
        Ok(if names.is_empty() { "nothing".to_owned() } else { names.join(", ") })
    }
}

impl Lane {
    pub(crate) async fn start(ground: Arc<Ground>) -> Result<Self> {
        let proxy = Proxy::start(&ground.sandbox.base_url()).await?;
        Ok(Self { ground, proxy, stranger: Stranger::start().await? })
    }

    pub(crate) async fn try_out(&self, id: &str, cell: &Cell) -> Result<Seen> {
        let ground = &*self.ground;
        let room = tempfile::tempdir_in(ground.room.path())?;
        let folder = room.path().join("out");
        std::fs::create_dir(&folder)?;
        let stage = Stage {
            service: self.proxy.url(),
            file_host: ground.sandbox.base_url(),
            stranger: self.stranger.url().to_owned(),
            self_signed: ground.self_signed.clone(),
            folder: folder.clone(),
            path: String::new(),
        };
        let address = match cell.address {
            Address::Proxy => stage.service.clone(),
            Address::PlainText => stage.service.replace("http://", "https://"),
            Address::SelfSigned => stage.self_signed.clone(),
        };
        let mut problems = Vec::new();
        let args = ground.generate(id, if cell.large { "large" } else { "small" }, &cell.args);
        let mut command = ground.command(cell.around, &folder, &args);
        command.env("HIGHWAY_BASE_URL", address);
        self.proxy.begin(cell.script.clone(), stage.clone()).await;
        let output = self.output(command, cell.within).await?;
        let played = self.proxy.end().await;
        let Some(output) = output else {
            problems.push(format!("takes longer than {} s", cell.within));
            return Ok(Seen::of_nothing(problems));
        };
        let ended = Ended::new(&output);
        if let Around::Mount(_) = cell.around {
            std::fs::remove_dir(&folder)?;
            std::fs::rename(room.path().join("left"), &folder)?;
        }
        let files = ground.files(&folder)?;

        let after = if cell.stays { cell.script.clone() } else { Script::default() };
        let (resume, resumed) = self.resume(&ended, &folder, after, &stage).await?;

        let mut seen = Seen {
            posts: played.count(Step::Submit),
            paid: ground.paid(id),
            code: ended.code,
            charged: ended.charged.clone(),
            files,
            resume,
            words: words::stable(&ended.words, &stage),
            problems,
        };
        if seen.paid > played.forwarded(Step::Submit) {
            seen.problems.push("paid for what was not sent".to_owned());
        }
        let (visits, keys) = self.stranger.take();
        if visits > 0 {
            seen.problems.push("a stranger was visited".to_owned());
        }
        if ground.sandbox.leaked_keys() > 0 || keys > 0 {
            seen.problems.push("the key went to another host".to_owned());
        }
        for text in [Some(&ended.raw), resumed.as_ref().map(|resumed| &resumed.raw)].into_iter().flatten() {
            if let Some(secret) = secrets::found(text.as_bytes(), &played.signatures) {
                seen.problems.push(format!("{secret} stands in what is printed"));
            }
        }
        for file in walk(room.path())? {
            if let Some(secret) = secrets::found(&std::fs::read(&file)?, &played.signatures) {
                seen.problems.push(format!("{secret} stands in {}", file.display()));
            }
        }
        seen.compare(&cell.outcome);
        Ok(seen)
    }

    /// `None` when it takes too long.
    async fn output(&self, mut command: Command, within: u64) -> Result<Option<Output>> {
        let process = command.spawn()?;
        self.proxy.process(process.id());
        Ok(timeout(Duration::from_secs(within), process.wait_with_output()).await.ok().transpose()?)
    }

    /// Takes up again what was paid for and is not there.
    async fn resume(
        &self,
        ended: &Ended,
        folder: &Path,
        script: Script,
        stage: &Stage,
    ) -> Result<(Resume, Option<Ended>)> {
        let unknown = ended.charged.as_deref() == Some("unknown") || ended.code.is_none();
        let id = match &ended.task_id {
            Some(id) if ended.code != Some(0) => id,
            None if unknown => return Ok((Resume::Asks, None)),
            _ => return Ok((Resume::Nothing, None)),
        };
        // Somebody else's file stays.
        let name = if folder.join("clip.mp4").exists() { "mine.mp4" } else { "clip.mp4" };
        if !folder.exists() {
            std::fs::create_dir(folder)?;
        }
        let args = ["fetch", id, "-o", name, "--json"].map(str::to_owned);
        let mut command = self.ground.command(Around::Nothing, folder, &args);
        command.env("HIGHWAY_BASE_URL", self.proxy.url());
        self.proxy.begin(script, stage.clone()).await;
        let output = self.output(command, 30).await?;
        self.proxy.end().await;
        let whole = std::fs::read(folder.join(name)).is_ok_and(|clip| self.ground.clips.contains(&clip));
        let resume = if whole { Resume::Finishes } else { Resume::Ends };
        Ok((resume, output.map(|output| Ended::new(&output))))
    }
}

impl Seen {
    fn of_nothing(problems: Vec<String>) -> Self {
        Self {
            posts: 0,
            paid: 0,
            code: None,
            charged: None,
            files: String::new(),
            resume: Resume::Nothing,
            words: String::new(),
            problems,
        }
    }

    fn compare(&mut self, outcome: &Outcome) {
        let mut differs = |what: &str, seen: String, expected: String| {
            if seen != expected {
                self.problems.push(format!("{what}: {seen}, and not {expected}"));
            }
        };
        differs("POSTs", self.posts.to_string(), outcome.posts.to_string());
        differs("paid", self.paid.to_string(), outcome.paid.to_string());
        differs("exit code", format!("{:?}", self.code), format!("{:?}", outcome.code));
        differs("charged", format!("{:?}", self.charged.as_deref()), format!("{:?}", outcome.charged));
        differs("files", self.files.clone(), outcome.files.to_owned());
        differs("resume", self.resume.text().to_owned(), outcome.resume.text().to_owned());
        if self.paid > 1 {
            self.problems.push("PAID MORE THAN ONCE".to_owned());
        }
        if self.files.contains("NOT WHOLE") {
            self.problems.push("a file under its final name is not whole".to_owned());
        }
    }
}

/// Every file below a folder, links not followed.
fn walk(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()? {
            kind if kind.is_dir() => files.extend(walk(&entry.path())?),
            kind if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
    Ok(files)
}

impl Played {
    fn forwarded(&self, step: Step) -> usize {
        self.journal.iter().filter(|entry| entry.step == step && entry.forwarded).count()
    }

    fn count(&self, step: Step) -> usize {
        self.journal.iter().filter(|entry| entry.step == step).count()
    }
}
