// What came of trying a rule over the last day, beside the card or form that asked: a line a stream, each moment a way
// into the history.

import { el, put } from "./dom.js";
import { localTime } from "./query.js";
import { sendJson } from "./token.js";
import { dayTime, whole } from "./words.js";

const DAY = 86400;
const LINKS = 24;

export class Trial {
  #words = el("p", { role: "status" });
  #list = el("ul", { class: "trial-list" });
  #turn = 0;

  // now(): the server's clock.
  constructor(now) {
    this.now = now;
    this.root = el("div", { class: "trial", hidden: true }, this.#words, this.#list);
  }

  clear() {
    this.#turn += 1;
    this.root.hidden = true;
  }

  // what: {rule} or {name}, as the server takes it; name: what the rule is called.
  async run(what, name) {
    const turn = ++this.#turn;
    this.root.hidden = false;
    this.#list.replaceChildren();
    put(this.#words, `Trying ${name} on the last day…`);
    const { value, error } = await sendJson("POST", "/api/v1/rules/test", { ...what, since: this.now() - DAY });
    if (turn !== this.#turn) return;
    if (error) return put(this.#words, `${name} cannot be tried: ${error}`);
    const seen = value.streams.filter((one) => framesOf(one));
    put(this.#words, seen.length ? `${name}, over the last day${value.complete ? "" : ", of which only a part could be looked at in time"}:` : `${name}: there is nothing of its streams in the history yet.`);
    this.#list.replaceChildren(...seen.map(lineOf));
  }
}

const framesOf = ({ met, missed, unknown, off_duty: off }) => met + missed + unknown + off;

function lineOf(one) {
  const times = one.fired_count === 0 ? "would never have fired" : `would have fired ${one.fired_count === 1 ? "once" : `${whole(one.fired_count)} times`}`;
  const frames = framesOf(one) === 1 ? "1 frame" : `${whole(framesOf(one))} frames`;
  const unknown = one.unknown ? `, ${whole(one.unknown)} of which say nothing of it` : "";
  const off = one.off_duty ? `, ${whole(one.off_duty)} while it is off duty` : "";
  const shown = one.fired.slice(0, LINKS);
  const more = one.fired_count - shown.length;
  const words = `${one.stream}: ${times} in ${frames}${unknown}${off}${shown.length ? ", at " : "."}`;
  const links = shown.flatMap((fired, place) => [place ? ", " : "", momentLink(one.stream, fired)]);
  return el("li", {}, words, ...links, more > 0 && shown.length ? ` and ${whole(more)} more` : "");
}

function momentLink(stream, { began_at: at, reason }) {
  const search = `stream:"${stream}" until:${localTime(at + 1)}`;
  return el("a", { href: `#history?q=${encodeURIComponent(search)}`, text: dayTime(at), title: reason });
}
