// All alarms as they stand, open ones first.

import { badge, day, el, interval, kw, meterPath, percent, show, time } from "./dom.js";
import { live } from "./live.js";
import { reasons } from "./reasons.js";

live("/api/fleet", (fleet, place) => show(place, fleet.alarms.length ? fleet.alarms.map((alarm) => card(alarm, fleet)) : none()));

function none() {
  return el("section", { class: "card" }, el("div", { class: "empty" }, el("h2", {}, "No alarm was raised yet"), el("p", {}, "A gateway raises one when the evidence for mining at a meter is strong enough, and needs some days of data for it.")));
}

function card(alarm, fleet) {
  const site = fleet.sites.find((one) => one.gateway === alarm.gateway);
  const meter = site?.meters.find((one) => one.meter === alarm.meter);
  return el("article", { class: `card alarm${alarm.state === "cleared" ? " done" : ""}` },
    el("header", {},
      badge(alarm.state),
      el("h2", {}, el("a", { href: meterPath(alarm.gateway, alarm.meter) }, meter?.name ?? alarm.meter)),
      el("p", {}, site?.site || alarm.gateway),
      badge(alarm.verdict),
      el("p", { class: "figures" },
        el("span", {}, "mining ", el("b", {}, `${kw(alarm.mining_w[1])} kW`), interval(alarm.mining_w) ? ` (${interval(alarm.mining_w)})` : null),
        el("span", {}, "share ", el("b", {}, percent(alarm.mining_share))),
        el("span", {}, "since ", el("b", {}, time(alarm.since_s, day))),
        el("span", {}, "score ", el("b", {}, alarm.score.toFixed(2))))),
    el("div", { class: "pad" }, reasons(alarm.reasons),
      el("p", { class: "quiet" }, "raised ", time(alarm.raised_s), " · last message ", time(alarm.time_s), " · ", el("code", {}, `${alarm.gateway}/${alarm.meter}`), " · id ", el("code", {}, alarm.alarm))));
}
