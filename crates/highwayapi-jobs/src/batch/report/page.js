"use strict";
const at = (id) => document.getElementById(id);
const lines = at("data").textContent.split("\n").filter(Boolean);
const batch = JSON.parse(lines[0]);
const items = lines.slice(1).map((line) => JSON.parse(line));
at("data").remove();

const TONES = {
  downloaded: "good", succeeded: "good", failed: "bad", refused: "bad", unknown: "open",
  planned: "quiet", intent: "quiet", submitted: "quiet", dropped: "quiet",
};
const WORDS = {
  planned: "not sent yet", intent: "being sent", submitted: "the service is at it", succeeded: "made, and not fetched yet",
  failed: "no video", refused: "refused", unknown: "nobody knows whether it was accepted", dropped: "given up",
};
const tone = (item) => TONES[item.state] ?? "quiet";
const amount = (money) => (batch.currency ? `${money} ${batch.currency}` : money);
const count = (number, one, many = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
const time = (text) => text.slice(0, 16).replace("T", " ");

// Text alone is ever put into the page: what a prompt says stays words.
function element(name, text, more = {}) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  return Object.assign(made, more);
}

// A file beside the page or one that is in it. A URL elsewhere is named and never asked for.
function source(file) {
  return file?.media === undefined ? file?.url : at(`media-${file.media}`).textContent;
}

// ---- The head

const states = {};
for (const item of items) states[item.state] = (states[item.state] ?? 0) + 1;
const made = states.downloaded ?? 0;
// Of a manifest, that is a path, the last part will do.
const name = batch.name.split("/").filter(Boolean).at(-1) ?? batch.name;
Object.assign(at("name"), { textContent: name, title: batch.name });
document.title = `${name}: ${made} of ${items.length}`;
at("summary").textContent = [
  `${made.toLocaleString("en")} of ${count(items.length, "item")} made`,
  batch.clips_sent > 0 && `${count(batch.clips_sent, "video")} sent`,
  batch.unpriced_clips < batch.clips_sent && `${amount(batch.spent)} spent`,
  batch.unpriced_clips > 0 && `the price of ${batch.unpriced_clips.toLocaleString("en")} is unknown`,
  batch.cancelled && "cancelled",
].filter(Boolean).join(" · ");
at("foot").textContent = `Batch ${batch.batch} (${batch.name}) at ${batch.service}, as of ${time(batch.made_at)} UTC.`;

let only = null;
function filter(state, label, number) {
  const button = element("button", label, { type: "button" });
  button.append(element("b", number.toLocaleString("en")));
  button.setAttribute("aria-pressed", String(state === only));
  button.onclick = () => {
    only = state;
    for (const other of at("states").children) other.setAttribute("aria-pressed", String(other === button));
    show();
  };
  at("states").append(button);
}
filter(null, "all", items.length);
for (const state of Object.keys(TONES)) if (states[state]) filter(state, state, states[state]);

// ---- The cards

// What is far from the screen plays nothing, and gives its memory back.
const screens = new IntersectionObserver((seen) => {
  for (const { target, isIntersecting } of seen) isIntersecting ? light(target) : darken(target);
}, { rootMargin: "120px" });
let playing = !matchMedia("(prefers-reduced-motion: reduce)").matches;

function light(screen) {
  for (const video of screen.querySelectorAll("video")) {
    if (!video.src) video.src = source(video.file);
    if (playing) video.play().catch(() => {});
  }
}

function darken(screen) {
  for (const video of screen.querySelectorAll("video")) {
    video.pause();
    video.removeAttribute("src");
    video.load();
  }
}

function frame(file, name) {
  const link = element("a");
  const address = source(file);
  if (file?.media === undefined && address) Object.assign(link, { href: address, target: "_blank" });
  if (address) {
    const image = element("img", undefined, { loading: "lazy", decoding: "async", alt: `${name} frame`, src: address });
    image.onerror = () => image.replaceWith(element("i", `${file.text} is not there`));
    link.append(image);
  } else {
    link.append(element("i", file ? file.text : "not known"));
  }
  link.append(element("small", name));
  return link;
}

function facts(item) {
  return [
    item.seed !== null && `seed ${item.seed}`,
    item.cost !== null ? amount(item.cost) : item.charged !== "no" && "price unknown",
    item.seconds !== null && `made in ${item.seconds.toFixed(1)} s`,
    item.options.resolution,
    item.options.aspect_ratio,
    item.options.duration_seconds && `${item.options.duration_seconds} s long`,
    item.options.generate_audio && "with sound",
  ].filter(Boolean).map((fact) => element("span", fact));
}

function all(item) {
  const rows = [["number", item.number], ["charged", item.charged]];
  if (item.submitted_at) rows.push(["submitted", `${time(item.submitted_at)} UTC`]);
  rows.push(["job", item.job], ["task", item.task_id]);
  for (const [name, value] of Object.entries(item.options)) rows.push([name.replaceAll("_", " "), value]);
  const list = document.createDocumentFragment();
  for (const [name, value] of rows) {
    if (value !== null && value !== undefined) list.append(element("dt", name), element("dd", String(value)));
  }
  const files = [["image", item.image], ["last image", item.last_image], ...item.clips.map((clip) => ["clip", clip])];
  for (const [name, file] of files) {
    if (!file) continue;
    const cell = element("dd");
    cell.append(file.url ? element("a", file.text, { href: file.url, target: "_blank" }) : file.text);
    list.append(element("dt", name), cell);
  }
  return list;
}

function card(item) {
  const made = at("card").content.cloneNode(true).firstElementChild;
  const part = (name) => made.querySelector(name);
  made.dataset.tone = tone(item);
  const screen = part(".screen");
  if (item.clips.length > 0) {
    const room = element("div");
    for (const clip of item.clips) {
      const video = element("video", undefined, { muted: true, loop: true, playsInline: true, preload: "none", controls: true });
      video.file = clip;
      video.setAttribute("aria-label", `clip ${item.id}`);
      const poster = item.image?.url;
      if (poster) video.poster = poster;
      video.onerror = () => video.src && video.replaceWith(element("p", `${clip.text} is not there`));
      room.append(video);
    }
    screen.append(room);
    screens.observe(screen);
  } else {
    screen.append(element("p", item.at_work ? "at work this moment" : WORDS[item.state] ?? item.state));
  }
  part(".frames").append(frame(item.image, "first"), frame(item.last_image, "last"));
  part(".id").textContent = item.id;
  part(".state").textContent = item.state;
  part(".prompt").textContent = item.prompt;
  part(".reason").textContent = item.reason ?? "";
  part(".reason").hidden = !item.reason;
  part(".way").hidden = !item.command;
  part(".way code").textContent = item.command ?? "";
  part(".way button").onclick = (event) => copy(item.command, event.currentTarget);
  part(".facts").append(...facts(item));
  part("details").ontoggle = (event) => {
    if (event.currentTarget.open && part("dl").childElementCount === 0) part("dl").append(all(item));
  };
  return made;
}

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(button.previousElementSibling);
    button.textContent = "Selected";
  }
}

// ---- The sheet: as many cards as were scrolled to, however many clips there are

const AT_ONCE = 48;
let found = items;
let shown = 0;
for (const item of items) {
  const words = [item.id, item.prompt, item.reason, item.state, item.job, item.task_id, item.seed, item.options.negative_prompt];
  item.words = words.filter((word) => word !== null && word !== undefined).join("\n").toLowerCase();
}

function show() {
  const wanted = at("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  found = items.filter((item) => (only === null || item.state === only) && wanted.every((word) => item.words.includes(word)));
  screens.disconnect();
  at("sheet").replaceChildren();
  shown = 0;
  at("count").textContent =
    found.length === items.length ? "" : found.length === 0 ? "Nothing is found." : `${found.length.toLocaleString("en")} of ${count(items.length, "item")}`;
  more();
}

function more() {
  const cards = found.slice(shown, shown + AT_ONCE).map(card);
  shown += cards.length;
  at("sheet").append(...cards);
}

new IntersectionObserver((seen) => {
  if (seen.some(({ isIntersecting }) => isIntersecting) && shown < found.length) more();
}, { rootMargin: "1500px" }).observe(at("more"));

let typed;
at("search").oninput = () => {
  clearTimeout(typed);
  typed = setTimeout(show, 120);
};

function play(on) {
  playing = on;
  at("play").setAttribute("aria-pressed", String(on));
  at("play").textContent = on ? "Playing" : "Paused";
  for (const video of document.querySelectorAll("video")) {
    if (on && video.src) video.play().catch(() => {});
    else video.pause();
  }
}
at("play").onclick = () => play(!playing);

document.onkeydown = (event) => {
  const typing = event.target.matches("input");
  if (typing && event.key === "Escape") {
    event.target.value = "";
    show();
    event.target.blur();
  }
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const card = event.target.closest("article");
  if (event.key === "/") {
    event.preventDefault();
    at("search").focus();
  } else if (event.key === "p") {
    play(!playing);
  } else if (event.key === "j" || event.key === "k") {
    const next = !card ? at("sheet").firstElementChild : event.key === "j" ? card.nextElementSibling : card.previousElementSibling;
    next?.focus();
    next?.scrollIntoView({ block: "center" });
  } else if (event.key === "Enter" && card === event.target) {
    const details = card.querySelector("details");
    details.open = !details.open;
  }
};

play(playing);
show();
