// The tab's one websocket to /ws/v1/live: topics, reconnecting, acknowledgements, and HTTP when there is no socket.
// Nobody here draws. A subscription hands its messages to handlers; live.state says how things stand:
// "live", "waiting" (reconnecting), "polling" (by HTTP), "slow" (acknowledged late), "out" (signed out or no access).

const BACKOFF_FIRST_MS = 500;
const BACKOFF_MAX_MS = 30_000;
const TRIES_BEFORE_POLLING = 5;
const POLL_MS = 10_000;
const DEAD_MS = 35_000;
const ACK_MS = 2_000;
const QUIET_MS = 3_000; // so long a hole in the connection is not worth a word
const HIDDEN_RESUBSCRIBE_MS = 120_000;
const FINAL_CODES = new Set([4401, 4403]);
const TOO_MANY = 4429;

class Live extends EventTarget {
  subscriptions = new Map();
  state = "waiting";
  #socket = null;
  #tries = 0;
  #next = 0;
  #epoch = null;
  #offset = 0;
  #seq = 0;
  #acked = 0;
  #ackedAt = 0;
  #ackTimer = 0;
  #retryTimer = 0;
  #pollTimer = 0;
  #quietTimer = 0;
  #heardAt = 0;
  #hiddenAt = 0;
  #ready = false;
  #code = 0;

  constructor() {
    super();
    addEventListener("online", () => this.#hurry());
    addEventListener("focus", () => this.#hurry());
    addEventListener("pageshow", (event) => event.persisted && this.#hurry());
    addEventListener("pagehide", () => this.#socket?.close());
    document.addEventListener("visibilitychange", () => this.#visible());
    setInterval(() => this.#watch(), 5_000);
  }

  get team() {
    return document.body.dataset.team;
  }

  /** The server's time in seconds since the epoch. */
  now() {
    return Date.now() / 1000 + this.#offset;
  }

  /** topic, res and names as in a `sub`; since() gives the last time known, or nothing. handlers: op → function.
   *  `reset` is called when what was known is worthless. Answers a function that ends it. */
  subscribe({ topic, res = 1, names = [], since = () => undefined, handlers }) {
    const id = `s${++this.#next}`;
    this.subscriptions.set(id, { id, topic, res, names, since, handlers });
    if (this.#ready) this.#send(this.subscriptions.get(id));
    else if (!this.#socket) this.#connect();
    else if (this.state === "polling") this.#poll(this.subscriptions.get(id));
    return () => {
      this.subscriptions.delete(id);
      if (this.#ready) this.#say({ op: "unsub", id });
      if (!this.subscriptions.size) this.#rest();
    };
  }

  // ---- the socket

  #connect() {
    clearTimeout(this.#retryTimer);
    if (this.#socket || this.state === "out" || !this.subscriptions.size || !this.team) return;
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/v1/live`);
    this.#socket = socket;
    this.#heardAt = Date.now();
    socket.onopen = () => this.#say({ op: "hello", v: 1, team: this.team });
    socket.onmessage = (event) => this.#socket === socket && this.#hear(JSON.parse(event.data));
    socket.onclose = (event) => this.#socket === socket && this.#closed(event.code);
  }

  #closed(given) {
    const code = this.#code || given;
    this.#code = 0;
    this.#socket = null;
    this.#ready = false;
    clearTimeout(this.#ackTimer);
    this.#ackTimer = 0;
    if (FINAL_CODES.has(code)) {
      this.#stopPolling();
      this.#become("out");
      return;
    }
    this.#tries = code === TOO_MANY ? Math.max(this.#tries, TRIES_BEFORE_POLLING) : this.#tries + 1;
    if (this.#tries >= TRIES_BEFORE_POLLING) this.#startPolling();
    else if (!this.#quietTimer && this.state !== "waiting") {
      this.#quietTimer = setTimeout(() => this.#become("waiting"), QUIET_MS);
    }
    if (this.#tries === 2) dispatchEvent(new Event("lost"));
    const wait = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** (this.#tries - 1));
    this.#retryTimer = setTimeout(() => this.#connect(), wait * Math.random());
  }

  /** Back at once when the network or the person is back. */
  #hurry() {
    if (this.#socket || this.state === "out") return;
    this.#tries = Math.min(this.#tries, TRIES_BEFORE_POLLING);
    this.#connect();
  }

  #watch() {
    if (this.#socket && Date.now() - this.#heardAt > DEAD_MS) {
      const dead = this.#socket;
      this.#closed(1006);
      dead.close();
    }
  }

  #rest() {
    clearTimeout(this.#retryTimer);
    this.#stopPolling();
    const socket = this.#socket;
    this.#socket = null;
    this.#ready = false;
    socket?.close();
  }

  #visible() {
    if (document.hidden) this.#hiddenAt = Date.now();
    this.#say({ op: "vis", hidden: document.hidden });
    if (document.hidden) return;
    this.#hurry();
    if (this.#ready && Date.now() - this.#hiddenAt > HIDDEN_RESUBSCRIBE_MS) {
      for (const subscription of this.subscriptions.values()) this.#send(subscription);
    }
  }

  #say(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #send({ id, topic, res, names, since }) {
    const message = { op: "sub", id, topic, res };
    const last = since();
    if (last !== undefined) message.since = last;
    if (names.length) message.names = names;
    this.#say(message);
  }

  #hear(message) {
    this.#heardAt = Date.now();
    if (message.now !== undefined) this.#offset = message.now - Date.now() / 1000;
    if (message.seq !== undefined) this.#acknowledge(message.seq);
    if (message.op === "closed") {
      const socket = this.#socket; // the server's close frame has no code of its own, so this comes before it
      this.#closed(message.code);
      socket?.close();
      return;
    }
    if (message.op === "closed") this.#code = message.code; // granian's close frame carries no code
    else if (message.op === "welcome") this.#welcome(message);
    else if (message.op === "lag") this.#become(message.why === "slow_client" ? "slow" : "live");
    this.#hand(message.id, message);
  }

  #welcome(message) {
    this.#ready = true;
    this.#tries = 0;
    this.#seq = this.#acked = 0;
    this.#stopPolling();
    this.#enter(message.epoch);
    if (document.hidden) this.#say({ op: "vis", hidden: true });
    for (const subscription of this.subscriptions.values()) this.#send(subscription);
    this.#become("live");
  }

  /** Another epoch: what Redis held is gone, and so is what we have of it. */
  #enter(epoch) {
    if (this.#epoch && epoch && epoch !== this.#epoch) {
      for (const { handlers } of this.subscriptions.values()) handlers.reset?.();
    }
    this.#epoch = epoch || this.#epoch;
  }

  /** At most every two seconds. By the arrival of messages where possible: timers sleep in hidden tabs. */
  #acknowledge(seq) {
    this.#seq = seq;
    const wait = this.#ackedAt + ACK_MS - Date.now();
    if (wait <= 0) this.#ack();
    else if (!this.#ackTimer) this.#ackTimer = setTimeout(() => this.#ack(), wait);
  }

  #ack() {
    clearTimeout(this.#ackTimer);
    this.#ackTimer = 0;
    this.#ackedAt = Date.now();
    if (this.#seq > this.#acked) this.#say({ op: "ack", seq: this.#seq });
    this.#acked = this.#seq;
  }

  #hand(id, message) {
    this.subscriptions.get(id)?.handlers[message.op]?.(message);
  }

  #become(state) {
    clearTimeout(this.#quietTimer);
    this.#quietTimer = 0;
    if (this.state === state) return;
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }

  // ---- without a socket

  #startPolling() {
    if (this.#pollTimer) return;
    this.#become("polling");
    const all = () => {
      if (!document.hidden) for (const subscription of this.subscriptions.values()) this.#poll(subscription);
    };
    this.#pollTimer = setInterval(all, POLL_MS);
    all();
  }

  #stopPolling() {
    clearInterval(this.#pollTimer);
    this.#pollTimer = 0;
  }

  async #poll({ id, topic, res, names, since }) {
    const query = new URLSearchParams({ topic, res });
    const last = since();
    if (last !== undefined) query.set("since", Math.floor(last));
    for (const name of names) query.append("names", name);
    try {
      const answer = await fetch(`/t/${this.team}/live.json?${query}`, { headers: { Accept: "application/json" } });
      if (answer.status === 401) {
        this.#stopPolling();
        this.#become("out");
        return;
      }
      const message = await answer.json();
      if (this.state !== "polling") return;
      if (message.now !== undefined) this.#offset = message.now - Date.now() / 1000;
      this.#enter(message.epoch);
      this.#hand(id, message);
      if (message.limit !== undefined) this.#hand(id, { op: "limit", v: message.limit });
      for (const mark of message.marks ?? []) this.#hand(id, { op: "mark", ...mark });
    } catch {
      // No network: the socket keeps trying.
    }
  }
}

export const live = new Live();
