// A test of a program that makes clips, against a sandbox: no key, no network, no bill. Node's own library is enough.
//
//   npm ci && npm test -- path/to/highway

import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

interface Listening { base_url: string; admin_url: string; api_key: string }
interface Submitted { task_id: string }
interface TaskResult {
  task: { status: string; reason: string };
  videos: { video_url: string }[];
}
interface Held { held: { assertion: string; says: string }[] }

/** `highway sandbox` on a free port. It ends when its standard input closes, however this program ends. */
async function startSandbox(highway: string): Promise<{ process: ChildProcess; listening: Listening }> {
  const process = spawn(highway, ["sandbox", "--json", "--listen", "127.0.0.1:0"], { stdio: ["pipe", "pipe", "inherit"] });
  for await (const line of createInterface({ input: process.stdout })) {
    return { process, listening: JSON.parse(line) as Listening };
  }
  throw new Error("the sandbox ended without an address");
}

/** The JSON answer; an error status throws. */
async function call<T>(url: string, key?: string, body?: object): Promise<T> {
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (key) headers.authorization = `Bearer ${key}`;
  const answer = await fetch(url, body ? { method: "POST", headers, body: JSON.stringify(body) } : { headers });
  if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`);
  return (await answer.json()) as T;
}

async function picture(name: string): Promise<string> {
  const bytes = await readFile(new URL(`../../frames/${name}`, import.meta.url));
  return `data:image/jpeg;base64,${bytes.toString("base64")}`;
}

/** The program under test: two pictures and a prompt become the bytes of an MP4. */
async function makeClip(url: string, key: string): Promise<Buffer> {
  const body = {
    image: await picture("first.jpg"),
    last_image: await picture("last.jpg"),
    prompt: "dusk falls over the meadow",
    duration_seconds: 4,
  };
  const { task_id } = await call<Submitted>(`${url}/v3/async/veo-3.1-fast-generate-firstlastframe`, key, body);
  for (;;) {
    const { task, videos } = await call<TaskResult>(`${url}/v3/async/task-result?task_id=${task_id}`, key);
    if (task.status === "TASK_STATUS_FAILED") throw new Error(task.reason);
    const [video] = videos;
    if (task.status === "TASK_STATUS_SUCCEED" && video) {
      // Without the key: the link is signed, and the file host is somebody else's.
      const answer = await fetch(video.video_url);
      return Buffer.from(await answer.arrayBuffer());
    }
    await sleep(200);
  }
}

const highway = process.argv[2];
if (!highway) throw new Error("say where `highway` is");
const sandbox = await startSandbox(highway);
try {
  const { base_url, admin_url, api_key } = sandbox.listening;
  const clip = await makeClip(base_url, api_key);
  assert.equal(clip.toString("latin1", 4, 8), "ftyp", "an MP4 begins with its type");
  const { held } = await call<Held>(`${admin_url}/ledger/assert`, undefined, {
    submits: 1,
    no_request_billed_twice: true,
    no_key_leaked: true,
    spent: { at_most: 0.6, price_per_second: 0.15 },
  });
  for (const { says } of held) console.log(says);
  console.log(`a clip of ${clip.length} bytes`);
} finally {
  sandbox.process.stdin?.end();
}
