// Asks a sandbox for every kind of clip that the contract allows, and shows each to all players.

import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { inChromium } from "./chromium.mjs";
import { inFfmpeg } from "./ffmpeg.mjs";
import { inMp4box } from "./mp4box.mjs";

const SUBMIT = "/v3/async/veo-3.1-fast-generate-firstlastframe";
const SIZES = { "720p": [1280, 720], "1080p": [1920, 1080] };

const [highway] = process.argv.slice(2);
const folder = await mkdtemp(join(tmpdir(), "highway-players-"));
const sandbox = spawn(highway, ["sandbox", "--listen", "127.0.0.1:0", "--json"], { stdio: ["pipe", "pipe", "inherit"] });
try {
  const { base_url: service, api_key: key } = await firstLine(sandbox);
  const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json" };
  const schemas = JSON.parse(await readFile("crates/highwayapi-sandbox/src/openapi.json")).components.schemas;
  const picture = async (name) =>
    `data:image/jpeg;base64,${(await readFile(`examples/frames/${name}.jpg`)).toString("base64")}`;
  const frames = { image: await picture("first"), last_image: await picture("last"), prompt: "dusk falls" };

  const clips = [];
  for (const resolution of schemas.Resolution.enum)
    for (const aspect_ratio of schemas.AspectRatio.enum)
      for (const duration_seconds of schemas.DurationSeconds.enum)
        for (const generate_audio of [false, true]) {
          const options = { resolution, aspect_ratio, duration_seconds, generate_audio, seed: 7 };
          const answer = await fetch(service + SUBMIT, {
            method: "POST",
            headers,
            body: JSON.stringify({ ...frames, ...options }),
          });
          if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`);
          const [long, short] = SIZES[resolution];
          const [width, height] = aspect_ratio === "16:9" ? [long, short] : [short, long];
          const name = `${resolution} ${aspect_ratio} ${duration_seconds} s${generate_audio ? " with sound" : ""}`;
          const wanted = { width, height, seconds: duration_seconds, sound: generate_audio };
          clips.push({ name, ...wanted, task: (await answer.json()).task_id });
        }

  const problems = [];
  for (const clip of clips) {
    clip.bytes = await finished(service, headers, clip.task);
    clip.file = join(folder, `${clip.task}.mp4`);
    await writeFile(clip.file, clip.bytes);
    for (const player of [inFfmpeg, inMp4box])
      problems.push(...(await player(clip)).map((problem) => `${clip.name}: ${player.name}: ${problem}`));
  }
  problems.push(...(await inChromium(clips)).map((problem) => `inChromium: ${problem}`));
  problems.forEach((problem) => console.error(problem));
  console.log(`${clips.length} kinds of clip in ffmpeg, mp4box and Chromium: ${problems.length} problems`);
  process.exitCode = problems.length ? 1 : 0;
} finally {
  sandbox.kill();
  await rm(folder, { recursive: true });
}

async function finished(service, headers, task) {
  for (;;) {
    const result = await (await fetch(`${service}/v3/async/task-result?task_id=${task}`, { headers })).json();
    if (result.task.status === "TASK_STATUS_SUCCEED") {
      const video = await fetch(result.videos[0].video_url);
      if (!video.ok) throw new Error(`${video.status}: ${await video.text()}`);
      return Buffer.from(await video.arrayBuffer());
    }
    if (result.task.status === "TASK_STATUS_FAILED") throw new Error(JSON.stringify(result));
    await new Promise((wake) => setTimeout(wake, 200));
  }
}

/** What the sandbox says of itself: one line of JSON. */
async function firstLine(child) {
  let text = "";
  for await (const chunk of child.stdout) {
    text += chunk;
    if (text.includes("\n")) return JSON.parse(text.slice(0, text.indexOf("\n")));
  }
  throw new Error(`the sandbox ended without an address: ${text}`);
}
