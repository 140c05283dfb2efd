// How far each chain is whole and signed, and all that did not fit.

import { badge, el, show, table, time } from "./dom.js";
import { live } from "./live.js";

live("/api/evidence", (evidence, place) => show(place,
  section("findings", "Findings", evidence.findings.length ? findings(evidence.findings) : calm("Nothing contradicts what the gateways signed.")),
  section("streams", "Streams", evidence.streams.length ? streams(evidence.streams) : calm("No gateway has reported yet.")),
  section("rejected", `Rejected messages (${evidence.rejected_count})`, evidence.rejected.length ? rejected(evidence.rejected) : calm("Every message could be read.")),
  section("events", "Events", evidence.events.length ? events(evidence.events) : calm("No gateway reported an event."))));

function section(id, title, content) {
  return el("section", { class: "card", "aria-labelledby": id }, el("header", {}, el("h2", { id }, title)), content);
}

function calm(text) {
  return el("div", { class: "pad quiet" }, text);
}

function findings(list) {
  return table("A settled finding was followed by the true bytes; what contradicted stays in the database.",
    [["State"], ["Kind"], ["Gateway"], ["Stream"], ["Records", "number"], ["What does not fit"], ["Found"]],
    list.map((finding) => el("tr", {},
      el("td", {}, badge(finding.resolved_s === null ? "open" : "settled")),
      el("td", {}, finding.kind),
      el("td", {}, finding.gateway),
      el("td", {}, el("code", {}, finding.stream || "–")),
      el("td", { class: "number" }, finding.seq === 0 ? "–" : finding.seq === finding.to_seq ? `${finding.seq}` : `${finding.seq} to ${finding.to_seq}`),
      el("td", { class: "text" }, finding.text),
      el("td", { class: "time" }, time(finding.time_s)))));
}

function streams(list) {
  return table("Committed: every record up to this number is stored. Signed: so far a checkpoint of the gateway confirms that nothing was altered or left out.",
    [["Gateway"], ["Stream"], ["Committed", "number"], ["Signed", "number"], ["Highest seen", "number"], ["Chain head"], ["Last message"]],
    list.map((stream) => el("tr", {},
      el("th", { scope: "row" }, stream.gateway),
      el("td", {}, el("code", {}, stream.stream)),
      el("td", { class: "number" }, stream.through.toLocaleString("en")),
      el("td", { class: "number" }, stream.verified.toLocaleString("en")),
      el("td", { class: "number" }, stream.highest.toLocaleString("en")),
      el("td", {}, el("code", { title: stream.head }, `${stream.head.slice(0, 16)}…`)),
      el("td", { class: "time" }, time(stream.received_s)))));
}

function rejected(list) {
  return table("They could not be read as messages of a gateway; the newest are kept.",
    [["When"], ["Topic"], ["Why"], ["Bytes", "number"], ["Beginning of the payload"]],
    list.map((message) => el("tr", {},
      el("td", { class: "time" }, time(message.time_s)),
      el("td", {}, el("code", {}, message.topic)),
      el("td", { class: "text" }, message.why),
      el("td", { class: "number" }, message.bytes.toLocaleString("en")),
      el("td", { class: "text" }, el("pre", { tabindex: "0" }, message.payload.slice(0, 300))))));
}

function events(list) {
  return table(null, [["When"], ["Gateway"], ["Meter"], ["Event"], ["Text"]],
    list.map((event) => el("tr", {},
      el("td", { class: "time" }, time(event.time_s)),
      el("td", {}, event.gateway),
      el("td", {}, event.meter ?? "–"),
      el("td", {}, event.event.replaceAll("_", " ")),
      el("td", { class: "text" }, event.text))));
}
