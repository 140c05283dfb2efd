// The first page: every site and meter, the largest mining load first.

import { badge, clock, day, el, energy, interval, kw, meterPath, percent, quality, share, show, sparkline, table, time } from "./dom.js";
import { live } from "./live.js";

live("/api/fleet", (fleet, place) => {
  if (fleet.sites.length === 0) show(place, nothing());
  else show(place, tiles(fleet), fleet.sites.map(site));
});

function nothing() {
  return el("section", { class: "card" }, el("div", { class: "empty" },
    el("h2", {}, "No gateway has reported yet"),
    el("p", {}, "The collector is running and waits for messages. Next step:"),
    el("ol", {},
      el("li", {}, "Check that it reached the broker: its log says ", el("code", {}, "subscribed to flatwatt/v1/+/up/#"), "."),
      el("li", {}, "Start a gateway on the same broker: ", el("code", {}, "flatwatt run -c gateway.toml"), ", or everything simulated: ", el("code", {}, "flatwatt demo"), "."),
      el("li", {}, "Watch the topics: ", el("code", {}, "mosquitto_sub -t 'flatwatt/v1/#' -v"), "."))));
}

function tiles(fleet) {
  const mining = [0, 1, 2].map((place) => fleet.sites.reduce((sum, site) => sum + site.mining_w[place], 0));
  const load = fleet.sites.reduce((sum, site) => sum + (site.load_w ?? 0), 0);
  const meters = fleet.sites.flatMap((site) => site.meters);
  const open = fleet.alarms.filter((alarm) => alarm.state !== "cleared");
  const findings = fleet.findings.filter((finding) => finding.rings && finding.resolved_s === null);
  return el("dl", { class: "tiles" },
    tile("Mining now", `${kw(mining[1])} kW`, mining[1] > 0 ? `${interval(mining)} kW` : "no mining load seen", mining[1] > 0),
    tile("Share of the load", percent(load > 0 ? Math.min(1, mining[1] / load) : 0), `of ${kw(load)} kW at ${fleet.sites.length} ${plural(fleet.sites.length, "site")}`),
    tile("Meters with mining", `${meters.filter((meter) => meter.mining_w[1] > 0).length}`, `of ${meters.length} ${plural(meters.length, "meter")}`),
    tile("Open alarms", `${open.length}`, el("a", { href: "/alarms" }, "all alarms"), open.length > 0),
    tile("Open findings", `${findings.length}`, el("a", { href: "/evidence" }, "chains and signatures"), findings.length > 0));
}

function plural(count, word) {
  return count === 1 ? word : `${word}s`;
}

function tile(name, value, note, hot = false) {
  return el("div", { class: hot ? "hot" : null }, el("dt", {}, name), el("dd", {}, value), el("dd", {}, note));
}

function site(site) {
  const heading = `site-${site.gateway}`;
  return el("section", { class: "card", "aria-labelledby": heading },
    el("header", {},
      el("h2", { id: heading }, site.site || site.gateway),
      el("p", {}, [site.site_kind.replaceAll("_", " "), site.name, site.gateway].filter(Boolean).join(" · ")),
      badge(site.state),
      el("p", { class: "figures" },
        el("span", {}, "load ", el("b", {}, `${kw(site.load_w)} kW`)),
        el("span", {}, "mining ", el("b", {}, `${kw(site.mining_w[1])} kW`), site.mining_w[1] > 0 ? ` (${interval(site.mining_w)})` : null),
        el("span", {}, "share ", el("b", {}, percent(site.mining_share))),
        el("span", {}, "to ", time(site.last_s))),
      site.last_day ? el("p", {}, `Last day: ${site.last_day}.`) : null),
    table(null, COLUMNS,
      site.meters.map((meter) => row(site, meter)), "fleet"));
}

const COLUMNS = [["Meter"], ["Verdict"], ["Load kW", "number"], ["Mining kW", "number"], ["Share", "number"], ["Since"], ["Mining energy", "number"], ["Load energy", "number"], ["Data"], ["Load, 14 days"]];

function row(site, meter) {
  const notes = [meter.role === "load" ? null : meter.role, meter.parent ? `below ${meter.parent}` : null, meter.declared ? `declared: ${meter.declared.replaceAll("_", " ")}` : null];
  return el("tr", {},
    el("th", { scope: "row" }, el("a", { href: meterPath(site.gateway, meter.meter) }, meter.name), el("small", {}, notes.filter(Boolean).join(" · "))),
    el("td", {}, badge(meter.verdict)),
    el("td", { class: "number" }, kw(meter.active_power_w)),
    el("td", { class: "number" }, kw(meter.mining_w[1]), el("small", {}, interval(meter.mining_w))),
    el("td", { class: "number" }, meter.mining_w[1] > 0 ? share(meter.mining_share) : "–"),
    el("td", { class: "time" }, time(meter.since_s, day)),
    el("td", { class: "number" }, energy(meter.mining_kwh)),
    el("td", { class: "number" }, energy(meter.load_kwh)),
    el("td", {}, quality(meter.quality), clock(meter.clock)),
    el("td", {}, sparkline(meter.curve)));
}
