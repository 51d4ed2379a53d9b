// Node's own fetch: https://nodejs.org/en/learn/getting-started/fetch
import { createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { bench, dataUri, url } from "./measure.mjs";

async function ok(response) {
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return response;
}

await bench(`node ${process.version}`, {
  async submit(first, last) {
    const task = { image: dataUri(first), last_image: dataUri(last), prompt: "dusk falls" };
    const headers = { "content-type": "application/json" };
    const response = await fetch(url("plain/submit"), { method: "POST", headers, body: JSON.stringify(task) });
    return (await (await ok(response)).json()).task_id;
  },
  async poll(id) {
    const response = await fetch(url(`plain/task-result?task_id=${id}`));
    return (await (await ok(response)).json()).task.status;
  },
  async download(file) {
    const response = await fetch(url("plain/clip.mp4"));
    await pipeline((await ok(response)).body, createWriteStream(file));
  },
});
