// Building the page. Text only ever becomes a text node: what a gateway calls its meters is data, never markup.

const SVG = "http://www.w3.org/2000/svg";

export function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) if (value !== null && value !== undefined) node.setAttribute(key, value);
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

// Put new content in place; who had a link or button in focus keeps it.
export function show(place, ...content) {
  const focused = place.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  place.replaceChildren(...content.flat());
  if (focused) [...place.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused)?.focus({ preventScroll: true });
}

export function table(caption, heads, rows, kind = null) {
  const head = el("tr", {}, heads.map(([text, kind]) => el("th", { scope: "col", class: kind }, text)));
  return el("div", { class: "scroll" }, el("table", { class: kind }, caption ? el("caption", {}, caption) : null, el("thead", {}, head), el("tbody", {}, rows)));
}

export function badge(word) {
  return el("span", { class: `badge ${/^[a-z]+$/.test(word) ? word : "unknown"}` }, word);
}

export function meterPath(gateway, meter) {
  return `/meter/${encodeURIComponent(gateway)}/${encodeURIComponent(meter)}`;
}

export function share(part) {
  const bar = svg("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" }, svg("rect", { width: 100 * part, height: 10 }));
  return el("span", { class: "share" }, percent(part), bar);
}

export function sparkline(values) {
  const known = values.filter((value) => value !== null);
  if (known.length < 2) return null;
  const low = Math.min(0, ...known), high = Math.max(1e-9, ...known);
  const x = (place) => ((150 * place) / (values.length - 1)).toFixed(1);
  const y = (value) => (28 - (26 * (value - low)) / (high - low)).toFixed(1);
  let path = "", pen = "M";
  values.forEach((value, place) => {
    if (value === null) { pen = "M"; return; }
    path += `${pen}${x(place)} ${y(value)}`;
    pen = "L";
  });
  return svg("svg", { class: "spark", viewBox: "0 0 150 30", preserveAspectRatio: "none", "aria-hidden": "true" }, svg("path", { d: path }));
}

// Numbers and times for people

function digits(value) {
  const size = Math.abs(value);
  return size >= 100 ? 0 : size >= 10 ? 1 : 2;
}

function grouped(value, places) {
  return value.toLocaleString("en", { minimumFractionDigits: places, maximumFractionDigits: places });
}

export function kw(watts) {
  if (watts === null || watts === undefined) return "–";
  const value = watts / 1000;
  return value === 0 ? "0" : grouped(value, digits(value));
}

export function energy(kwh) {
  return Math.abs(kwh) >= 100000 ? `${grouped(kwh / 1000, digits(kwh / 1000))} MWh` : `${grouped(kwh, kwh === 0 ? 0 : digits(kwh))} kWh`;
}

export function percent(part) {
  return part === 0 ? "0 %" : part < 0.1 ? `${(100 * part).toFixed(1)} %` : `${Math.round(100 * part)} %`;
}

export function interval([low, , high]) {
  return high > 0 ? `${kw(low)} to ${kw(high)}` : null;
}

export function day(seconds) {
  return seconds === null ? "–" : new Date(seconds * 1000).toISOString().slice(0, 10);
}

export function minute(seconds) {
  return seconds === null ? "–" : new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ");
}

export function time(seconds, write = minute) {
  return seconds === null ? "–" : el("time", { datetime: new Date(seconds * 1000).toISOString(), title: `${minute(seconds)} UTC` }, write(seconds));
}

const QUALITIES = {
  G: "good",
  P: "measured in part",
  T: "too few answers",
  F: "unusable answers",
  O: "out of range",
  K: "frozen register",
  X: "meter or settings exchanged",
  R: "counter reset",
  A: "contradicts itself",
  E: "energy and power disagree",
  W: "wired wrongly",
};

const CLOCKS = { I: "time not checked", U: "time unknown", R: "time relative" };

export function clock(letter) {
  return CLOCKS[letter] ? el("small", {}, CLOCKS[letter]) : null;
}

export function quality(letter) {
  return QUALITIES[letter] ?? (letter || "no data yet");
}
