// Why an alarm stands: each piece of evidence with what it weighs.

import { el } from "./dom.js";

export function reasons(list) {
  if (list.length === 0) return el("p", { class: "quiet" }, "No reasons were given.");
  const sorted = [...list].sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight));
  return el("ul", { class: "reasons" }, sorted.map((reason) =>
    el("li", {}, reason.text, " ", el("small", {}, `${reason.evidence.replaceAll("_", " ")} · weight ${reason.weight > 0 ? "+" : ""}${reason.weight.toFixed(1)}`))));
}
