// replicate as its README does it: https://github.com/replicate/replicate-javascript (buffers are uploaded)
import { readFile } from "node:fs/promises";
import Replicate from "replicate";
import { bench, url, versionOf } from "./measure.mjs";

const replicate = new Replicate({ auth: "bench", baseUrl: url("replicate/v1") });

await bench(versionOf("replicate"), {
  submit: async (first, last) =>
    replicate.predictions.create({
      model: "google/veo-3.1-fast",
      input: { prompt: "dusk falls", image: await readFile(first), last_frame: await readFile(last) },
    }),
  poll: (prediction) => replicate.predictions.get(prediction.id),
});
