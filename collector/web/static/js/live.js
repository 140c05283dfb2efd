// Ask again whenever the collector has committed something, and say when the line to it is lost.

import { el, show } from "./dom.js";

const place = document.getElementById("content");
const line = document.getElementById("line");

// Draw what `path` (a text, or a function that gives one) answers, now and after each commit; gives a function that does so at once.
export function live(path, draw) {
  const refresh = oneAtATime(() => once(typeof path === "function" ? path() : path, draw));
  const number = oneAtATime(counts);
  follow(() => { refresh(); number(); });
  return refresh;
}

// A browser allows six lines to one server, and keeps those of pages that it may go back to: only what is seen holds one.
function follow(committed) {
  let events = null;
  const close = () => { events?.close(); events = null; };
  const open = () => {
    if (events || document.hidden) return;
    events = new EventSource("/events");
    events.addEventListener("commit", committed);
    events.addEventListener("open", () => say("live", false));
    events.addEventListener("error", () => say("connection to the collector lost, trying again", true));
  };
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  committed();
  open();
}

function oneAtATime(work) {
  let busy = false, again = false;
  return async function run() {
    again = busy;
    if (busy) return;
    busy = true;
    try {
      await work();
    } finally {
      busy = false;
    }
    if (again) run();
  };
}

async function once(path, draw) {
  const [response, data] = await ask(path);
  if (!response) return;
  if (response.ok) draw(data, place);
  else show(place, problem(response.status === 404 ? "Nothing is stored under this name." : data.error));
}

async function ask(path) {
  try {
    const response = await fetch(path, { headers: { Accept: "application/json" } });
    return [response, await response.json()];
  } catch {
    say("connection to the collector lost, trying again", true);
    return [null, null];
  }
}

// The numbers beside the names of the pages
async function counts() {
  const [response, fleet] = await ask("/api/fleet");
  if (!response?.ok) return;
  count("open-alarms", fleet.alarms.filter((alarm) => alarm.state !== "cleared").length);
  count("open-findings", fleet.findings.filter((finding) => finding.rings && finding.resolved_s === null).length);
}

function count(id, open) {
  const node = document.getElementById(id);
  node.hidden = open === 0;
  if (node.textContent === String(open)) return;
  node.textContent = open;
  node.setAttribute("aria-label", `${open} open`);
}

function say(text, lost) {
  if (line.textContent !== text) line.textContent = text;
  line.classList.toggle("lost", lost);
}

function problem(text) {
  return el("section", { class: "card trouble" }, el("div", { class: "empty" }, el("h2", {}, "Not available"), el("p", {}, text)));
}
