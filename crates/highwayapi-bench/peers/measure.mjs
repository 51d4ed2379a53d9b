// What every Node peer's program shares: it runs one scenario and prints one line of JSON. A program hands over how its
// library submits, polls and downloads in the documented way. What it does before that, its imports and its client, is
// not measured: memory counts from there, CPU only during the call.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const TINY = fileURLToPath(new URL("./tiny.png", import.meta.url));

// The stub's folder for this peer: answers.json says what is there.
export const url = (peer) => `${process.env.BENCH_URL}/${peer}`;

export const dataUri = (frame) => `data:image/png;base64,${readFileSync(frame).toString("base64")}`;

// The installed version of a package.
export function versionOf(name) {
  const file = new URL(`./node_modules/${name}/package.json`, import.meta.url);
  return `${name} ${JSON.parse(readFileSync(file)).version}`;
}

// Runs the scenario of the command line. submit(first, last) gives what poll() takes, download(file) leaves the video
// in that file.
export async function bench(version, { submit, poll, download }) {
  const [scenario, ...args] = process.argv.slice(2);
  const call = {
    submit: submit && ((count, first, last) => Promise.all(Array.from({ length: count }, () => submit(first, last)))),
    poll: poll && (async (count) => { for (let i = 0; i < count; i++) await poll(task); }),
    download,
    start: submit && ((first = TINY, last = TINY) => submit(first, last)),
  }[scenario];
  if (!call) {
    console.log(JSON.stringify({ unsupported: `${version} has no ${scenario} of its own` }));
    return;
  }
  let task;
  if (scenario === "poll") {
    task = await submit(TINY, TINY);
    await poll(task); // so that the connection is there
  }
  if (scenario === "submit") args[0] = Number(args[0]);
  writeFileSync("/proc/self/clear_refs", "5");
  const [idle, cpu, wall] = [peakKib(), cpuS(), performance.now()];
  await call(...args);
  const line = { version, idle_kib: idle, peak_kib: peakKib(), cpu_s: cpuS() - cpu, wall_s: (performance.now() - wall) / 1e3 };
  console.log(JSON.stringify(line));
}

// The most memory since the mark was last reset.
const peakKib = () => Number(readFileSync("/proc/self/status", "utf8").match(/VmHWM:\s+(\d+)/)[1]);

// All threads' time, the system's share included.
function cpuS() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
