// Ask again whenever the collector has committed something, and say when the line to it is lost.

import { el, show } from "./dom.js";

const place = document.getElementById("content");
const line = document.getElementById("line");

export function live(path, draw) {
  let busy = false, again = false;

  async function refresh() {
    if (busy) { again = true; return; }
    busy = true;
    do {
      again = false;
      await once(typeof path === "function" ? path() : path, draw);
    } while (again);
    busy = false;
  }

  const events = new EventSource("/events");
  events.addEventListener("commit", refresh);
  events.addEventListener("open", () => say("live", false));
  events.addEventListener("error", () => say("connection to the collector lost, trying again", true));
  document.addEventListener("visibilitychange", () => document.hidden || refresh());
  refresh();
  counts();
  events.addEventListener("commit", counts);
  return refresh;
}

async function once(path, draw) {
  try {
    const response = await fetch(path, { headers: { Accept: "application/json" } });
    const data = await response.json();
    if (response.ok) draw(data, place);
    else show(place, problem(response.status === 404 ? "Nothing is stored under this name." : data.error));
  } catch {
    say("connection to the collector lost, trying again", true);
  }
}

let counting = false;

// The numbers beside the names of the pages
async function counts() {
  if (counting || document.hidden) return;
  counting = true;
  try {
    const fleet = await (await fetch("/api/fleet")).json();
    number("open-alarms", fleet.alarms.filter((alarm) => alarm.state !== "cleared").length, "open");
    number("open-findings", fleet.findings.filter((finding) => finding.resolved_s === null).length, "open");
  } catch { /* the line says so already */ }
  counting = false;
}

function number(id, count, word) {
  const node = document.getElementById(id);
  node.hidden = count === 0;
  if (node.textContent === String(count)) return;
  node.textContent = count;
  node.setAttribute("aria-label", `${count} ${word}`);
}

function say(text, lost) {
  if (line.textContent !== text) line.textContent = text;
  line.classList.toggle("lost", lost);
}

function problem(text) {
  return el("section", { class: "card trouble" }, el("div", { class: "empty" }, el("h2", {}, "Not available"), el("p", {}, text)));
}
