// A meter's load over time with the mining estimate, and under it the verdict of each step as a coloured strip.

import uPlot from "../vendor/uPlot.esm.js";
import { kw, minute } from "./dom.js";

const STRIP = 12; // CSS pixels

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

// From this step on: how a tick is written, and what is added below where the year, day or minute changes. ISO order, UTC.
const DATES = [
  [365 * 86400, "{YYYY}", null, null, null, null, null, null, 1],
  [28 * 86400, "{YYYY}-{MM}", null, null, null, null, null, null, 1],
  [86400, "{MM}-{DD}", "\n{YYYY}", null, null, null, null, null, 1],
  [60, "{HH}:{mm}", "\n{YYYY}-{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1],
];

const kilo = (values) => values.map((value) => (value === null ? null : value / 1000));

export function drawChart(place, series, height = 340) {
  const ink = colour("soft"), rule = colour("rule");
  const label = (_plot, value) => (value === null ? "–" : `${kw(value * 1000)} kW`);
  const line = (name, stroke, width, text) => ({ label: text, stroke: colour(stroke), width, points: { show: false }, value: label, spanGaps: false });
  const edge = (text) => ({ label: text, stroke: "transparent", width: 0, points: { show: false }, value: label });
  const axis = { stroke: ink, grid: { stroke: rule, width: 1 }, ticks: { stroke: rule, width: 1 }, font: "12px system-ui, sans-serif" };
  const plot = new uPlot(
    {
      width: place.clientWidth - 20,
      height,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      scales: { y: { range: room } },
      axes: [{ ...axis, values: DATES, space: 70 }, { ...axis, size: 64, label: "kW", labelSize: 16, labelFont: "12px system-ui, sans-serif", values: (_p, ticks) => ticks.map((tick) => tick.toLocaleString("en")) }],
      series: [
        { label: "UTC", value: (_plot, seconds) => (seconds === null ? "–" : minute(seconds)) },
        edge("high"), edge("low"), line("load", "load", 1.5, "load"),
        edge("mining p90"), edge("p10"), line("mining", "mine", 1.8, "p50"),
      ],
      bands: [{ series: [1, 2], fill: colour("band") }, { series: [4, 5], fill: colour("mineband") }],
      cursor: { drag: { x: true, y: false } },
      hooks: { draw: [(drawn) => strip(drawn, series)] },
    },
    [
      series.start_s, kilo(series.active_power_max_w), kilo(series.active_power_min_w), kilo(series.active_power_w),
      kilo(series.mining_p90_w), kilo(series.mining_p10_w), kilo(series.mining_p50_w),
    ],
    place,
  );
  return plot;
}

// Zero is always in view, with room for the strip below the lowest value.
function room(plot, low, high) {
  const bottom = Math.min(0, low ?? 0), top = Math.max(0, high ?? 1) || 1;
  const inner = Math.max(60, plot.bbox.height / devicePixelRatio || 280);
  const span = (top - bottom) * 1.06;
  return [bottom - (span * (STRIP + 8)) / inner, bottom + span];
}

function strip(plot, series) {
  const { ctx, bbox } = plot, high = STRIP * devicePixelRatio;
  const y = bbox.top + bbox.height - high;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, y, bbox.width, high);
  ctx.clip();
  for (const [from, to, verdict] of runs(series)) {
    const left = plot.valToPos(from, "x", true), right = plot.valToPos(to, "x", true);
    ctx.fillStyle = colour(verdict);
    ctx.fillRect(left, y, Math.max(right - left, devicePixelRatio), high);
  }
  ctx.restore();
}

// Give [from, to, verdict] of each time without a change.
export function runs(series) {
  const found = [];
  series.verdict.forEach((verdict, place) => {
    const start = series.start_s[place], last = found[found.length - 1];
    if (verdict === null) return;
    if (last && last[2] === verdict && last[1] === start) last[1] = start + series.step_s;
    else found.push([start, start + series.step_s, verdict]);
  });
  return found;
}
