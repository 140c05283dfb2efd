// What does not fit comes first; then how far each chain is whole and signed, what was lost, ordered, refused, told.

import { badge, clock, el, energy, percent, show, table, time } from "./dom.js";
import { live } from "./live.js";

live("/api/evidence", (evidence, place) => show(place,
  section("findings", title(evidence), evidence.findings.length ? findings(evidence.findings) : calm("Nothing contradicts what the gateways signed, and every gateway is heard."), ringing(evidence).length > 0),
  section("gateways", "Gateways", evidence.gateways.length ? gateways(evidence) : calm("No gateway has reported yet.")),
  section("streams", "Streams", evidence.streams.length ? streams(evidence.streams) : calm("No gateway has reported yet.")),
  section("gaps", "Declared gaps", evidence.gaps.length ? gaps(evidence.gaps) : calm("No gateway had to drop a record.")),
  section("replies", "Commands", evidence.replies.length ? replies(evidence.replies) : calm("No gateway was ordered anything.")),
  section("rejected", `Rejected messages (${evidence.rejected_count})`, evidence.rejected.length ? rejected(evidence.rejected) : calm("Every message could be read.")),
  section("events", "Events", evidence.events.length ? events(evidence.events) : calm("No gateway reported an event."))));

function ringing(evidence) {
  return evidence.findings.filter((finding) => finding.rings && finding.resolved_s === null);
}

function title(evidence) {
  const open = ringing(evidence).length;
  return open ? `Findings (${open} open)` : "Findings";
}

function section(id, title, content, trouble = false) {
  return el("section", { class: trouble ? "card trouble" : "card", "aria-labelledby": id }, el("header", {}, el("h2", { id }, title)), content);
}

function calm(text) {
  return el("div", { class: "pad quiet" }, text);
}

function findings(list) {
  return table("Settled: the true bytes came, or the cause ended; what contradicted stays in the database and in every export.",
    [["State"], ["Kind"], ["Gateway"], ["Stream"], ["Records", "number"], ["What does not fit"], ["Found"]],
    list.map((finding) => el("tr", {},
      el("td", {}, badge(finding.resolved_s !== null ? "settled" : finding.rings ? "open" : "information")),
      el("td", {}, finding.kind),
      el("td", { class: "time" }, finding.gateway),
      el("td", {}, el("code", {}, finding.stream || "–")),
      el("td", { class: "number" }, finding.seq === 0 ? "–" : finding.seq === finding.to_seq ? `${finding.seq}` : `${finding.seq} to ${finding.to_seq}`),
      el("td", { class: "text" }, finding.text),
      el("td", { class: "time" }, time(finding.time_s)))));
}

function gateways(evidence) {
  return table("Heard: when anything of it arrived last. Waiting: the age of its oldest record without a receipt, as it last said.",
    [["Gateway"], ["State"], ["Heard"], ["Clock"], ["Waiting", "number"], ["Spool", "number"], ["Stored in"]],
    evidence.gateways.map((gateway) => el("tr", {},
      el("th", { scope: "row" }, gateway.gateway),
      el("td", {}, badge(gateway.state), gateway.state === "offline" ? el("small", {}, gateway.goodbye ? " took leave" : " broke off") : null),
      el("td", { class: "time" }, time(gateway.heard_s), el("small", {}, ` ${ago(evidence.time_s - gateway.heard_s)}`)),
      el("td", {}, gateway.clock || "–"),
      el("td", { class: "number" }, gateway.oldest_unreceipted_s === null ? "–" : ago(gateway.oldest_unreceipted_s).replace(" ago", "")),
      el("td", { class: "number" }, gateway.spool_bytes ? `${(gateway.spool_bytes / 2 ** 20).toFixed(1)} MiB` : "–"),
      el("td", {}, gateway.storage === "memory" ? badge("memory") : gateway.storage || "–"))));
}

function ago(seconds) {
  if (seconds < 120) return `${Math.max(0, seconds)} s ago`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min ago`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h ago` : `${Math.round(seconds / 86400)} days ago`;
}

function gaps(list) {
  return table("Records that a gateway had to drop before they arrived, as it signed. The energy is what they told, and counts in every sum.",
    [["Gateway"], ["Records"], ["Why"], ["Declared"], ["Dropped"], ["Meters, with their energy"]],
    list.map((gap) => el("tr", {},
      el("th", { scope: "row" }, gap.gateway, el("small", {}, el("code", {}, gap.stream))),
      el("td", {}, `${gap.from_seq.toLocaleString("en")} to ${gap.through_seq.toLocaleString("en")}`),
      el("td", {}, gap.cause.replaceAll("_", " ")),
      el("td", { class: "time" }, time(gap.time_s)),
      el("td", { class: "text" }, Object.entries(gap.records).map(([kind, count]) => `${count.toLocaleString("en")} ${kind}`).join(", ")),
      el("td", { class: "text" }, gap.totals.map((total) => el("div", {}, `${total.meter}: ${energy(total.load_kwh)}, mining ${energy(total.mining_kwh)}, `, time(total.start_s), " to ", time(total.end_s), `, measured ${percent(total.coverage)}`))))));
}

function replies(list) {
  return table(null, [["When"], ["Gateway"], ["No.", "number"], ["Command"], ["State"], ["What became of it"]],
    list.map((reply) => el("tr", {},
      el("td", { class: "time" }, time(reply.time_s)),
      el("td", {}, reply.gateway),
      el("td", { class: "number" }, `${reply.counter}`),
      el("td", {}, reply.command.replaceAll("_", " ")),
      el("td", {}, badge(reply.state)),
      el("td", { class: "text" }, reply.text, reply.attached ? el("small", {}, ` with ${reply.attached.toLocaleString("en")} letters of data in its record`) : null))));
}

function streams(list) {
  return table("Committed: every record up to this number is stored. Signed: so far a checkpoint of the gateway confirms that nothing was altered or left out.",
    [["Gateway"], ["Stream"], ["Committed", "number"], ["Signed", "number"], ["Missing", "number"], ["Chain head"], ["Last message"]],
    list.map((stream) => el("tr", {},
      el("th", { scope: "row" }, stream.gateway),
      el("td", {}, el("code", {}, stream.stream)),
      el("td", { class: "number" }, stream.through.toLocaleString("en")),
      el("td", { class: "number" }, stream.verified.toLocaleString("en")),
      el("td", { class: "number" }, stream.highest > stream.through ? `up to ${stream.highest.toLocaleString("en")}` : "–"),
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
      el("td", {}, event.event.replaceAll("_", " "), clock(event.clock)),
      el("td", { class: "text" }, event.text))));
}
