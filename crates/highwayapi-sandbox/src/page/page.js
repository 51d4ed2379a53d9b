// The sandbox's page: asks the admin API once a second and shows what has changed. Whatever came from outside is text.

const SUBMIT = "/v3/async/veo-3.1-fast-generate-firstlastframe";
const EVERY_MS = 1000;
const TASKS = 50;
const LINES = 100;
const STATES = {
  TASK_STATUS_QUEUED: "queued", TASK_STATUS_PROCESSING: "processing",
  TASK_STATUS_SUCCEED: "succeeded", TASK_STATUS_FAILED: "failed",
};
// Two flat pictures of one pixel, so that a copied line works as it is.
const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGM4EaABAAMkAUEdGZ/EAAAAAElFTkSuQmCC";
const OTHER_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGMQMaoAAAEcAL9xBcM7AAAAAElFTkSuQmCC";

const at = (id) => document.getElementById(id);
const from = (id) => at(id).content.firstElementChild.cloneNode(true);
const data = (png) => `data:image/png;base64,${png}`;
const seconds = (ms) => `${(ms / 1000).toFixed(ms < 100000 ? 1 : 0)} s`;

let key = null;
let before = null;
let next = null;
let newestTask = null;
let newestClip = null;

async function ask(path, options = {}) {
  const answer = await fetch(path, options);
  if (!answer.ok) {
    const error = await answer.json().catch(() => ({}));
    throw new Error(error.message ?? `${path} answered ${answer.status}`);
  }
  return answer;
}

const read = async (path) => (await ask(path)).json();

function send(method, path, body) {
  const json = body === undefined ? {} : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  return ask(path, { method, ...json });
}

// Sets a text only where it differs: what is selected stays selected.
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Runs `show` only when what it is shown has changed.
const shown = new Map();
function once(name, value, show) {
  const text = JSON.stringify(value);
  if (shown.get(name) === text) return;
  shown.set(name, text);
  show(value);
}

function showSandbox(sandbox) {
  key = sandbox.key;
  say(at("address"), location.origin);
  say(at("about"), `· ${key ? `key ${key}` : "key not shown"} · seed ${sandbox.seed} · ${sandbox.accepted} submits`);
  at("sample").hidden = !key;
  const { mode, speed, date } = sandbox.clock;
  say(at("now"), date.replace("T", " ").replace(/\..*/, "") + " UTC");
  say(at("mode"), mode === "scaled" ? `${speed} times as quick` : mode === "stepped" ? "stepped by hand" : "");
  at("step").hidden = mode !== "stepped";
}

const cards = new Map();
function showTasks({ tasks, next: following }) {
  next = following;
  at("none").hidden = tasks.length > 0;
  at("older").hidden = next === null;
  at("newest").hidden = before === null;
  const kept = new Set(tasks.map((task) => task.task_id));
  for (const [id, card] of cards) {
    if (!kept.has(id)) {
      card.remove();
      cards.delete(id);
    }
  }
  tasks.forEach((task, index) => {
    const known = cards.get(task.task_id);
    const card = known ?? newCard(task);
    cards.set(task.task_id, card);
    showTask(card, task);
    // A card that is moved stops its clip: only what is not in its place is moved.
    if (at("cards").children[index] !== card) at("cards").insertBefore(card, at("cards").children[index] ?? null);
  });
  if (before === null && tasks.length > 0) newestTask = tasks[0].task_id;
  newestClip = tasks.find((task) => task.links.length > 0)?.links[0] ?? newestClip;
}

function newCard(task) {
  const card = from("card");
  const [first, last] = card.querySelectorAll("img");
  const path = `/_sandbox/tasks/${encodeURIComponent(task.task_id)}`;
  first.src = `${path}/image`;
  last.src = `${path}/last_image`;
  say(card.querySelector(".prompt"), task.prompt || "(no prompt)");
  const sound = task.audio ? ", sound" : "";
  const clips = task.samples > 1 ? `${task.samples} clips of ` : "";
  say(card.querySelector(".facts"), `${clips}${task.width}×${task.height}, ${task.seconds} s${sound}, seed ${task.seed}`);
  say(card.querySelector(".id"), task.task_id);
  return card;
}

function showTask(card, task) {
  const name = STATES[task.status];
  const state = card.querySelector(".state");
  say(state, task.number > 0 ? `${name} · no. ${task.number}` : name);
  state.className = `state ${name}`;
  const progress = card.querySelector("progress");
  progress.value = task.progress_percent;
  progress.hidden = name !== "processing";
  const reason = card.querySelector(".reason");
  say(reason, task.reason ?? "");
  reason.hidden = !task.reason;
  const clips = card.querySelector(".clips");
  if (clips.children.length !== task.links.length) {
    clips.replaceChildren(...task.links.map((link, sample) => newVideo(card, task, link, sample)));
  }
}

// On this page's own origin, whatever address links are made for.
const local = (link) => link.slice(link.indexOf("/files/"));

function newVideo(card, task, link, sample) {
  const video = document.createElement("video");
  Object.assign(video, { controls: true, preload: "none", playsInline: true, loop: true, src: local(link) });
  video.poster = card.querySelector("img").src;
  video.setAttribute("aria-label", `Clip ${sample + 1} of task ${task.number}`);
  // The link may have expired meanwhile: once, a fresh one is asked for.
  video.addEventListener("error", async () => {
    const fresh = await read(`/_sandbox/tasks/${encodeURIComponent(task.task_id)}`);
    if (fresh.links[sample]) video.src = local(fresh.links[sample]);
  }, { once: true });
  return video;
}

function row(cells, className = "") {
  const row = document.createElement("tr");
  row.className = className;
  row.append(...cells.map((text) => {
    const cell = document.createElement("td");
    cell.textContent = text;
    return cell;
  }));
  return row;
}

function showLedger(ledger) {
  const figures = (of) => [of.submits, of.clips, of.seconds, of.repeated];
  const rows = ledger.keys.map((account) => row([account.key, ...figures(account)]));
  at("accounts").replaceChildren(...(rows.length === 1 ? rows : [...rows, row(["all", ...figures(ledger)])]));
  const warnings = [];
  if (ledger.repeated > 0) warnings.push(`${ledger.repeated} submits repeat a request that was billed before.`);
  if (ledger.leaked > 0) warnings.push(`${ledger.leaked} requests for a clip gave a key away.`);
  say(at("warnings"), warnings.join(" "));
  at("warnings").hidden = warnings.length === 0;
}

function showFaults({ script, rules }) {
  say(at("script"), rules.length === 0 && !script.limits ? "Nothing goes wrong." : script.name || "A script of your own");
  at("rules").replaceChildren(...rules.map((rule) => {
    const item = from("rule");
    const box = item.querySelector("input");
    box.checked = rule.on;
    box.addEventListener("change", () => act(() => send("PATCH", `/_sandbox/faults/${encodeURIComponent(rule.name)}`, { on: box.checked })));
    const [name, hits] = item.querySelectorAll("span");
    name.textContent = rule.name;
    hits.textContent = `${rule.hits} of ${rule.fits} requests`;
    return item;
  }));
  for (const button of at("scenarios").querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button.textContent === script.name));
  }
}

function showScenarios({ scenarios }) {
  at("scenarios").replaceChildren(...scenarios.map((scenario) => {
    const item = from("scenario");
    const button = item.querySelector("button");
    button.textContent = scenario.name;
    button.addEventListener("click", () => act(() => button.getAttribute("aria-pressed") === "true"
      ? send("PUT", "/_sandbox/faults", {})
      : send("POST", `/_sandbox/scenarios/${encodeURIComponent(scenario.name)}`)));
    item.querySelector("p").textContent = scenario.description;
    return item;
  }));
}

function showJournal({ lines, find }) {
  const words = find.toLowerCase().split(/\s+/);
  const fits = (line) => words.every((word) => Object.values(line).join(" ").toLowerCase().includes(word));
  at("requests").replaceChildren(...lines.filter(fits).reverse().map((line) => row(
    [line.number, seconds(line.at_ms), `${line.method} ${line.path}`, line.status ?? "gone", line.bytes ?? "", `${line.took_ms} ms`, line.fault ?? ""],
    line.fault ? "faulted" : "",
  )));
}

function showLines() {
  const auth = `-H "Authorization: Bearer ${key ?? "$HIGHWAY_API_KEY"}"`;
  const json = "-H 'Content-Type: application/json'";
  const body = { image: data(PNG), last_image: data(OTHER_PNG), prompt: "dusk falls", duration_seconds: 4 };
  const lines = {
    "Submit": `curl -s ${location.origin}${SUBMIT} ${auth} ${json} -d '${JSON.stringify(body)}'`,
    "Ask for the result": `curl -s "${location.origin}/v3/async/task-result?task_id=${newestTask ?? "TASK_ID"}" ${auth}`,
    "Download": newestClip ? `curl -s -o clip.mp4 "${newestClip}"` : null,
    "Lose answers": `curl -s -X POST ${location.origin}/_sandbox/scenarios/lost-answers`,
    "Hold the ledger against a test": `curl -s ${location.origin}/_sandbox/ledger/assert ${json} -d '{"no_request_billed_twice":true,"no_key_leaked":true}'`,
  };
  at("lines").replaceChildren(...Object.entries(lines).filter(([, line]) => line).map(([name, line]) => {
    const item = from("line");
    item.querySelector("h3").textContent = name;
    item.querySelector("pre").textContent = line;
    const button = item.querySelector("button");
    button.setAttribute("aria-label", `Copy: ${name}`);
    button.addEventListener("click", () => copy(item.querySelector("pre")));
    return item;
  }));
}

async function copy(element) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    say(at("said"), "Copied.");
  } catch {
    // Not allowed here: it is selected, for the user to copy.
    getSelection().selectAllChildren(element);
    say(at("said"), "Selected: copy it with your keyboard.");
  }
}

// Two pictures of this page's own: a sun that sinks.
function picture(height, sky) {
  const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 360 });
  const pen = canvas.getContext("2d");
  const light = pen.createLinearGradient(0, 0, 0, 360);
  light.addColorStop(0, sky[0]);
  light.addColorStop(1, sky[1]);
  pen.fillStyle = light;
  pen.fillRect(0, 0, 640, 360);
  pen.fillStyle = "#ffd27a";
  pen.beginPath();
  pen.arc(420, height, 46, 0, 7);
  pen.fill();
  pen.fillStyle = sky[2];
  pen.fillRect(0, 270, 640, 90);
  return canvas.toDataURL("image/png");
}

function submitSample() {
  const body = {
    image: picture(90, ["#79b8f2", "#dceefb", "#4d7c4a"]), last_image: picture(262, ["#2b2350", "#f08a5d", "#22331f"]),
    prompt: "the sun sinks over the meadow", duration_seconds: 4,
  };
  const headers = { "content-type": "application/json", authorization: `Bearer ${key}` };
  return ask(SUBMIT, { method: "POST", headers, body: JSON.stringify(body) });
}

function trouble(error) {
  say(at("trouble"), error ? `${error.message}` : "");
  at("trouble").hidden = !error;
}

// Does something, says what went wrong, and shows what has come of it.
async function act(work) {
  try {
    await work();
    await refresh();
  } catch (error) {
    trouble(error);
  }
}

async function refresh() {
  const state = at("state").value;
  const page = `limit=${TASKS}${before === null ? "" : `&before=${before}`}${state && `&status=${state}`}`;
  const journal = `/_sandbox/journal?newest=true&limit=${LINES}&faulted=${at("faulted").checked}`;
  const [sandbox, tasks, ledger, faults, text] = await Promise.all([
    read("/_sandbox"), read(`/_sandbox/tasks?${page}`), read("/_sandbox/ledger"), read("/_sandbox/faults"),
    ask(journal).then((answer) => answer.text()),
  ]);
  showSandbox(sandbox);
  showTasks(tasks);
  once("ledger", ledger, showLedger);
  once("faults", faults, showFaults);
  const lines = text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
  once("journal", { lines, find: at("find").value }, showJournal);
  once("lines", [key, newestTask, newestClip?.split("?")[0]], showLines);
}

async function live() {
  if (!document.hidden) {
    await refresh().then(() => trouble(null), () => trouble(new Error("The sandbox does not answer.")));
  }
  setTimeout(live, EVERY_MS);
}

at("clock").addEventListener("submit", (event) => {
  event.preventDefault();
  act(() => send("POST", "/_sandbox/clock/advance", { by_ms: Math.round(at("seconds").valueAsNumber * 1000) }));
});
at("reset").addEventListener("click", () => {
  if (confirm("Forget all tasks, the ledger and the journal?")) act(() => send("POST", "/_sandbox/reset"));
});
at("calm").addEventListener("click", () => act(() => send("PUT", "/_sandbox/faults", {})));
at("sample").addEventListener("click", () => act(submitSample));
for (const id of ["state", "newest"]) {
  at(id).addEventListener(id === "state" ? "change" : "click", () => act(() => { before = null; }));
}
at("older").addEventListener("click", () => act(() => { before = next; }));
for (const id of ["find", "faulted"]) at(id).addEventListener("input", () => act(() => {}));
document.addEventListener("keydown", (event) => {
  const typing = event.target.matches?.("input, select, textarea");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    at("find").focus();
  } else if (event.key === "Escape" && event.target === at("find")) {
    at("find").value = "";
    act(() => {});
  }
});
document.addEventListener("visibilitychange", () => { if (!document.hidden) act(() => {}); });

act(async () => once("scenarios", await read("/_sandbox/scenarios"), showScenarios));
live();
