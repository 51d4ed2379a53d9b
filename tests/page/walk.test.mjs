// A walk through the sandbox's page in a real browser, as its users do.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const { HIGHWAY } = process.env;
const DOCS = fileURLToPath(new URL("../../docs/", import.meta.url));
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];
const PNG = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGM4EaABAAMkAUEdGZ/EAAAAAElFTkSuQmCC";
const SUBMIT = "/v3/async/veo-3.1-fast-generate-firstlastframe";

let profile, browser;
const started = [];

/** `highway sandbox` on a free port; it ends with this program. */
async function sandbox(...options) {
  const child = spawn(HIGHWAY, ["sandbox", "--json", "--listen", "127.0.0.1:0", ...options], { stdio: ["pipe", "pipe", "inherit"] });
  started.push(child);
  for await (const line of createInterface({ input: child.stdout })) return JSON.parse(line).base_url;
  throw new Error("the sandbox ended without an address");
}

async function submit(base, fields) {
  const body = { image: PNG, last_image: PNG, prompt: "still", duration_seconds: 4, ...fields };
  const headers = { "content-type": "application/json", authorization: "Bearer sandbox-key" };
  return fetch(base + SUBMIT, { method: "POST", headers, body: JSON.stringify(body) });
}

/** A page that fails the test for whatever it complains of, or asks of anybody else. */
async function open(base, options = {}) {
  const tab = await browser.newPage();
  await tab.emulateMedia({ colorScheme: options.colorScheme ?? "light" });
  await tab.setViewportSize({ width: options.width ?? 1200, height: options.height ?? 900 });
  tab.trouble = [];
  tab.on("console", (message) => message.type() === "error" && tab.trouble.push(message.text()));
  tab.on("pageerror", (error) => tab.trouble.push(String(error)));
  tab.on("request", (request) => {
    const own = request.url().startsWith(base) || request.url().startsWith("data:") || request.url().startsWith("blob:");
    if (!own) tab.trouble.push(`asked for ${request.url()}`);
  });
  await tab.goto(base);
  await tab.locator("#scenarios button").first().waitFor();
  return tab;
}

before(async () => {
  profile = await mkdtemp(`${tmpdir()}/page-`);
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  browser = await chromium.launchPersistentContext(profile, { executablePath, headless: true, args: FLAGS });
});

after(async () => {
  await browser?.close();
  for (const child of started) child.stdin.end();
  if (profile) await rm(profile, { recursive: true, force: true });
});

test("a task is seen live, and its clip plays in place", async () => {
  const base = await sandbox();
  const tab = await open(base);
  await tab.getByText("No task yet").waitFor();
  await tab.getByRole("button", { name: "Submit a sample" }).click();
  const card = tab.locator(".card").first();
  await card.getByText("the sun sinks over the meadow").waitFor();
  await card.locator(".state.succeeded").waitFor({ timeout: 120_000 });
  await tab.waitForFunction(() => [...document.querySelectorAll(".card img")].every((image) => image.naturalWidth === 640));
  const video = card.locator("video");
  await video.evaluate((video) => video.play());
  await tab.waitForFunction(() => document.querySelector("video").currentTime > 0.3);
  // What is shown anew leaves it alone.
  await submit(base, { prompt: "another one" });
  await tab.getByText("another one").waitFor();
  assert.equal(await tab.locator(".card").nth(1).locator("video").evaluate((video) => !video.paused), true);
  await tab.locator("#accounts").getByText("2", { exact: true }).first().waitFor();
  assert.deepEqual(tab.trouble, []);
  await tab.close();
});

test("a scenario is switched on, and its fault shows in the journal", async () => {
  const base = await sandbox();
  const tab = await open(base);
  const moderation = tab.getByRole("button", { name: "moderation", exact: true });
  await moderation.click();
  await tab.locator('#scenarios button[aria-pressed="true"]').getByText("moderation").waitFor();
  // Of any scenario's rules one is switched off and on; then one rule for every submit is put in their place.
  const rule = tab.locator("#rules input").first();
  await rule.uncheck();
  await tab.waitForFunction(async () => (await (await fetch("/_sandbox/faults")).json()).rules[0].on === false);
  await moderation.click();
  await tab.getByText("Nothing goes wrong.").waitFor();
  const fault = { on: "submit", effect: "unavailable", name: "closed-today" };
  await fetch(`${base}/_sandbox/faults`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(fault) });
  assert.equal((await submit(base)).status, 503);
  await tab.locator("#requests tr.faulted").getByText("closed-today").waitFor();
  await tab.getByLabel("only faults").check();
  await tab.waitForFunction(() => document.querySelectorAll("#requests tr:not(.faulted)").length === 0);
  assert.deepEqual(tab.trouble, []);
  await tab.close();
});

test("what came from outside is text", async () => {
  const base = await sandbox();
  const tab = await open(base);
  const prompt = "<img src=x onerror=\"window.harm=1\"><script>window.harm=1</script>";
  await submit(base, { prompt });
  await fetch(`${base}/${encodeURIComponent("<img src=x onerror=window.harm=1>")}`);
  await tab.locator(".prompt").getByText(prompt).waitFor();
  await tab.locator("#requests").getByText("onerror").waitFor();
  assert.equal(await tab.evaluate(() => window.harm), undefined);
  assert.equal(await tab.locator(".prompt img, #requests img").count(), 0);
  assert.deepEqual(tab.trouble, []);
  await tab.close();
});

test("a stepped clock is stepped, and everything can be reached by keyboard", async () => {
  const base = await sandbox("--stepped", "--run-time", "60s");
  const tab = await open(base);
  await submit(base);
  await tab.locator(".state.processing, .state.queued").first().waitFor();
  await tab.keyboard.press("Tab");
  assert.equal(await tab.evaluate(() => document.activeElement.textContent), "Skip to the tasks");
  await tab.keyboard.press("Tab");
  assert.equal(await tab.evaluate(() => document.activeElement.id), "seconds");
  await tab.keyboard.press("ControlOrMeta+a");
  await tab.keyboard.type("90");
  await tab.keyboard.press("Tab");
  const outline = await tab.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.notEqual(outline, "none", "the focus is seen");
  await tab.keyboard.press("Enter");
  await tab.locator(".state.succeeded").waitFor();
  await tab.getByText("2026-01-01 00:01:30 UTC").waitFor();
  await tab.locator("h1").click();
  await tab.keyboard.press("/");
  assert.equal(await tab.evaluate(() => document.activeElement.id), "find");
  await tab.keyboard.type("advance");
  await tab.waitForFunction(() => document.querySelectorAll("#requests tr").length === 1);
  await tab.keyboard.press("Escape");
  await tab.waitForFunction(() => document.querySelectorAll("#requests tr").length > 1);
  const nameless = await tab.evaluate(() => [...document.querySelectorAll("button, input, select, video, progress, img")]
    .filter((one) => !(one.textContent.trim() || one.labels?.length || one.getAttribute("aria-label") || one.alt)).length);
  assert.equal(nameless, 0, "everything has a name");
  assert.deepEqual(tab.trouble, []);
  await tab.close();
});

test("the lines to copy work as they are", async () => {
  const base = await sandbox();
  const tab = await open(base);
  const run = (line) => new Promise((resolve, reject) => {
    const child = spawn("sh", ["-c", line], { cwd: profile });
    let said = "";
    child.stdout.on("data", (part) => { said += part; });
    child.on("close", (code) => code === 0 ? resolve(said) : reject(new Error(`${code}: ${line}`)));
  });
  const line = (name) => tab.locator("#lines li", { hasText: name }).locator("pre").textContent();
  const { task_id } = JSON.parse(await run(await line("Submit")));
  await tab.locator(".state.succeeded").waitFor({ timeout: 120_000 });
  await tab.locator("#lines h3").getByText("Download").waitFor();
  assert.equal(JSON.parse(await run(await line("Ask for the result"))).task.task_id, task_id);
  await run(await line("Download"));
  assert.equal(await run("head -c 8 clip.mp4 | tail -c 4"), "ftyp");
  assert.equal(JSON.parse(await run(await line("Hold the ledger"))).held.length, 2);
  assert.equal(JSON.parse(await run(await line("Lose answers"))).script.name, "lost-answers");
  assert.deepEqual(tab.trouble, []);
  await tab.close();
});

test("a narrow page scrolls in one direction, in dark and in light", async () => {
  const base = await sandbox();
  await submit(base, { prompt: "a_prompt_without_any_space_".repeat(30) });
  const grounds = [];
  for (const colorScheme of ["light", "dark"]) {
    const tab = await open(base, { colorScheme, width: 360, height: 740 });
    await tab.locator(".card .prompt").waitFor();
    await tab.locator("#requests tr").first().waitFor();
    assert.equal(await tab.evaluate(() => document.documentElement.scrollWidth), 360);
    grounds.push(await tab.evaluate(() => getComputedStyle(document.documentElement).backgroundColor));
    assert.deepEqual(tab.trouble, []);
    await tab.close();
  }
  assert.notEqual(grounds[0], grounds[1]);
});

test("the picture in the documentation", { skip: !process.env.SHOTS }, async () => {
  const base = await sandbox("--seed", "7");
  const tab = await open(base, { width: 1200, height: 1000 });
  await tab.getByRole("button", { name: "Submit a sample" }).click();
  await tab.locator(".state.succeeded").waitFor({ timeout: 120_000 });
  await tab.getByRole("button", { name: "lost-answers", exact: true }).click();
  const frame = async (name) => {
    const bytes = await readFile(new URL(`../../examples/frames/${name}.jpg`, import.meta.url));
    return `data:image/jpeg;base64,${bytes.toString("base64")}`;
  };
  const photographs = { image: await frame("first"), last_image: await frame("last"), prompt: "dusk falls over the meadow", seed: 1 };
  await submit(base, photographs);
  // Accepted, and the answer is lost; who sends it again pays twice.
  await assert.rejects(submit(base, photographs));
  await tab.locator("#requests tr.faulted").first().waitFor();
  await tab.locator("video").nth(2).waitFor({ timeout: 120_000 });
  await tab.locator("video").first().evaluate((video) => video.play());
  await tab.waitForFunction(() => document.querySelector("video").currentTime > 1.5);
  await tab.locator("video").first().evaluate((video) => video.pause());
  await tab.screenshot({ path: `${DOCS}sandbox-page.png` });
  for (const [name, colorScheme, width] of [["dark", "dark", 1200], ["phone", "light", 360], ["phone-dark", "dark", 360]]) {
    await tab.emulateMedia({ colorScheme });
    await tab.setViewportSize({ width, height: width === 360 ? 740 : 1000 });
    await tab.screenshot({ path: `${process.env.SHOTS}-${name}.png`, fullPage: width === 360 });
  }
  await tab.close();
});
