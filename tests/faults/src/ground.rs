//! What all rows share: the sandbox, the pictures, the command, and what a whole clip is.

use std::path::Path;

use highwayapi_sandbox::Sandbox;
use tokio::process::Command;

use crate::Result;
use crate::cell::Around;
use crate::highway::{Highway, plain};
use crate::hosts::self_signed;
use crate::secrets::{self, KEY};

/// What somebody else wrote to the clip's name meanwhile.
pub(crate) const THEIRS: &str = "theirs";

/// Bytes of a picture that no connection's buffers hold.
const LARGE: usize = 12 << 20;

pub(crate) struct Ground {
    highway: Highway,
    sandbox: Sandbox,
    pub(crate) self_signed: String,
    /// What a whole clip is: the first two that this sandbox makes.
    pub(crate) clips: Vec<Vec<u8>>,
    room: tempfile::TempDir,
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
        let room = self.room.path().join("whole");
        std::fs::create_dir_all(room.join("out"))?;
        let args = self.generate("nothing goes wrong", "small", &["--sample-count=2"]);
        let mut command = self.command(Around::Nothing, &room, &args);
        let output = command.env("HIGHWAY_BASE_URL", self.sandbox.base_url()).output().await?;
        if !output.status.success() {
            return Err(format!("without any fault: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        let clip = |name: &str| std::fs::read(room.join("out").join(name));
        Ok(vec![clip("clip-1.mp4")?, clip("clip-2.mp4")?])
    }

    pub(crate) fn room(&self) -> &Path {
        self.room.path()
    }

    pub(crate) fn highway(&self) -> &Path {
        self.highway.path()
    }

    /// The sandbox itself, without a proxy before it.
    pub(crate) fn base_url(&self) -> String {
        self.sandbox.base_url()
    }

    pub(crate) fn leaked_keys(&self) -> u64 {
        self.sandbox.leaked_keys()
    }

    /// Ids of the tasks that were accepted for this prompt.
    pub(crate) fn paid(&self, prompt: &str) -> Vec<String> {
        let accepted = self.sandbox.accepted().into_iter().filter(|accepted| accepted.prompt == prompt);
        accepted.map(|accepted| accepted.task_id).collect()
    }

    /// The arguments of `highway generate`, for a clip that the sandbox has already.
    pub(crate) fn generate(&self, prompt: &str, pictures: &str, args: &[&str]) -> Vec<String> {
        let picture = |name: &str| self.room.path().join(pictures).join(name).display().to_string();
        let mut all = vec!["generate".to_owned(), picture("first.jpg"), picture("last.jpg")];
        let fixed = ["-p", prompt, "--seed=7", "--duration-seconds=4", "-o", "clip.mp4"];
        all.extend(fixed.iter().chain(args).map(|&arg| arg.to_owned()));
        all
    }

    /// The command with these arguments and surroundings: its clips go to `out` in this room, its record to `state`.
    pub(crate) fn command(&self, around: Around, room: &Path, args: &[String]) -> Command {
        let highway = self.highway.path();
        let shell = |program: &str, before: &[&str], script: &str| {
            let mut command = Command::new(program);
            command.args(before).args(["-c", script, "sh"]).arg(highway);
            command
        };
        // What is left in a file system is taken out before it vanishes.
        let mounted = |options: &str, place: &str| {
            let script = format!(
                "mkdir -p {place} && mount -t tmpfs -o {options} tmpfs {place} && cd \"$PWD\" || exit 99; \
                 \"$@\"; code=$?; cp -a {place}/. ../left; exit $code"
            );
            shell("unshare", &["-rm", "sh"], &script)
        };
        let mut command = match around {
            Around::Nothing => Command::new(highway),
            Around::Shell(first) => shell("sh", &[], &format!("{first}; exec \"$@\"")),
            Around::Mount(options) => mounted(options, "\"$PWD\""),
            Around::MountRecord(options) => mounted(options, "\"$HIGHWAY_STATE\""),
        };
        plain(&mut command);
        command.args(args).current_dir(room.join("out"));
        command.env("HIGHWAY_API_KEY", KEY).env("HIGHWAY_STATE", room.join("state"));
        command
    }

    /// Puts what was left in a file system of its own where it would have been without.
    pub(crate) fn unmounted(&self, around: Around, room: &Path) -> Result<()> {
        let place = match around {
            Around::Mount(_) => "out",
            Around::MountRecord(_) => "state",
            Around::Nothing | Around::Shell(_) => return Ok(()),
        };
        std::fs::remove_dir(room.join(place))?;
        Ok(std::fs::rename(room.join("left"), room.join(place))?)
    }

    /// Whether this is, byte for byte, what the sandbox made.
    pub(crate) fn is_whole(&self, bytes: &[u8]) -> bool {
        self.clips.iter().any(|clip| clip == bytes)
    }

    /// What is in the folder, in words.
    pub(crate) fn files(&self, folder: &Path) -> Result<String> {
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
            // Beside a part stands what it is a part of.
            let continued = |name: &str| folder.join(format!("{name}.json")).exists();
            names.push(match () {
                () if kind.is_dir() => format!("{name}/"),
                () if kind.is_symlink() => format!("{name} (a link)"),
                () if bytes == THEIRS.as_bytes() => format!("{name} of somebody else"),
                () if name.ends_with(".highway-part") && continued(&name) => format!("{name} for resuming"),
                () if name.ends_with(".highway-part.json") => continue,
                () if !name.ends_with(".mp4") => name,
                () if self.is_whole(&bytes) => format!("{name} whole"),
                () if self.clips.iter().any(|clip| differ_by_one(clip, &bytes)) => {
                    format!("{name} with a flipped byte")
                }
                () => format!("{name} NOT WHOLE"),
            });
        }
        names.sort_unstable();
        Ok(if names.is_empty() { "nothing".to_owned() } else { names.join(", ") })
    }
}

fn differ_by_one(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).filter(|(one, other)| one != other).count() == 1
}
