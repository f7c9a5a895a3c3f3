// What every page needs: copy, theme, menus, toasts, times, palette, keys. No eval, nothing inline.
// Each part works on whatever is in the page now or is swapped in later; without script the pages still work.

const root = document.documentElement;
const byId = (id) => document.getElementById(id);
const team = () => document.body.dataset.team;

export function announce(text) {
  byId("announce").textContent = text;
}

export function toast(text, kind = "success") {
  const box = document.createElement("div");
  box.className = `toast toast-${kind}`;
  const words = document.createElement("p");
  words.textContent = text;
  box.append(words);
  byId("toasts").append(box);
  fadeLater(box);
}

function fadeLater(box) {
  if (!box.classList.contains("toast-error")) setTimeout(() => box.remove(), 6000);
}
document.querySelectorAll(".toast").forEach(fadeLater);

// ---- actions on click

const actions = {
  copy: (button) => copy(button),
  dismiss: (button) => button.closest(".toast").remove(),
  palette: () => openPalette(),
  shortcuts: () => openSheet(),
  retry: () => reach(),
  "close-dialog": (button) => button.closest("dialog").close(),
};

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-act]");
  if (button) actions[button.dataset.act]?.(button);
  for (const menu of document.querySelectorAll("details[data-menu][open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
  if (event.target instanceof HTMLDialogElement) event.target.close();
});

async function copy(button) {
  const text = button.dataset.text ?? byId(button.dataset.for).textContent;
  try {
    await navigator.clipboard.writeText(text.trim());
    announce("Copied");
    mark(button, "Copied");
  } catch {
    select(byId(button.dataset.for));
    toast("The browser did not allow copying. The text is selected: press Ctrl C.", "error");
  }
}

function mark(button, word) {
  const label = [...button.childNodes].find((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
  button.classList.add("done");
  const before = label?.textContent;
  if (label) label.textContent = word;
  setTimeout(() => {
    button.classList.remove("done");
    if (label) label.textContent = before;
  }, 1600);
}

function select(element) {
  if (!element) return;
  const range = document.createRange();
  range.selectNodeContents(element);
  getSelection().removeAllRanges();
  getSelection().addRange(range);
}

// ---- theme: the form works alone; here it changes at once and is stored behind

document.addEventListener("submit", (event) => {
  const form = event.target.closest("[data-theme-form]");
  if (!form) return;
  event.preventDefault();
  const shown = root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  root.dataset.theme = shown === "dark" ? "light" : "dark";
  const body = new FormData(form);
  body.set("theme", root.dataset.theme);
  fetch(form.action, { method: "POST", body, redirect: "manual" });
  dispatchEvent(new Event("themechange"));
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => dispatchEvent(new Event("themechange")));

// ---- the browser's time zone, for those who want times in it (console/zones.py)

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (!document.cookie.includes(`zone=${zone}`)) document.cookie = `zone=${zone}; path=/; max-age=31536000; samesite=lax`;

// ---- tabs: the current one is in sight, on narrow screens too

for (const tab of document.querySelectorAll(".tabs [aria-current]")) {
  const bar = tab.closest(".tabs");
  bar.scrollLeft = tab.offsetLeft + tab.offsetWidth / 2 - bar.clientWidth / 2;
}

// ---- relative times

const STEPS = [[60, 1, "s"], [3600, 60, "min"], [172800, 3600, "h"], [2592000, 86400, "d"]];

function ago(time) {
  const seconds = (Date.now() - Date.parse(time.dateTime)) / 1000;
  if (seconds < 2) return "just now";
  const step = STEPS.find(([below]) => seconds < below);
  return step ? `${Math.floor(seconds / step[1])} ${step[2]} ago` : time.textContent;
}
setInterval(() => {
  if (!document.hidden) for (const time of document.querySelectorAll("time[data-ago]")) time.textContent = ago(time);
}, 5000);

// ---- command palette; what was looked at lately is kept by the browser, the server says what of it there still is

const LATELY = /^\/t\/[^/]+\/(streams|delivery|alarms\/of|dashboards\/of)\/[^/]+/;
const lately = () => `recent:${team()}`;

function recent() {
  try {
    return JSON.parse(localStorage.getItem(lately()) ?? "[]");
  } catch {
    return [];
  }
}
const here = LATELY.exec(location.pathname)?.[0];
if (here) localStorage.setItem(lately(), JSON.stringify([here, ...recent().filter((path) => path !== here)].slice(0, 6)));

let wanted = 0;

function openPalette() {
  const palette = byId("palette");
  if (!palette || palette.open) return;
  palette.showModal();
  byId("palette-input").value = "";
  suggest("");
}

async function suggest(text) {
  const turn = ++wanted;
  const address = new URL(byId("palette").dataset.source, location.origin);
  address.searchParams.set("q", text);
  address.searchParams.set("at", location.pathname);
  if (!text) for (const path of recent()) address.searchParams.append("recent", path);
  const answer = await fetch(address, { headers: { "HX-Request": "true" } }).catch(() => lost());
  if (turn !== wanted || !answer?.ok) return;
  byId("palette-list").innerHTML = await answer.text();
  choose(0);
}

const options = () => [...byId("palette-list").querySelectorAll('[role="option"]')];

function choose(index) {
  const all = options();
  all.forEach((option, k) => option.setAttribute("aria-selected", k === index));
  const input = byId("palette-input");
  if (all[index]) {
    input.setAttribute("aria-activedescendant", all[index].id);
    all[index].scrollIntoView({ block: "nearest" });
  } else input.removeAttribute("aria-activedescendant");
}

byId("palette-input")?.addEventListener("input", (event) => suggest(event.target.value));
byId("palette-input")?.addEventListener("keydown", (event) => {
  const all = options();
  const now = all.findIndex((option) => option.getAttribute("aria-selected") === "true");
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    choose((now + (event.key === "ArrowDown" ? 1 : all.length - 1)) % Math.max(all.length, 1));
  } else if (event.key === "Enter" && all[now]) {
    event.preventDefault();
    all[now].click();
  }
});

// ---- keys: single letters never fire inside a field, and can be switched off (WCAG 2.1.4)

const SINGLE_KEYS = "single-keys";
const singles = byId(SINGLE_KEYS);
if (singles) {
  singles.checked = localStorage.getItem(SINGLE_KEYS) !== "off";
  singles.addEventListener("change", () => localStorage.setItem(SINGLE_KEYS, singles.checked ? "on" : "off"));
}

let goes = 0;
const place = (letter) => document.querySelector(`.nav a[data-go="${CSS.escape(letter)}"]`);

function openSheet() {
  for (const line of document.querySelectorAll("#shortcuts [data-if]")) {
    line.hidden = !document.querySelector(line.dataset.if);
  }
  byId("shortcuts")?.showModal();
}

/** Dashboards choose their range by links; live charts see to it themselves (chart.js). */
function stepRange(by) {
  const ranges = [...document.querySelectorAll("[data-range-link]")];
  ranges[ranges.findIndex((one) => one.hasAttribute("aria-current")) + by]?.click();
}

function filterField() {
  return document.querySelector("[data-filter] input[type=search], .filters input[type=search]");
}

function rows() {
  return [...document.querySelectorAll("[data-rows] tbody tr")];
}

function moveRow(step) {
  const all = rows();
  const now = all.findIndex((row) => row.contains(document.activeElement));
  const next = all[Math.min(Math.max(now + step, 0), all.length - 1)];
  next?.querySelector("a")?.focus();
}

const keys = {
  "/": () => filterField()?.focus(),
  "?": () => openSheet(),
  "[": () => stepRange(-1),
  "]": () => stepRange(1),
  g: () => { goes = Date.now(); },
  j: () => moveRow(1),
  k: () => moveRow(-1),
  n: () => document.querySelector("[data-new]")?.click(),
};

addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
    event.preventDefault();
    byId("palette")?.open ? byId("palette").close() : openPalette();
    return;
  }
  if (event.key === "Escape") document.querySelectorAll("details[data-menu][open]").forEach((menu) => { menu.open = false; });
  const typing = event.target.closest?.("input, textarea, select, [contenteditable], dialog[open]");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !team() || root.dataset.shortcuts === "off" || (singles && !singles.checked)) return;
  const letter = event.key.toLowerCase();
  if (Date.now() - goes < 1200 && /^[a-z]$/.test(letter) && place(letter)) {
    goes = 0;
    place(letter).click();
  } else if (event.key in keys) {
    if (event.key !== "g") event.preventDefault();
    keys[event.key]();
  } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && event.target.closest("[data-rows]")) {
    event.preventDefault();
    moveRow(event.key === "ArrowDown" ? 1 : -1);
  }
});

// ---- focus stays where it was when what has it is renewed: htmx sees to elements with an id alone

const sameness = (one) => [one.tagName, one.getAttribute("class"), one.getAttribute("href") ?? one.ariaLabel ?? one.textContent].join();
let had;
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  had = detail.target.contains(document.activeElement) && sameness(document.activeElement);
});
document.addEventListener("htmx:afterSwap", () => {
  if (had && document.activeElement === document.body) {
    [...document.querySelectorAll("main a, main button, main summary, main [tabindex]")].find((one) => sameness(one) === had)?.focus({ preventScroll: true });
  }
});

// ---- forms: a select or a check box with data-submit sends its form; a second click does not send twice

document.addEventListener("change", (event) => {
  if (event.target.closest("[data-submit]")) event.target.form.requestSubmit();
});
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || event.defaultPrevented || "again" in form.dataset) return;
  setTimeout(() => form.querySelectorAll("button[type=submit], button:not([type])").forEach((b) => { b.disabled = true; }), 0);
});
addEventListener("pageshow", () => document.querySelectorAll("form button:disabled").forEach((b) => { b.disabled = false; }));

document.body.addEventListener("htmx:responseError", (event) => {
  const status = event.detail.xhr.status;
  if (status === 401 || status === 403) toast("You may not see this any more. Reload the page.", "error");
  else toast(`The server answered with ${status}. Try again; request ${event.detail.xhr.getResponseHeader("x-request-id") ?? "without an id"}.`, "error");
});

// ---- offline: a quiet bar says so, asks again by itself, and goes when the server answers

const AGAIN_MS = 5_000;
let asking = 0;

function lost() {
  const bar = byId("offline");
  if (!bar) return;
  bar.querySelector("p").textContent = `${navigator.onLine ? "Tidegate does not answer." : "You are offline."} What you see is as of ${new Date().toISOString().slice(11, 19)} UTC.`;
  bar.hidden = false;
  clearTimeout(asking);
  asking = setTimeout(reach, AGAIN_MS);
}

async function reach() {
  clearTimeout(asking);
  const answer = await fetch("/healthz", { cache: "no-store" }).catch(() => null);
  const bar = byId("offline");
  if (!answer) {
    if (bar.hidden) lost();
    else asking = setTimeout(reach, AGAIN_MS);
    return;
  }
  if (!bar.hidden) announce("Connected again");
  bar.hidden = true;
}
addEventListener("offline", lost);
addEventListener("online", reach);
addEventListener("lost", reach); // live.js: the socket does not come back
document.body.addEventListener("htmx:sendError", reach);
