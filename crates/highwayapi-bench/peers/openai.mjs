// openai as its guide does it: https://platform.openai.com/docs/guides/video-generation. It takes one picture only.
import { createReadStream, writeFileSync } from "node:fs";
import OpenAI from "openai";
import { bench, url, versionOf } from "./measure.mjs";

const client = new OpenAI({ apiKey: "bench", baseURL: url("openai") });

await bench(versionOf("openai"), {
  submit: (first) =>
    client.videos.create({ model: "sora-2", prompt: "dusk falls", input_reference: createReadStream(first) }),
  poll: (video) => client.videos.retrieve(video.id),
  async download(file) {
    const content = await client.videos.downloadContent("video_bench");
    writeFileSync(file, Buffer.from(await content.arrayBuffer()));
  },
});
