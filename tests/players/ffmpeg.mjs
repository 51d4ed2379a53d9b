// ffprobe's view of a clip, and whether ffmpeg decodes it without a complaint.

import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

export async function inFfmpeg({ file, width, height, seconds, sound }) {
  const problems = [];
  const expect = (what, found, wanted) => {
    if (String(found) !== String(wanted)) problems.push(`${what} is ${found}, expected ${wanted}`);
  };
  const { stdout } = await run("ffprobe", ["-v", "error", "-show_streams", "-show_format", "-of", "json", file]);
  const { streams, format } = JSON.parse(stdout);
  const video = streams.find((stream) => stream.codec_type === "video");
  expect("streams", streams.map((stream) => stream.codec_name).join(), sound ? "h264,aac" : "h264");
  expect("size", `${video?.width}x${video?.height}`, `${width}x${height}`);
  expect("frames", video?.nb_frames, seconds * 24);
  expect("frame rate", video?.avg_frame_rate, "24/1");
  expect("seconds of video", Number(video?.duration), seconds);
  expect("container", format.format_name.split(",").includes("mp4"), true);
  for (const stream of streams)
    if (Math.abs(Number(stream.duration) - seconds) > 0.1) problems.push(`${stream.codec_type} lasts ${stream.duration} s`);

  const decode = ["-v", "error", "-xerror", "-err_detect", "explode", "-i", file, "-f", "null", "-"];
  const decoded = await run("ffmpeg", decode).catch((error) => error);
  if (decoded.code || decoded.stderr) problems.push(`it does not decode: ${decoded.stderr}`);
  return problems;
}
