// @google/genai as its docs do it: https://googleapis.github.io/js-genai/ (generateVideos, files.download).
// Videos come from the enterprise client, files from the developer's one.
import { readFileSync } from "node:fs";
import { GoogleGenAI } from "@google/genai";
import { bench, url, versionOf } from "./measure.mjs";

const ai = new GoogleGenAI({ enterprise: true, apiKey: "bench", httpOptions: { baseUrl: url("google") } });
const developer = new GoogleGenAI({ apiKey: "bench", httpOptions: { baseUrl: url("google") } });

const image = (frame) => ({ imageBytes: readFileSync(frame).toString("base64"), mimeType: "image/png" });

await bench(versionOf("@google/genai"), {
  submit: (first, last) =>
    ai.models.generateVideos({
      model: "veo-3.1-fast-generate-001",
      source: { prompt: "dusk falls", image: image(first) },
      config: { lastFrame: image(last) },
    }),
  poll: (operation) => ai.operations.getVideosOperation({ operation }),
  // Of the link only the file's name is used.
  download: (file) =>
    developer.files.download({ file: { uri: "https://example.com/v1beta/files/clip:download?alt=media" }, downloadPath: file }),
});
