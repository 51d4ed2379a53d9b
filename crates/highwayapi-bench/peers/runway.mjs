// @runwayml/sdk as its docs have it for pictures over 5 MB: https://docs.dev.runwayml.com/assets/uploads/
import { createReadStream } from "node:fs";
import RunwayML from "@runwayml/sdk";
import { bench, url, versionOf } from "./measure.mjs";

const client = new RunwayML({ apiKey: "bench", baseURL: url("runway") });

const upload = async (frame) => (await client.uploads.createEphemeral({ file: createReadStream(frame) })).uri;

await bench(versionOf("@runwayml/sdk"), {
  submit: async (first, last) =>
    client.imageToVideo.create({
      model: "veo3.1_fast",
      promptText: "dusk falls",
      promptImage: [
        { uri: await upload(first), position: "first" },
        { uri: await upload(last), position: "last" },
      ],
      ratio: "1280:720",
    }),
  poll: (task) => client.tasks.retrieve(task.id),
});
