// What the page knows: the server's word, nothing invented. A snapshot replaces all of it.

const RESULTS_KEPT = 200;

export class Store extends EventTarget {
  // Events: "hello", "streams" (some came or went, or all is new), "stream", "result" (detail: name), "selected".
  hello = null;
  streams = new Map();
  selected = null;
  #results = new Map();

  get current() {
    return this.streams.get(this.selected) ?? null;
  }

  // Newest last.
  results(name) {
    return this.#results.get(name) ?? [];
  }

  newest(name) {
    return this.results(name).at(-1) ?? null;
  }

  select(name) {
    this.selected = name;
    this.#tell("selected", name);
  }

  take(message) {
    switch (message.type) {
      case "hello":
        this.hello = message;
        this.#tell("hello");
        break;
      case "snapshot":
        this.#takeSnapshot(message);
        break;
      case "stream":
        this.#takeStream(message);
        break;
      case "removed":
        this.#drop(message.stream);
        break;
      case "result":
        if (this.streams.has(message.stream)) {
          this.#keep(message);
          this.#tell("result", message.stream);
        }
        break;
    }
  }

  #takeSnapshot({ streams, results }) {
    this.streams = new Map(streams.map((stream) => [stream.stream, stream]));
    this.#results = new Map();
    results.forEach((result) => this.#keep(result));
    if (!this.streams.has(this.selected)) this.selected = this.streams.keys().next().value ?? null;
    this.#tell("streams");
  }

  #takeStream(stream) {
    const known = this.streams.get(stream.stream);
    if (known && known.number === stream.number && known.sequence > stream.sequence) return;
    this.streams.set(stream.stream, stream);
    if (this.selected === null) this.selected = stream.stream;
    this.#tell(known ? "stream" : "streams", stream.stream);
  }

  #drop(name) {
    this.streams.delete(name);
    this.#results.delete(name);
    if (this.selected === name) this.selected = this.streams.keys().next().value ?? null;
    this.#tell("streams");
  }

  #keep(result) {
    const kept = this.#results.get(result.stream) ?? [];
    kept.push(result);
    if (kept.length > RESULTS_KEPT) kept.shift();
    this.#results.set(result.stream, kept);
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
