// Clips in a real browser: loaded, sought in, played, and looked at.

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { chromium } from "playwright-core";

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--autoplay-policy=no-user-gesture-required",
];

export async function inChromium(clips) {
  const server = createServer(async ({ url }, answer) => {
    const clip = clips[Number(url.slice(1))];
    if (url === "/") answer.setHeader("Content-Type", "text/html").end("<!doctype html><video muted></video>");
    else if (clip) answer.setHeader("Content-Type", "video/mp4").end(await readFile(clip.file));
    else answer.writeHead(404).end();
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: FLAGS });
  try {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${server.address().port}/`);
    const problems = [];
    for (const [index, clip] of clips.entries()) {
      const { width, height, seconds, sound } = clip;
      const found = await page.evaluate(watch, { index, seconds }).catch((error) => ({ error: error.message }));
      const wanted = { width, height, seconds, sound };
      for (const [what, value] of Object.entries(wanted))
        if (found[what] !== value) problems.push(`${clip.name}: ${what} is ${found[what]}, expected ${value}`);
      if (found.error) problems.push(`${clip.name}: ${found.error}`);
      if (!(found.played > 0.2)) problems.push(`${clip.name}: it does not play`);
      if (!(found.change > 1)) problems.push(`${clip.name}: first and last frame look the same (${found.change})`);
    }
    return problems;
  } finally {
    await browser.close();
    server.close();
  }
}

/** Runs in the page. */
async function watch({ index, seconds }) {
  const video = document.querySelector("video");
  const happens = (event) =>
    new Promise((done, failed) => {
      const late = setTimeout(() => failed(new Error(`no ${event}: ${video.error?.message ?? "nothing came"}`)), 30_000);
      video.addEventListener(event, () => done(clearTimeout(late)), { once: true });
      video.addEventListener("error", () => failed(new Error(video.error.message)), { once: true });
    });
  const blob = await (await fetch(`/${index}`)).blob();
  const loaded = happens("loadeddata");
  video.src = URL.createObjectURL(blob);
  await loaded;

  const pixels = async (at) => {
    const sought = happens("seeked");
    video.currentTime = at;
    await sought;
    const canvas = new OffscreenCanvas(32, 32).getContext("2d");
    canvas.drawImage(video, 0, 0, 32, 32);
    return canvas.getImageData(0, 0, 32, 32).data;
  };
  const first = await pixels(0);
  // On a busy machine a frame is sought before it is shown.
  let change = 0;
  for (let look = 0; look < 50 && change <= 1; look++) {
    if (look > 0) await new Promise((wake) => setTimeout(wake, 100));
    const last = await pixels(seconds - 0.02);
    change = first.reduce((sum, value, at) => sum + Math.abs(value - last[at]), 0) / first.length;
  }

  await pixels(0);
  await video.play();
  await new Promise((seen) => {
    const look = () => (video.currentTime > 0.3 ? seen() : setTimeout(look, 20));
    look();
    setTimeout(seen, 20_000);
  });
  video.pause();
  const found = {
    width: video.videoWidth,
    height: video.videoHeight,
    seconds: Math.round(video.duration * 100) / 100,
    sound: video.webkitAudioDecodedByteCount > 0,
    played: video.currentTime,
    change,
  };
  URL.revokeObjectURL(video.src);
  return found;
}
