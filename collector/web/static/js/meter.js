// One meter: its load, the estimate, the verdicts, and why.

import { drawChart, runs } from "./chart.js";
import { badge, clock, day, el, energy, interval, kw, percent, quality, show, table, time } from "./dom.js";
import { live } from "./live.js";
import { reasons } from "./reasons.js";

const RANGES = { "1 day": 86400, "7 days": 7 * 86400, "30 days": 30 * 86400, all: null };
const [gateway, meter] = location.pathname.split("/").slice(2);
const VERDICTS = ["normal", "declared", "flat", "inconclusive", "fault", "suspect", "mining"];

let range = "30 days", known = null, plot = null, card = null;

const refresh = live(path, draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw());
addEventListener("resize", () => plot?.setSize({ width: card.clientWidth - 20, height: plot.height }));

function path() {
  const from = RANGES[range] !== null && known ? `?from_s=${known.last_s - RANGES[range]}` : "";
  return `/api/meter/${gateway}/${meter}${from}`;
}

function draw(series, place) {
  const first = known === null;
  known = series;
  document.title = `${series.state.name} · flatwatt`;
  document.querySelector("h1").textContent = series.state.name;
  if (first) {
    card = el("div", { class: "chart", role: "img", "aria-label": "Load and mining estimate over time; the table of verdicts below says the same in words" });
    place.replaceChildren(el("div", { id: "facts" }), frame(), el("div", { id: "words" }));
    if (RANGES[range] !== null && series.last_s - series.first_s > RANGES[range]) { refresh(); return; }
  }
  show(document.getElementById("facts"), crumbs(series), facts(series));
  redraw();
  show(document.getElementById("words"), why(series), verdicts(series));
}

function redraw() {
  if (!known) return;
  if (plot && plot.cursor.left >= 0 && plot.data[0].length === known.start_s.length && plot.data[0][0] === known.start_s[0]) return;
  plot?.destroy();
  plot = drawChart(card, known);
}

function crumbs(series) {
  return el("p", { class: "crumbs" }, el("a", { href: "/" }, "Fleet"), " › ", series.site || series.gateway, " › ", el("code", {}, series.meter));
}

function facts(series) {
  const state = series.state, hot = state.mining_w[1] > 0;
  return el("dl", { class: "tiles" },
    fact("Verdict", badge(state.verdict), state.since_s === null ? `score ${state.score.toFixed(2)}` : ["since ", time(state.since_s, day), `, score ${state.score.toFixed(2)}`]),
    fact("Load", `${kw(state.active_power_w)} kW`, `${energy(state.load_kwh)} in all`),
    fact("Mining", `${kw(state.mining_w[1])} kW`, hot ? `${interval(state.mining_w)} kW` : "none seen", hot),
    fact("Share", percent(state.mining_share), `${energy(state.mining_kwh)} in all`),
    fact("Data", quality(state.quality), ["to ", time(series.last_s), clock(state.clock)]));
}

function fact(name, value, note, hot = false) {
  return el("div", { class: hot ? "hot" : null }, el("dt", {}, name), el("dd", {}, value), el("dd", {}, note));
}

function frame() {
  const buttons = Object.keys(RANGES).map((name) => {
    const button = el("button", { type: "button", "aria-pressed": `${name === range}` }, name);
    button.addEventListener("click", () => {
      range = name;
      for (const other of buttons) other.setAttribute("aria-pressed", `${other === button}`);
      refresh();
    });
    return button;
  });
  const keys = [["load", "load, mean"], ["range", "lowest to highest"], ["mine", "mining, median"], ["mineband", "mining, 80 % range"]];
  return el("section", { class: "card", "aria-label": "Load" },
    el("div", { class: "tools" },
      el("fieldset", {}, el("legend", { class: "skip" }, "Time shown"), buttons),
      el("ul", { class: "legend" }, keys.map(([name, text]) => el("li", { class: `key ${name}` }, text)))),
    card,
    el("ul", { class: "legend verdicts", "aria-label": "Colours of the strip" }, VERDICTS.map((name) => el("li", {}, badge(name)))));
}

function why(series) {
  const alarm = series.alarm;
  if (!alarm) return el("section", { class: "card", "aria-labelledby": "why" }, el("header", {}, el("h2", { id: "why" }, "Why")), el("div", { class: "pad quiet" }, "No alarm was raised for this meter."));
  return el("section", { class: "card", "aria-labelledby": "why" },
    el("header", {}, el("h2", { id: "why" }, "Why"), badge(alarm.state), el("p", {}, "alarm raised ", time(alarm.raised_s), ", last message ", time(alarm.time_s))),
    el("div", { class: "pad" }, reasons(alarm.reasons)));
}

function verdicts(series) {
  const rows = runs(series).slice(-20).reverse().map(([from, to, verdict]) =>
    el("tr", {}, el("td", {}, badge(verdict)), el("td", { class: "time" }, time(from)), el("td", { class: "time" }, time(to)), el("td", { class: "number" }, `${((to - from) / 86400).toFixed(1)}`)));
  return el("section", { class: "card", "aria-labelledby": "verdicts" }, el("header", {}, el("h2", { id: "verdicts" }, "Verdicts in the time shown")),
    table(null, [["Verdict"], ["From"], ["To"], ["Days", "number"]], rows));
}
