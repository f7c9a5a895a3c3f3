// Live figures in the lists of data streams and delivery streams: cells marked data-live in rows marked data-stream.

import { parts } from "./figures.js";
import { live } from "./live.js";

const UNITS = { in: "B/s", out: "B/s", age: "s", rec: "records/s", wait: "s", del: "rec." };
const NOTHING = { age: "no reads", wait: "none waiting" };
const NAMES_MAX = 200;
const LATE_S = 30;
let end = null;
let shown = "";

const topic = () => document.querySelector("[data-rows-topic]")?.dataset.rowsTopic ?? "streams";

function follow() {
  const names = [...document.querySelectorAll("[data-stream]")].map((row) => row.dataset.stream).slice(0, NAMES_MAX);
  const key = names.join("\n");
  if (key === shown) return;
  shown = key;
  end?.();
  end = names.length ? live.subscribe({ topic: topic(), names, handlers: { rows: ({ set }) => write(set) } }) : null;
}

function write(rows) {
  for (const [name, values] of Object.entries(rows)) {
    const row = document.querySelector(`[data-stream="${CSS.escape(name)}"]`);
    if (!row || !values) continue;
    for (const cell of row.querySelectorAll("[data-live]")) {
      const value = values[cell.dataset.live];
      if (value === undefined || !(cell.dataset.live in UNITS)) continue;
      const kind = cell.dataset.live;
      const text = value === null ? NOTHING[kind] ?? "unknown" : parts(value, UNITS[kind]).join(" ");
      if (cell.textContent === text) continue;
      const inner = kind in NOTHING ? document.createElement("span") : null;
      if (inner) inner.className = value === null ? "dim" : kind === "age" && value >= LATE_S ? "tag tag-warn" : "";
      if (inner) inner.textContent = text;
      cell.replaceChildren(inner ?? text);
    }
  }
}

function say() {
  for (const label of document.querySelectorAll(".live")) {
    const good = live.state === "live" || live.state === "slow";
    label.classList.toggle("live-off", !good);
    label.textContent = { live: "Live", slow: "Live", polling: "Every 10 s", out: "Signed out", waiting: "Reconnecting" }[live.state];
  }
}

// ---- choosing rows: how many, and all of the page at once

function count() {
  const picks = [...document.querySelectorAll(".pick")];
  const chosen = picks.filter((pick) => pick.checked).length;
  const label = document.querySelector("[data-bulk-count]");
  if (label) label.textContent = `${chosen} ${chosen === 1 ? "stream" : "streams"} chosen`;
  for (const all of document.querySelectorAll("[data-pick-all]")) {
    all.hidden = false;
    all.checked = chosen > 0 && chosen === picks.length;
    all.indeterminate = chosen > 0 && chosen < picks.length;
  }
}

document.addEventListener("change", ({ target }) => {
  if (target.matches("[data-pick-all]")) for (const pick of document.querySelectorAll(".pick")) pick.checked = target.checked;
  if (target.matches(".pick, [data-pick-all]")) count();
});
document.addEventListener("htmx:afterSwap", count);
count();

follow();
document.addEventListener("htmx:afterSwap", follow);
live.addEventListener("state", say);
