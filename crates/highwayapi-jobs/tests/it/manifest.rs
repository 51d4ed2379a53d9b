//! Manifests: what is planned from them, and what is said of their mistakes.

use std::fs;
use std::path::Path;

use highwayapi_jobs::batch::{FrameSource, Manifest, Reading};
use tempfile::TempDir;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        fs::write(file, text).expect("written");
    }
    folder
}

fn read(folder: &TempDir, name: &str, reading: &Reading) -> Manifest {
    Manifest::read(&folder.path().join(name), reading).expect("it can be read")
}

/// The items and findings, one a line, without what differs from run to run.
fn told(folder: &TempDir, manifest: &Manifest) -> String {
    let frame = |frame: &FrameSource| match frame {
        FrameSource::File(file) => file.strip_prefix(folder.path()).unwrap_or(file).display().to_string(),
        FrameSource::Url(url) => url.clone(),
    };
    let mut lines = Vec::new();
    for item in &manifest.items {
        let options = serde_json::to_string(&item.options).expect("JSON");
        lines.push(format!(
            "{} {}: {} + {} -> {} ({}, {options}) line {}",
            item.number,
            item.id,
            frame(&item.image),
            frame(&item.last_image),
            item.output.display(),
            item.prompt,
            item.place.line,
        ));
    }
    lines.extend(manifest.findings.iter().map(ToString::to_string));
    lines
        .join("\n")
        .replace(&format!("{}/", folder.path().display()), "")
        .replace(&folder.path().display().to_string(), "FOLDER")
}

#[test]
fn the_three_formats_say_the_same() {
    let folder = folder(&[
        (
            "clips.jsonl",
            r#"{"$schema": "x", "defaults": {"prompt": "dusk", "duration_seconds": 4}}

{"id": "one", "image": "a.png", "last_image": "b.png", "seed": 7, "aspect_ratio": "9:16"}
{"image": "b.png", "last_image": "https://example.com/c.png", "prompt": "12", "generate_audio": true, "output": "out/{id}.mp4"}
"#,
        ),
        (
            "clips.csv",
            "id,image,last_image,prompt,seed,aspect_ratio,duration_seconds,generate_audio,output\n\
             one,a.png,b.png,dusk,7,9:16,4,,\n\
             ,b.png,https://example.com/c.png,12,,,4,TRUE,out/{id}.mp4\n",
        ),
        (
            "clips.yaml",
            "# yaml-language-server: $schema=x\n$schema: x\ndefaults:\n  prompt: dusk\n  duration_seconds: 4\nitems:\n\
             - id: one\n  image: a.png\n  last_image: b.png\n  seed: 7\n  aspect_ratio: 9:16\n\
             - image: b.png\n  last_image: https://example.com/c.png\n  prompt: \"12\"\n  generate_audio: true\n  output: out/{id}.mp4\n",
        ),
    ]);
    let lines = |name| {
        let told = told(&folder, &read(&folder, name, &Reading::default()));
        told.lines().map(|line| line.split(" line ").next().expect("text").to_owned()).collect::<Vec<_>>()
    };
    let expected = [
        r#"1 one: a.png + b.png -> clips/one.mp4 (dusk, {"seed":7,"aspect_ratio":"9:16","duration_seconds":4})"#,
        r#"2 b-c: b.png + https://example.com/c.png -> out/b-c.mp4 (12, {"generate_audio":true,"duration_seconds":4})"#,
    ];
    assert_eq!(lines("clips.jsonl"), expected);
    assert_eq!(lines("clips.csv"), expected);
    assert_eq!(lines("clips.yaml"), expected);
}

#[test]
fn folders_are_paired_and_key_frames_chained() {
    let folder = folder(&[
        ("a/2.png", ""),
        ("a/10.png", ""),
        ("a/notes.txt", ""),
        ("b/2.jpg", ""),
        ("b/10.JPG", ""),
        ("keys/[1].png", ""),
        ("keys/[2].png", ""),
        ("keys/[10].png", ""),
        (
            "clips.yaml",
            "defaults: { prompt: dusk }\nitems:\n- pairs: { image: a, last_image: b/*.* }\n- chain: keys/*.png\n  id: keys\n  seed: 1\n\
             - chain: [a/2.png, a/10.png, a/2.png]\n  output: loop/{id}.mp4\n- {image: a/2.png, last_image: b/2.jpg}\n",
        ),
    ]);
    let mut reading = Reading::default();
    reading.output_dir = Some("made".into());
    insta::assert_snapshot!(told(&folder, &read(&folder, "clips.yaml", &reading)), @r#"
    1 2: a/2.png + b/2.jpg -> made/2.mp4 (dusk, {}) line 3
    2 10: a/10.png + b/10.JPG -> made/10.mp4 (dusk, {}) line 3
    3 keys-_1_-_2_: keys/[1].png + keys/[2].png -> made/keys-_1_-_2_.mp4 (dusk, {"seed":1}) line 4
    4 keys-_2_-_10_: keys/[2].png + keys/[10].png -> made/keys-_2_-_10_.mp4 (dusk, {"seed":1}) line 4
    5 2-10: a/2.png + a/10.png -> loop/2-10.mp4 (dusk, {}) line 7
    6 10-2: a/10.png + a/2.png -> loop/10-2.mp4 (dusk, {}) line 7
    7 2-2: a/2.png + b/2.jpg -> made/2-2.mp4 (dusk, {}) line 9
    "#);
}

#[test]
fn every_mistake_is_told_with_its_line() {
    let folder = folder(&[
        ("a/1.png", ""),
        ("a/2.png", ""),
        ("b/1.png", ""),
        ("b/1.jpg", ""),
        (
            "bad.yaml",
            "defaults:\n  id: x\n  resolution: 4k\nitems:\n- imgae: a.png\n  last_image: b.png\n  seed: -1\n  prompt: x\n\
             - image: a.png\n  last_image: b.png\n  sample_count: [1]\n\
             - {image: a.png, chain: b, prompt: x}\n\
             - {pairs: {image: a}, prompt: x}\n\
             - {pairs: {image: a, last_image: b}, prompt: x, output: one.mp4}\n\
             - {chain: [a/1.png], prompt: x}\n\
             - {chain: 7, prompt: x}\n\
             - {chain: none/*, prompt: x}\n\
             - {image: 'data:image/png;base64,x', last_image: 'https://u@example.com/a.png', prompt: x}\n\
             - {id: ../x, image: a, last_image: b, prompt: ' '}\n\
             - {id: q, image: a, last_image: b, prompt: x, sample_count: 2, output: out/a.mp4}\n\
             - {id: q, image: a, last_image: c, prompt: x}\n\
             - {id: z, image: a, last_image: c, prompt: x, output: ./out/../out/a-2.mov}\n\
             - {prompt: x}\n",
        ),
        ("bad.jsonl", "{\"id\": 1\n{\"id\": 7, \"image\": \"a\", \"image\": \"b\"}\n{\"defaults\": {}}\n[1]\n"),
        ("head.jsonl", "{\"defaults\": 7, \"prompt\": \"x\"}"),
        ("bad.csv", "image,last_image,prompt,seed\na,b,x,many\na,b\na,b,x,7.5\n\"a\",b,,1\n"),
        ("head.csv", "image,last-image\na,b\n"),
        ("broken.yaml", "items:\n- image: a\n   last_image: b\n"),
        ("twice.yaml", "items:\n- image: a\n  image: b\n"),
        ("other.yaml", "itms: []\n"),
        ("empty.jsonl", "\n"),
    ]);
    let files = [
        "bad.yaml",
        "bad.jsonl",
        "head.jsonl",
        "bad.csv",
        "head.csv",
        "broken.yaml",
        "twice.yaml",
        "other.yaml",
        "empty.jsonl",
    ];
    let mut said = String::new();
    for name in files {
        let manifest = read(&folder, name, &Reading::default());
        for finding in &manifest.findings {
            said += &format!("{}\n", finding.to_string().replace(&format!("{}/", folder.path().display()), ""));
        }
        said += "\n";
    }
    let said = said.replace(&folder.path().display().to_string(), "FOLDER");
    insta::assert_snapshot!(said);
}

#[test]
fn a_file_that_names_no_format_is_asked_for_one() {
    let folder = folder(&[("clips.txt", "image,last_image,prompt\na,b,x\n")]);
    let file = folder.path().join("clips.txt");
    let error = Manifest::read(&file, &Reading::default()).expect_err("no format");
    assert!(error.is_invalid_input() && error.to_string().ends_with("name its format"), "{error}");
    let mut reading = Reading::default();
    reading.format = Some("csv".parse().expect("a format"));
    reading.defaults = vec![("seed".to_owned(), "7".to_owned()), ("resolution".to_owned(), "4k".to_owned())];
    let manifest = Manifest::read(&file, &reading).expect("it is read");
    assert_eq!(manifest.items[0].options.seed, Some(7));
    assert!(manifest.findings[0].text.starts_with("resolution: `4k` is not allowed"), "{:?}", manifest.findings);
}

/// The schema that stands in the docs is the one of the types. `HIGHWAY_WRITE=1` writes it.
#[test]
fn the_schema_in_the_docs_is_that_of_the_types() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/batch-manifest.schema.json");
    let text = serde_json::to_string_pretty(&highwayapi_jobs::batch::manifest_schema()).expect("JSON") + "\n";
    if std::env::var_os("HIGHWAY_WRITE").is_some() {
        fs::write(&file, &text).expect("written");
    }
    let there = fs::read_to_string(&file).unwrap_or_default();
    assert!(there == text, "write it anew: HIGHWAY_WRITE=1 cargo test -p highwayapi-jobs schema");
}
