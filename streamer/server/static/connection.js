// The WebSocket: comes back by itself, knows the server's clock, and pairs commands with their acknowledgements.

const FIRST_PAUSE_MS = 400;
const LONGEST_PAUSE_MS = 8000;
const PING_MS = 4000;
const SILENCE_MS = 12000;
const ACK_MS = 8000;
const TOKEN_NEEDED = 4401;

export class Connection extends EventTarget {
  // Events: "state" (detail: {state, retryAt}), "message" (detail: JSON message), "picture" (detail: ArrayBuffer).
  #socket = null;
  #pause = FIRST_PAUSE_MS;
  #retry = 0;
  #nextId = 1;
  #waiting = new Map();
  #heardAt = 0;
  #bestTrip = Infinity;
  #offset = 0;

  constructor(token) {
    super();
    this.token = token;
    this.state = "connecting";
    setInterval(() => this.#ping(), PING_MS);
    addEventListener("online", () => this.tryNow());
    document.addEventListener("visibilitychange", () => document.hidden || this.tryNow());
  }

  // The server's clock, Unix seconds.
  now() {
    return Date.now() / 1000 + this.#offset;
  }

  open() {
    clearTimeout(this.#retry);
    this.#say("connecting");
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.#heardAt = performance.now();
    // Sent even without one, so that a server that wants it says so at once.
    socket.onopen = () => socket.send(JSON.stringify({ type: "auth", token: this.token ?? "" }));
    socket.onmessage = (event) => this.#hear(event.data);
    socket.onclose = (event) => this.#lost(socket, event);
  }

  // Where the connection is lost, tries again without waiting.
  tryNow() {
    if (this.state === "lost") this.open();
  }

  useToken(token) {
    this.token = token;
    this.#pause = FIRST_PAUSE_MS;
    this.open();
  }

  // Resolves to {ok, error}; never rejects.
  command(type, fields) {
    const id = this.#nextId++;
    return new Promise((resolve) => {
      if (!this.#linked) {
        resolve({ ok: false, error: "Not connected. Try again when the connection is back." });
        return;
      }
      const timer = setTimeout(() => this.#settle(id, { ok: false, error: "The server did not answer." }), ACK_MS);
      this.#waiting.set(id, { resolve, timer });
      this.#socket.send(JSON.stringify({ type, id, ...fields }));
    });
  }

  #hear(data) {
    this.#heardAt = performance.now();
    if (data instanceof ArrayBuffer) {
      this.dispatchEvent(new CustomEvent("picture", { detail: data }));
      return;
    }
    const message = JSON.parse(data);
    if (message.type === "ack") this.#settle(message.id, message);
    else if (message.type === "pong") this.#setClock(message);
    else {
      if (message.type === "hello") this.#welcome(message);
      this.dispatchEvent(new CustomEvent("message", { detail: message }));
    }
  }

  #welcome(message) {
    this.#pause = FIRST_PAUSE_MS;
    this.#bestTrip = Infinity;
    this.#offset = message.time - Date.now() / 1000;
    this.#say("open");
    this.#ping();
  }

  // The answer that came back fastest tells the other clock best.
  #setClock({ sent, time }) {
    const trip = Date.now() / 1000 - sent;
    if (trip >= 0 && trip <= this.#bestTrip) {
      this.#bestTrip = trip;
      this.#offset = time - (sent + trip / 2);
    }
  }

  // Whether anything can be sent; a connection that is closing says so before its end is told.
  get #linked() {
    return this.state === "open" && this.#socket?.readyState === WebSocket.OPEN;
  }

  #ping() {
    if (this.state !== "open") return;
    if (performance.now() - this.#heardAt > SILENCE_MS) this.#lost(this.#socket, { code: 1006 });
    else if (this.#linked) this.#socket.send(JSON.stringify({ type: "ping", sent: Date.now() / 1000 }));
  }

  #settle(id, ack) {
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    this.#waiting.delete(id);
    clearTimeout(waiting.timer);
    waiting.resolve(ack);
  }

  #lost(socket, { code }) {
    if (socket !== this.#socket) return;
    this.#socket = null;
    socket.onclose = null;
    socket.onmessage = null;
    socket.close();
    for (const id of [...this.#waiting.keys()]) this.#settle(id, { ok: false, error: "The connection was lost." });
    if (code === TOKEN_NEEDED) {
      this.#say("token");
      return;
    }
    const pause = this.#pause * (0.8 + 0.4 * Math.random());
    this.#pause = Math.min(LONGEST_PAUSE_MS, this.#pause * 2);
    this.#retry = setTimeout(() => this.open(), pause);
    this.#say("lost", Date.now() + pause);
  }

  #say(state, retryAt = 0) {
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: { state, retryAt } }));
  }
}
