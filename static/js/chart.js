// <live-chart topic="stream/NAME/throughput">: one chart of panels.js on uPlot. Data come by live.js into a ring; one
// loop per page draws: the time axis moves 1.2 s behind now, so that a message a second looks smooth.
// Styles are set through the CSSOM, which the policy allows.

import { Group } from "./chart_group.js";
import { clock, day, parts, tick, words, zone, zoneName } from "./figures.js";
import { live } from "./live.js";
import { DELIVERY_PANELS, PANELS, RANGES, SMALLEST_TOP } from "./panels.js";
import { Ring } from "./ring.js";

/* global uPlot */

/** Steps of an axis of bytes, which is labelled in KiB and MiB. */
const POWERS = Array.from({ length: 50 }, (_, k) => 2 ** k);
const MARK_APART_PX = 170; // a label's width
const BEHIND_S = 1.2;
const CAPACITY = 700;
const SUMMARY_MS = 10_000;
const TABLE_ROWS = 60;
const BEFORE_MS = 55_000;

// ---- colours: from a probe, as a canvas knows no light-dark()

const probe = document.body.appendChild(Object.assign(document.createElement("i"), { hidden: true }));
const palette = {};
function color(name) {
  if (!(name in palette)) {
    probe.style.color = `var(${name})`;
    palette[name] = getComputedStyle(probe).color;
  }
  return palette[name];
}
const soft = (name, share) =>
  color(name).replace(/^rgba?\(([^)]+)\)$/, (_, v) => `rgba(${v.split(",").slice(0, 3).join(",")}, ${share})`);

// ---- one loop for all charts of the page

const charts = new Set();
const still = matchMedia("(prefers-reduced-motion: reduce)");
let looping = false;

function loop() {
  looping = charts.size > 0 && !document.hidden;
  if (!looping) return;
  requestAnimationFrame(loop);
  for (const chart of charts) if (chart.shown || chart.tabled) chart.frame();
}
function wakeLoop() {
  if (!looping) {
    looping = true;
    requestAnimationFrame(loop);
  }
}
document.addEventListener("visibilitychange", () => document.hidden || wakeLoop());
addEventListener("themechange", () => {
  for (const name of Object.keys(palette)) delete palette[name];
  for (const chart of charts) chart.redraw();
});
document.fonts?.ready.then(() => charts.forEach((chart) => chart.redraw()));

const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) target.shown = isIntersecting;
});
const sized = new ResizeObserver((entries) => {
  for (const { target } of entries) target.resize();
});

// ---- the element

class LiveChart extends HTMLElement {
  shown = true;
  known = -Infinity;
  missed = 0;
  #plot = null;
  #ring = null;
  #end = null;
  #dirty = false;
  #drawnTo = 0;
  #frozen = 0;
  #limit = 0;
  #marks = new Map();
  #hidden = new Set();
  #summarised = 0;
  #before = null;
  #beforeTimer = 0;

  connectedCallback() {
    this.topic = this.getAttribute("topic");
    this.kind = this.topic.split("/").at(-1);
    this.panel = (/^(stream|team)\//.test(this.topic) ? PANELS : DELIVERY_PANELS)[this.kind];
    this.#limit = Number(this.getAttribute("limit") ?? 0);
    const box = this.closest("[data-live-panel]") ?? this.parentElement;
    this.legend = box.querySelector("[data-legend]");
    this.table = box.querySelector("[data-live-table]");
    this.summary = box.querySelector("[data-summary]");
    this.group = Group.of(this);
    this.group.charts.add(this);
    charts.add(this);
    seen.observe(this);
    sized.observe(this);
    this.restart();
    wakeLoop();
  }

  disconnectedCallback() {
    this.#end?.();
    clearTimeout(this.#beforeTimer);
    this.group.charts.delete(this);
    charts.delete(this);
    seen.unobserve(this);
    sized.unobserve(this);
    this.#plot?.destroy();
    this.#plot = null;
  }

  get range() {
    return RANGES[this.group.range];
  }

  /** Drawn columns behind the plain ones: the highest of each wide bucket. */
  get #bands() {
    return this.range.res > 1 ? this.panel.lines.filter((one) => one.banded) : [];
  }

  /** Begin anew: another range, or what was known is worthless. */
  restart() {
    this.#end?.();
    const { span, res } = this.range;
    this.#ring = new Ring(this.panel.lines.length + this.#bands.length, res, CAPACITY);
    this.known = -Infinity;
    this.missed = 0;
    this.#drawnTo = 0;
    this.#plot?.destroy();
    this.#plot = null;
    clearTimeout(this.#beforeTimer);
    this.#before = null;
    if (this.group.comparing) this.#ask();
    const first = () => Math.floor(live.now() - span - 2 * res);
    this.#end = live.subscribe({
      topic: this.topic, res,
      since: () => (this.known > 0 ? Math.max(this.known - res, first()) : first()),
      handlers: {
        snap: (message) => this.#take(message),
        pts: (message) => this.#take(message),
        limit: (message) => { this.#limit = message.v; this.#dirty = true; },
        mark: (message) => { this.#marks.set(`${message.t}${message.text}`, message); this.#dirty = true; },
        err: (message) => this.#refused(message),
        reset: () => this.#forget(),
      },
    });
    (window.requestIdleCallback ?? setTimeout)(() => this.isConnected && !this.#plot && this.#make());
  }

  /** The period before this one, by HTTP, and again when it has moved on. */
  async #ask() {
    const { span, res } = this.range;
    const ring = new Ring(this.panel.lines.length + this.#bands.length, res, CAPACITY);
    const since = Math.floor(live.now() - 2 * span - 2 * res);
    const query = new URLSearchParams({ topic: this.topic, res, since, until: Math.floor(since + span + 2 * res + BEFORE_MS / 1000 + res) });
    this.#beforeTimer = setTimeout(() => this.#ask(), BEFORE_MS);
    try {
      const answer = await fetch(`/t/${live.team}/live.json?${query}`, { headers: { Accept: "application/json" } });
      const { t, d } = await answer.json();
      if (!answer.ok || this.range.span !== span) return;
      ring.write(t.map((time) => time + span), d);
      this.#before = ring;
      this.#dirty = true;
    } catch {
      // It is asked again.
    }
  }

  #forget() {
    this.#ring = new Ring(this.#ring.columns.length, this.#ring.width, CAPACITY);
    this.known = -Infinity;
    this.#dirty = true;
  }

  #take({ t, d }) {
    if (!t.length) return;
    this.#ring.write(t, d);
    if (this.#frozen) this.missed += t.filter((time) => time > this.known).length;
    if (d.some((column) => column.some((value) => value !== null))) {
      if (!(this.known > 0)) this.#summarised = 0;
      const last = t.findLastIndex((_, k) => d.some((column) => column[k] !== null));
      this.known = Math.max(this.known, t[last]);
    }
    this.#dirty = true;
  }

  #refused({ code }) {
    const why = { forbidden: "Your role may not see this (needs stream:read).", not_found: "This stream is gone." }[code];
    this.setAttribute("data-error", why ?? "This chart cannot be shown now.");
    this.textContent = this.dataset.error;
    this.#plot?.destroy();
    this.#plot = null;
    this.#end?.();
    this.#end = null;
    charts.delete(this);
  }

  // ---- drawing

  #make() {
    const axis = {
      stroke: () => color("--text-3"), font: "12px Geist, system-ui",
      grid: { stroke: () => color("--line"), width: 1 }, ticks: { show: false },
    };
    const drawn = this.panel.lines.map((one) => ({
      show: one.color !== null && !this.#hidden.has(one.label),
      stroke: () => (one.color ? color(one.color) : "transparent"),
      width: one.color ? 2 : 0,
      fill: one.fill ? () => soft(one.color, 0.1) : undefined,
      dash: one.dash,
      points: { show: Boolean(one.color), size: 4, fill: () => color(one.color), filter: lonely },
    }));
    const bands = this.#bands.map((one) => ({
      show: one.color !== null, stroke: () => (one.color ? soft(one.color, 0.35) : "transparent"), width: one.color ? 1 : 0, points: { show: false },
    }));
    const before = (this.group.comparing ? this.panel.lines : []).map((one) => ({
      show: one.color !== null, stroke: () => (one.color ? soft(one.color, 0.55) : "transparent"), width: one.color ? 1.25 : 0, dash: [2, 3], points: { show: false },
    }));
    this.#plot = new uPlot(
      {
        width: this.clientWidth || 300, height: this.#height, padding: [10, 30, 0, 0], legend: { show: false },
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone === "UTC" ? "Etc/UTC" : zone),
        cursor: { points: { size: 7 }, drag: { setScale: false, x: false, y: false }, sync: { key: this.group.sync.key, setSeries: false } },
        scales: { x: { time: true }, y: { range: (_, lo, hi) => [0, this.#top(hi)] } },
        axes: [
          { ...axis, grid: { show: false }, size: 30, gap: 6, space: 90, values: (_, splits) => splits.map((t) => this.#timeLabel(t)) },
          { ...axis, size: 74, gap: 6, space: 44, incrs: this.panel.unit === "B/s" ? POWERS : undefined, values: (_, splits) => splits.map((v) => tick(v, this.panel.unit)) },
        ],
        bands: this.#bands.map((one, k) => ({
          series: [1 + drawn.length + k, 1 + this.panel.lines.indexOf(one)], fill: () => (one.color ? soft(one.color, 0.12) : "transparent"),
        })),
        series: [{}, ...drawn, ...bands, ...before],
        hooks: { draw: [(plot) => this.#drawMarks(plot)], setCursor: [(plot) => this.#hover(plot)] },
      },
      [[], ...[...drawn, ...bands, ...before].map(() => [])],
      this,
    );
    this.#dirty = true;
  }

  get #height() {
    return Math.max(80, this.clientHeight - 10);
  }

  #top(highest) {
    if (this.panel.top) return this.panel.top * 1.05;
    const limit = this.panel.limit && highest > this.#limit * 0.2 ? this.#limit : 0;
    return Math.max(highest ?? 0, limit, SMALLEST_TOP[this.panel.unit]) * 1.12;
  }

  #timeLabel(t) {
    const { span } = this.range;
    if (span > 90_000) return clock(t) === "00:00:00" ? day(t) : clock(t).slice(0, 5);
    return span > 300 ? clock(t).slice(0, 5) : clock(t);
  }

  /** Draw if there is something to see: new data, or the axis has moved by a part of a pixel. */
  frame() {
    if (!this.#plot) return;
    const { span } = this.range;
    if (this.#frozen && !this.#dirty) return;
    const end = this.#frozen || (still.matches ? Math.max(this.known, 0) || live.now() : live.now() - BEHIND_S);
    const moved = Math.abs(end - this.#drawnTo) * (this.#plot.bbox.width / span) >= 0.5;
    if (!this.#dirty && (!moved || still.matches)) return;
    const from = end - span;
    this.#plot.batch(() => {
      if (this.#dirty) {
        const sparse = [...this.panel.lines, ...this.#bands].map((one) => (one.sparse ? Math.max(one.sparse, 3 * this.range.res) : 0));
        const data = this.#ring.read(from - this.range.res, this.#frozen || Infinity, sparse);
        if (this.group.comparing) {
          const past = this.#before?.at(data[0]) ?? [];
          data.push(...this.panel.lines.map((_, k) => past[k] ?? data[0].map(() => null)));
        }
        this.#plot.setData(data, false);
      }
      this.#plot.setScale("x", { min: from, max: end });
    });
    this.#drawnTo = end;
    if (this.#dirty) this.#figures();
    this.#dirty = false;
  }

  redraw() {
    this.#plot?.redraw(false);
  }

  resize() {
    this.#plot?.setSize({ width: this.clientWidth, height: this.#height });
  }

  freeze(at) {
    this.#frozen = at && at - BEHIND_S;
    this.missed = 0;
    this.#dirty = true;
  }

  toggle(column, shown) {
    const at = this.panel.lines.findIndex((one) => one.label === column);
    if (shown) this.#hidden.delete(column);
    else this.#hidden.add(column);
    if (at >= 0 && this.#plot) {
      this.#plot.setSeries(at + 1, { show: shown });
      const band = this.#bands.indexOf(this.panel.lines[at]);
      if (band >= 0) this.#plot.setSeries(1 + this.panel.lines.length + band, { show: shown });
    } else this.redraw();
  }

  /** The write limit and the marks of splits and merges, over the lines. */
  #drawMarks(plot) {
    const { ctx, bbox } = plot;
    const ratio = devicePixelRatio;
    ctx.save();
    ctx.font = `${11 * ratio}px Geist, system-ui`;
    ctx.lineWidth = 1.25 * ratio;
    if (this.panel.limit && this.#limit && !this.#hidden.has("Write limit")) {
      const y = plot.valToPos(this.#limit, "y", true);
      if (y >= bbox.top) rule(ctx, [2 * ratio, 4 * ratio], color("--bad"), bbox.left, y, bbox.left + bbox.width, y);
    }
    let last = null; // marks too close for a label each share one
    for (const { t, text } of [...this.#marks.values()].sort((a, b) => a.t - b.t)) {
      const x = plot.valToPos(t, "x", true);
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      rule(ctx, [3 * ratio, 3 * ratio], color("--text-3"), x, bbox.top, x, bbox.top + bbox.height);
      if (last && x - last.x < MARK_APART_PX * ratio) last.count += 1;
      else {
        this.#label(ctx, bbox, last);
        last = { x, text, count: 1 };
      }
    }
    this.#label(ctx, bbox, last);
    ctx.fillStyle = color("--text-3");
    ctx.textAlign = "left";
    ctx.fillText(zoneName, 14 * ratio, bbox.top + bbox.height + 14 * ratio);
    ctx.restore();
  }

  /** What happened at a mark, beside its line and inside the chart. */
  #label(ctx, bbox, mark) {
    if (!mark || this.group.charts.values().next().value !== this) return; // once in a group is enough
    const ratio = devicePixelRatio;
    const right = mark.x > bbox.left + bbox.width / 2;
    ctx.fillStyle = color("--text-2");
    ctx.textAlign = right ? "right" : "left";
    const words = mark.count === 1 ? mark.text : `${mark.count} changes`;
    ctx.fillText(words, mark.x + (right ? -4 : 4) * ratio, bbox.top + 10 * ratio);
  }

  // ---- figures, table, words

  #hover(plot) {
    const at = plot.cursor.idx;
    const over = at !== null && at !== undefined && plot.cursor.left >= 0;
    const time = over ? plot.data[0][at] : null;
    this.group.hovered = over && time !== undefined ? (this.range.span > 90_000 ? `${day(time)} ${clock(time).slice(0, 5)}` : clock(time)) : null;
    this.#figures(over ? at : null);
    this.group.say();
  }

  /** The legend's numbers: at the cursor, else the newest. */
  #figures(at = this.#plot?.cursor.left >= 0 ? this.#plot.cursor.idx : null) {
    if (!this.legend) return;
    this.panel.lines.forEach((one, k) => {
      const within = Math.max(one.sparse ?? 0, 2 * this.range.res);
      const known = this.#frozen ? this.#plot?.data[k + 1].findLast((value) => value != null) ?? null : this.#ring.newest(k, within);
      const value = at === null || at === undefined ? known : this.#plot.data[k + 1][at];
      this.#write(one.label, value, one.unit ?? this.panel.unit);
    });
    if (this.panel.limit) this.#write("Write limit", this.#limit || null, this.panel.unit);
    if (Date.now() - this.#summarised > SUMMARY_MS) this.#summarise();
  }

  #write(label, value, unit) {
    const figure = this.legend.querySelector(`[data-figure="${label}"]`);
    if (!figure) return;
    const [number, word] = value === null || value === undefined ? ["–", ""] : parts(value, unit);
    if (figure.firstChild?.nodeType !== Node.TEXT_NODE) figure.prepend("");
    const text = word === "%" ? `${number}%` : `${number} `;
    if (figure.firstChild.textContent !== text) figure.firstChild.textContent = text;
    const small = figure.querySelector("small") ?? figure.appendChild(document.createElement("small"));
    if (small.textContent !== (word === "%" ? "" : word)) small.textContent = word === "%" ? "" : word;
  }

  /** What the chart shows, in words; read on demand, never announced. */
  #summarise() {
    if (!this.summary || !this.#plot) return;
    this.#summarised = Date.now();
    const sentences = this.panel.lines.map((one, k) => {
      const values = this.#plot.data[k + 1].filter((value) => value != null);
      const unit = one.unit ?? this.panel.unit;
      if (!values.length) return `${one.label}: no data.`;
      const highest = values.reduce((a, b) => Math.max(a, b));
      return `${one.label}: now ${words(values.at(-1), unit)}, highest ${words(highest, unit)}.`;
    });
    this.summary.textContent = `Last ${this.range.words}. ${sentences.join(" ")}`;
    if (this.tabled && !this.#frozen) this.tabulate(true);
  }

  tabulate(open) {
    if (!this.table) return;
    this.table.hidden = !open;
    this.hidden = this.tabled = open;
    if (!open) return;
    const [times, ...columns] = this.#plot?.data ?? [[]];
    const body = document.createElement("tbody");
    for (let k = times.length - 1; k >= Math.max(0, times.length - TABLE_ROWS); k--) {
      const row = body.insertRow();
      const stamp = this.range.span > 300 ? `${day(times[k])}, ${clock(times[k])}` : clock(times[k]);
      row.insertCell().textContent = stamp;
      this.panel.lines.forEach((one, c) => {
        const cell = row.insertCell();
        cell.className = "r";
        const value = columns[c][k];
        cell.textContent = value == null ? "no data" : words(value, one.unit ?? this.panel.unit);
      });
    }
    this.table.querySelector("tbody").replaceWith(body);
  }
}

/** Points that no line would show, because there is a hole on both sides. */
function lonely(plot, series) {
  const values = plot.data[series];
  const alone = [];
  for (let k = 0; k < values.length; k++) {
    if (values[k] != null && values[k - 1] === null && values[k + 1] === null) alone.push(k);
  }
  return alone;
}

function rule(ctx, dash, stroke, x1, y1, x2, y2) {
  ctx.beginPath();
  ctx.setLineDash(dash);
  ctx.strokeStyle = stroke;
  ctx.moveTo(x1, y1);
  ctx.lineTo(x2, y2);
  ctx.stroke();
}

customElements.define("live-chart", LiveChart);

// ---- keys: Space pauses, [ and ] change the range; not inside a field, not if single letters are switched off

addEventListener("keydown", (event) => {
  const group = [...charts][0]?.group;
  const typing = event.target.closest?.("input, textarea, select, [contenteditable], dialog[open]");
  if (event.key === " " && event.target.closest?.("button, a, summary, [tabindex]:not(main)")) return; // Space is theirs
  const off = document.documentElement.dataset.shortcuts === "off" || localStorage.getItem("single-keys") === "off";
  if (!group || typing || event.ctrlKey || event.metaKey || event.altKey || off) return;
  if (event.key === " ") group.pause();
  else if (event.key === "[") group.step(-1);
  else if (event.key === "]") group.step(1);
  else return;
  event.preventDefault();
});
