// What the charts of one [data-live-group] share: range, pause, cursor, and the quiet word that says how things stand.

import { clock, zoneName } from "./figures.js";
import { live } from "./live.js";
import { RANGES } from "./panels.js";

/* global uPlot */

const STALE_S = 5;

export class Group {
  static of(chart) {
    const element = chart.closest("[data-live-group]") ?? chart.parentElement;
    element.liveGroup ??= new Group(element);
    return element.liveGroup;
  }

  constructor(element) {
    this.element = element;
    this.charts = new Set();
    this.pausedAt = 0;
    this.hovered = null;
    this.comparing = false;
    const asked = new URLSearchParams(location.search).get("range");
    this.range = asked in RANGES ? asked : "5m";
    this.sync = uPlot.sync(`group-${Math.random()}`);
    element.addEventListener("click", (event) => this.#click(event));
    live.addEventListener("state", () => this.say());
    setInterval(() => this.say(), 1_000);
    this.#press();
  }

  #click(event) {
    const button = event.target.closest("button");
    if (button?.dataset.range) this.select(button.dataset.range);
    else if (button && "pause" in button.dataset) this.pause();
    else if (button && "compare" in button.dataset) this.#compare(button);
    else if (button && "table" in button.dataset) this.#table(button);
    else if (button?.dataset.column) this.#toggle(button);
  }

  select(range) {
    this.range = range;
    const address = new URL(location.href);
    address.searchParams.set("range", range);
    history.replaceState(history.state, "", address);
    this.#press();
    if (this.pausedAt) this.pause();
    for (const chart of this.charts) chart.restart();
  }

  step(by) {
    const names = Object.keys(RANGES);
    const next = names[names.indexOf(this.range) + by];
    if (next) this.select(next);
  }

  #press() {
    for (const button of this.element.querySelectorAll("[data-range]")) {
      button.setAttribute("aria-pressed", button.dataset.range === this.range);
    }
    for (const link of this.element.querySelectorAll("[data-csv]")) {
      const address = new URL(link.href);
      address.searchParams.set("range", this.range);
      link.href = address;
    }
  }

  pause() {
    this.pausedAt = this.pausedAt ? 0 : live.now();
    for (const chart of this.charts) chart.freeze(this.pausedAt);
    const button = this.element.querySelector("[data-pause]");
    button?.classList.toggle("paused", this.pausedAt > 0);
    const label = button?.querySelector("span");
    if (label) label.textContent = this.pausedAt ? "Resume" : "Pause";
    this.say();
  }

  #table(button) {
    const open = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", open);
    for (const chart of this.charts) chart.tabulate(open);
  }

  /** The period before, behind the lines of this one. */
  #compare(button) {
    this.comparing = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", this.comparing);
    for (const chart of this.charts) chart.restart();
  }

  #toggle(button) {
    const chart = [...this.charts].find((one) => one.legend?.contains(button));
    const shown = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", shown);
    chart?.toggle(button.dataset.column, shown);
  }

  /** The quiet word beside the title. */
  say() {
    const label = this.element.querySelector("[data-state]");
    if (!label) return;
    const [text, good] = this.#words();
    if (label.textContent !== text) label.textContent = text;
    label.classList.toggle("live-off", !good);
  }

  #words() {
    const known = Math.max(...[...this.charts].map((chart) => chart.known));
    const upTo = known > 0 ? `, data to ${clock(known)} ${zoneName}` : "";
    if (this.hovered) return [`${this.hovered} ${zoneName}`, false];
    if (this.pausedAt) {
      const seconds = Math.max(0, Math.floor(live.now() - this.pausedAt));
      const points = [...this.charts].reduce((sum, chart) => sum + chart.missed, 0);
      const passed = `${String(Math.floor(seconds / 60)).padStart(2, "0")}:${String(seconds % 60).padStart(2, "0")}`;
      return [`Paused ${passed}, ${points.toLocaleString("en-US")} new ${points === 1 ? "point" : "points"}`, false];
    }
    if (live.state === "out") return [`Signed out${upTo}`, false];
    if (live.state === "polling") return [`Every 10 s${upTo}`, false];
    if (live.state === "waiting") return [known > 0 ? `Reconnecting${upTo}` : "Connecting", false];
    const res = RANGES[this.range].res;
    if (known > 0 && live.now() - known > Math.max(STALE_S, 2 * res + STALE_S)) return [`No news${upTo}`, false];
    if (live.state === "slow") return [`Slow connection${upTo}`, false];
    return ["Live", true];
  }
}
