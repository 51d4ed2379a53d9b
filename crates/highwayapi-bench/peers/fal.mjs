// @fal-ai/client as its docs do it: https://docs.fal.ai/model-apis/client (queue; files in the input are uploaded)
import { readFileSync } from "node:fs";
import { createFalClient } from "@fal-ai/client";
import { bench, url, versionOf } from "./measure.mjs";

// Its one way to another host.
const requestMiddleware = async (request) => {
  const { pathname, search } = new URL(request.url);
  return { ...request, url: url("fal") + pathname + search };
};
const fal = createFalClient({ credentials: "bench", requestMiddleware });
const MODEL = "fal-ai/veo3.1/fast/first-last-frame-to-video";

const file = (frame) => new File([readFileSync(frame)], "frame.png", { type: "image/png" });

await bench(versionOf("@fal-ai/client"), {
  submit: (first, last) =>
    fal.queue.submit(MODEL, {
      input: { prompt: "dusk falls", first_frame_url: file(first), last_frame_url: file(last) },
    }),
  poll: (task) => fal.queue.status(MODEL, { requestId: task.request_id }),
});
