// Following records: asks once a second, shows the newest 200 rows, counts what was skipped, stops when nobody looks.

import { announce, toast } from "./app.js";

const ROWS_MAX = 200;
const EVERY_MS = 1000;
const IDLE_MS = 10 * 60 * 1000;

class RecordFollow extends HTMLElement {
  connectedCallback() {
    this.button = this.querySelector("[data-follow]");
    this.form = this.querySelector("form[data-filter]");
    this.button.hidden = false;
    this.button.addEventListener("click", () => (this.timer ? this.stop() : this.start()));
    this.form.addEventListener("submit", () => this.stop());
    this.form.addEventListener("change", () => this.place());
    this.place();
    for (const kind of ["pointerdown", "keydown"]) this.addEventListener(kind, () => { this.touched = Date.now(); });
    document.body.addEventListener("htmx:afterSwap", (event) => {
      if (event.target.id !== "inspector") return;
      this.select();
      if (matchMedia("(max-width: 1180px)").matches) event.target.scrollIntoView({ block: "start" });
    });
  }

  disconnectedCallback() {
    this.stop();
  }

  place() {
    const start = this.form.elements.start.value;
    this.querySelector(".field-at").hidden = !["time", "at", "after"].includes(start);
  }

  select() {
    const open = new URLSearchParams(location.search).get("record");
    for (const row of this.querySelectorAll("tr.rec")) {
      const link = row.querySelector("a");
      row.toggleAttribute("aria-selected", false);
      if (open && new URL(link.href).searchParams.get("record") === open) row.setAttribute("aria-selected", "true");
    }
  }

  start() {
    this.from = "";
    this.skipped = 0;
    this.touched = Date.now();
    this.button.setAttribute("aria-pressed", "true");
    this.button.querySelector("span").textContent = "Pause";
    announce("Following new records");
    this.timer = true;
    this.ask();
  }

  stop(reason) {
    if (!this.timer) return;
    clearTimeout(this.timer);
    this.timer = null;
    this.button.setAttribute("aria-pressed", "false");
    this.button.querySelector("span").textContent = "Follow";
    if (reason) toast(reason);
  }

  async ask() {
    if (!this.timer) return;
    if (Date.now() - this.touched > IDLE_MS) {
      this.stop("Stopped following: nobody touched the page for 10 minutes.");
      return;
    }
    if (!document.hidden) await this.fetch();
    if (this.timer) this.timer = setTimeout(() => this.ask(), EVERY_MS);
  }

  async fetch() {
    const body = new FormData(this.form);
    body.set("from", this.from);
    const headers = JSON.parse(document.body.getAttribute("hx-headers"));
    let answer;
    try {
      const response = await fetch(this.dataset.source, { method: "POST", body, headers });
      if (response.status === 403 || response.redirected) return this.stop("You may not see these records any more.");
      answer = await response.json();
    } catch {
      this.tell("Reconnecting");
      return;
    }
    if (answer.from !== undefined) this.from = answer.from;
    if (answer.error) {
      if (answer.from === undefined) this.stop(answer.error);
      else this.tell(answer.error);
      return;
    }
    this.add(answer);
  }

  add(answer) {
    this.skipped += answer.skipped;
    const rows = this.querySelector("#rows");
    if (answer.shown) {
      this.querySelector("[data-none]")?.remove();
      rows.closest(".scroll").hidden = false;
      rows.insertAdjacentHTML("afterbegin", answer.rows);
      for (const row of [...rows.children].slice(0, answer.shown)) window.htmx?.process(row);
      while (rows.children.length > ROWS_MAX) rows.lastElementChild.remove();
    }
    this.tell(answer.more ? "Following" : "Following, up to date");
    const box = this.querySelector("[data-skipped]");
    box.hidden = this.skipped === 0;
    box.textContent = `${this.skipped.toLocaleString("en")} skipped`;
  }

  tell(text) {
    this.querySelector("[data-status]").textContent = text;
  }
}
customElements.define("record-follow", RecordFollow);
