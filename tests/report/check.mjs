// Opens the page as a user does, from the disk, and fails on the first thing that is not as it should be.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { chromium } from "playwright-core";

const page_file = process.argv[2];
const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];
const STATES = ["downloaded", "failed", "refused", "unknown", "planned", "submitted", "succeeded", "dropped", "intent"];
// What would run if it were taken for more than words.
const EVIL = `</script><script>document.title = "owned"</script><img src=x onerror="document.title = 'owned'">`;

const profile = mkdtempSync(join(tmpdir(), "report-"));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: FLAGS,
});
try {
  await real(page_file);
  const many = join(dirname(page_file), "many.html");
  writeFileSync(many, tenThousand(readFileSync(page_file, "utf8")));
  await large(many);
  if (process.env.SCREENSHOT) await screenshot(page_file, process.env.SCREENSHOT);
} finally {
  await browser.close();
  rmSync(profile, { recursive: true, force: true });
}
console.log("the page is as it should be");

async function open(file) {
  const page = await browser.newPage();
  page.setDefaultTimeout(60_000);
  const wrong = [];
  page.on("pageerror", (error) => wrong.push(error.message));
  page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));
  page.on("request", (request) => /^(file|data|blob):/.test(request.url()) || wrong.push(`asks for ${request.url()}`));
  await page.goto(`file://${file}`);
  return { page, wrong };
}

async function real(file) {
  const { page, wrong } = await open(file);
  const cards = page.locator("article");
  const count = await cards.count();
  assert.ok(count >= 3, `${count} cards`);
  // It plays: the clip is a real one, and its time goes on.
  await page.waitForFunction(() => document.querySelector("video").currentTime > 0.1);
  await page.waitForFunction(() => [...document.querySelectorAll(".frames img")].slice(0, 2).every((image) => image.naturalWidth > 0));
  await page.keyboard.press("p");
  await page.waitForFunction(() => document.querySelector("video").paused);

  const last = (await page.locator("article .id").allTextContents()).at(-1);
  await page.keyboard.press("/");
  await page.keyboard.type(last);
  await page.waitForFunction((id) => document.querySelectorAll("article").length === 1
    && document.querySelector("article .id").textContent === id, last);
  await page.keyboard.press("Escape");
  await page.waitForFunction((count) => document.querySelectorAll("article").length === count, count);

  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  assert.ok(await cards.nth(1).locator("details").evaluate((details) => details.open));
  assert.match(await cards.nth(1).locator("dl").textContent(), /duration seconds/);

  await page.setViewportSize({ width: 360, height: 740 });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(wide <= 360, `${wide} pixels wide on a phone`);
  assert.deepEqual(wrong, []);
  await page.close();
}

/// The same page with its items over and over, in every state, and with prompts that try to be more.
function tenThousand(html) {
  const [before, rest] = html.split('<script type="text/plain" id="data">');
  const end = rest.indexOf("</script>");
  const [head, ...items] = rest.slice(0, end).split("\n").filter(Boolean);
  const lines = [head];
  for (let number = 1; number <= 10_000; number++) {
    const item = JSON.parse(items[number % items.length]);
    const state = STATES[number % STATES.length];
    Object.assign(item, { id: `many-${number}`, number, state, job: `job${number}` });
    if (state !== "downloaded") item.clips = [];
    if (state === "unknown") Object.assign(item, { reason: "the answer was lost", command: `highway resolve job${number}` });
    if (number % 10 === 0) item.prompt = EVIL;
    lines.push(JSON.stringify(item).replaceAll("<", "\\u003c"));
  }
  return `${before}<script type="text/plain" id="data">${lines.join("\n")}\n${rest.slice(end)}`;
}

async function large(file) {
  const { page, wrong } = await open(file);
  await page.waitForSelector("article");
  const cards = () => page.locator("article").count();
  assert.ok((await cards()) < 500, `${await cards()} cards at once`);
  const unknown = page.locator("#states button", { hasText: "unknown" });
  assert.match(await unknown.textContent(), /1,111/);
  await unknown.click();
  assert.equal(await page.locator("article .state").first().textContent(), "unknown");
  assert.match(await page.locator("article .way code").first().textContent(), /^highway resolve job\d+$/);
  assert.ok((await cards()) < 500);
  await page.locator("#states button").first().click();
  await page.fill("#search", "many-10000");
  await page.waitForFunction(() => document.querySelectorAll("article").length === 1);
  assert.equal(await page.locator("article .prompt").textContent(), EVIL);
  assert.doesNotMatch(await page.title(), /owned/);
  // So many scrolls reach further down, a few cards at a time.
  await page.fill("#search", "");
  await page.waitForFunction(() => document.querySelectorAll("article").length > 10);
  const first = await cards();
  for (let times = 0; times < 5; times++) await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
  await page.waitForFunction((first) => document.querySelectorAll("article").length > first, first);
  const opened = await page.evaluate(() => Math.round(performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd));
  console.log(`10,000 items: there after ${opened} ms`);
  assert.deepEqual(wrong, []);
  await page.close();
}

async function screenshot(file, to) {
  const { page } = await open(file);
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.emulateMedia({ colorScheme: "dark" });
  await page.waitForFunction(() => [...document.querySelectorAll("video")].slice(0, 4).every((video) => video.readyState > 2));
  await page.screenshot({ path: to });
}
