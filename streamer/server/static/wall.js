// All streams at once, as tiles that somebody arranges; alerts that nobody has handled above them.

import { Alerts } from "./alerts.js";
import { el, put } from "./dom.js";
import { WallDrag } from "./walldrag.js";
import { grouped, groupsOf, WallLayout } from "./walllayout.js";
import { neighbour, pack } from "./wallpack.js";
import { fillScreen, leaveScreen } from "./wallscreen.js";
import { WallTile } from "./walltile.js";
import { whole } from "./words.js";

const TICK_MS = 250;
const MARGIN = 12;
const SAID_MS = 5000;
const LONG_MS = 12000;
const ARROWS = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down" };

export class Wall {
  #count = el("p", { class: "wall-count" });
  #group = el("select", {});
  #groupField = el("label", { class: "wall-group-field", hidden: true }, el("span", { text: "Group" }), this.#group);
  #arrange = el("button", { class: "button", type: "button", text: "Arrange", "aria-pressed": "false" });
  #reset = el("button", { class: "button", type: "button", text: "As at first", hidden: true });
  #screen = el("button", { class: "button", type: "button", text: "Full screen" });
  #said = el("p", { class: "wall-said", role: "status" });
  #caveat = el("p", { class: "wall-caveat", role: "note" });
  #keys = el("p", { class: "wall-keys", id: "wall-keys", hidden: true, text: "Drag a tile into another one's place, or use its buttons. Keys on a tile: arrows go to the next one, Shift with arrows moves it, L makes it large or normal, F shows it on the full screen." });
  #strip = el("section", { class: "wall-alerts", hidden: true });
  #none = el("div", { class: "wall-none" }, el("p", { text: "Waiting for the server…" }));
  #list = el("div", { class: "wall-tiles", role: "group" });
  #tiles = new Map();
  #laid = { places: new Map(), heads: [], height: 0 };
  #layout = new WallLayout();
  #alerts;
  #fresh = new Set();
  #frame = 0;
  #silence = 0;
  #timer = 0;
  #moved = true;
  #laidShape = "";

  // page: what all views share, see main.js.
  constructor(root, page) {
    Object.assign(this, { root, page });
    this.#strip.setAttribute("aria-label", "Alerts that nobody has handled");
    this.#list.setAttribute("aria-label", "Streams");
    this.#alerts = new Alerts(this.#strip, page.connection, (name) => page.store.streams.has(name) && this.#look(name));
    const head = el("div", { class: "wall-bar" }, el("h2", { text: "Wall" }), this.#count, this.#groupField, this.#said, el("div", { class: "wall-buttons" }, this.#reset, this.#arrange, this.#screen));
    root.replaceChildren(head, this.#caveat, this.#keys, this.#strip, this.#none, this.#list);
    this.#listen();
  }

  // It is looked at. Also called again whenever streams come and go.
  open() {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#keepTiles();
    for (const name of this.#tiles.keys()) this.#fresh.add(name);
    this.#tick();
    this.#lay();
  }

  // It is looked at no more.
  close() {
    clearInterval(this.#timer);
    this.#timer = 0;
    this.#fresh.clear();
  }

  #listen() {
    const { player, connection } = this.page;
    player.addEventListener("picture", ({ detail }) => this.#timer && this.#tiles.has(detail) && this.#want(detail));
    connection.addEventListener("state", () => this.#timer && this.#tick());
    this.#arrange.addEventListener("click", () => this.#setArranging(!this.#arranging));
    this.#reset.addEventListener("click", () => { this.#layout.reset(); this.#rearranged("All tiles are as at first"); });
    this.#screen.addEventListener("click", () => this.#fill());
    this.#group.addEventListener("change", () => { this.#layout.show(this.#group.value); this.#rearranged(""); });
    this.#list.addEventListener("keydown", (event) => this.#key(event));
    document.addEventListener("fullscreenchange", () => { put(this.#screen, document.fullscreenElement === this.root ? "Leave full screen" : "Full screen"); this.#lay(); });
    const sizes = new ResizeObserver(() => this.#timer && this.#lay());
    for (const node of [this.root, this.#strip, this.#keys, ...document.querySelectorAll(".top, #banner, #caveat, #heard")]) sizes.observe(node);
    addEventListener("resize", () => this.#timer && this.#lay());
    new WallDrag(this.#list, {
      nameOf: (element) => (element.closest(".wall-tools, .wall-restart") ? null : element.closest(".wall-tile")?.dataset.name),
      at: (x, y) => [...this.#laid.places].find(([, place]) => x >= place.x && x < place.x + place.width && y >= place.y && y < place.y + place.height)?.[0] ?? null,
      tile: (name) => this.#tiles.get(name)?.root,
      may: (event) => event.pointerType !== "touch" || this.#arranging,
      fits: (name, target) => this.#layout.group || this.#groupOf(name) === this.#groupOf(target),
      drop: (name, target) => this.#move(name, target),
      refuse: (name, target) => this.#say(`${name} stays in its place: a tile is moved within its group, and ${target} is ${this.#groupOf(target) ? `in ${this.#groupOf(target)}` : "in none"}. Its group is changed under Settings.`, LONG_MS),
    });
  }

  // -- tiles

  #keepTiles() {
    const names = this.page.streams();
    for (const [name, tile] of this.#tiles) {
      if (names.includes(name)) continue;
      tile.root.remove();
      this.#tiles.delete(name);
    }
    const actions = {
      open: (name) => this.#arranging || this.#look(name),
      resize: (name) => this.#resize(name),
      enlarge: (name) => this.#enlarge(name),
      earlier: (name) => this.#step(name, -1),
      later: (name) => this.#step(name, 1),
      restart: (name) => this.#restart(name),
    };
    for (const name of names) if (!this.#tiles.has(name)) this.#tiles.set(name, new WallTile(name, actions));
    this.#sayEmpty(names.length === 0);
  }

  #sayEmpty(empty) {
    this.#none.hidden = !empty;
    for (const node of [this.#arrange, this.#screen]) node.hidden = empty;
    if (!empty) return;
    const adds = this.page.store.hello?.can_add;
    const way = adds ? el("a", { class: "button", href: "#settings", text: "Add a stream" }) : el("p", { text: "Start streamer with files or cameras: streamer watch SOURCE" });
    this.#none.replaceChildren(el("p", { text: "No stream is being watched." }), way);
  }

  async #look(name) {
    await leaveScreen();
    this.page.look(name);
  }

  async #restart(name) {
    put(this.#said, `Opening ${name} again…`);
    const { ok, error } = await this.page.connection.command("restart", { stream: name });
    put(this.#said, ok ? "" : error);
  }

  async #enlarge(name) {
    if (document.fullscreenElement) await leaveScreen();
    else put(this.#said, await fillScreen(this.#tiles.get(name).root));
  }

  async #fill() {
    if (document.fullscreenElement) await leaveScreen();
    else put(this.#said, await fillScreen(this.root));
  }

  // -- what is arranged

  get #arranging() {
    return this.#arrange.getAttribute("aria-pressed") === "true";
  }

  #setArranging(arranging) {
    this.#arrange.setAttribute("aria-pressed", String(arranging));
    put(this.#arrange, arranging ? "Done" : "Arrange");
    this.root.classList.toggle("arranging", arranging);
    this.#keys.hidden = this.#reset.hidden = !arranging;
    put(this.#said, "");
    this.#lay();
  }

  #groupOf = (name) => this.page.store.streams.get(name)?.group ?? "";

  // Names as they stand, by group.
  get #sections() {
    return grouped(this.#layout.arranged([...this.#tiles.keys()]), this.#groupOf, this.#layout.group);
  }

  #move(name, target) {
    this.#layout.move([...this.#tiles.keys()], name, target);
    const { names } = this.#sections.find((section) => section.names.includes(name));
    this.#rearranged(`${name} is number ${names.indexOf(name) + 1} of ${names.length}`);
  }

  #step(name, by) {
    const { names } = this.#sections.find((section) => section.names.includes(name));
    const target = names[names.indexOf(name) + by];
    if (target) this.#move(name, target);
    else this.#say(`${name} is the ${by < 0 ? "first" : "last"} one`);
  }

  #resize(name) {
    const large = this.#layout.resize(name);
    this.#rearranged(`${name} is ${large ? "large" : "normal"}`);
  }

  // Said for a while, then it is no news any more.
  #say(words, ms = SAID_MS) {
    clearTimeout(this.#silence);
    put(this.#said, words);
    this.#silence = setTimeout(() => this.#said.textContent === words && put(this.#said, ""), ms);
  }

  #rearranged(words) {
    this.#say(words);
    this.#moved = true;
    this.#lay();
  }

  #key(event) {
    const tile = event.target.closest(".wall-open") && event.target.closest(".wall-tile");
    if (!tile || event.ctrlKey || event.altKey || event.metaKey) return;
    const name = tile.dataset.name;
    const letter = event.key.toLowerCase();
    if (event.key in ARROWS) {
      const next = neighbour(this.#laid.places, name, ARROWS[event.key]);
      if (event.shiftKey && ["ArrowLeft", "ArrowRight"].includes(event.key)) this.#step(name, event.key === "ArrowLeft" ? -1 : 1);
      else if (event.shiftKey && next && (this.#layout.group || this.#groupOf(next) === this.#groupOf(name))) this.#move(name, next);
      else if (!event.shiftKey && next) this.#tiles.get(next).button.focus();
    } else if (letter === "l") this.#resize(name);
    else if (letter === "f") this.#enlarge(name);
    else return;
    event.preventDefault();
  }

  // -- drawing: once a frame, and only what is another than before

  #want(name) {
    this.#fresh.add(name);
    this.#frame ||= requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    this.#frame = 0;
    if (!this.#timer) return;
    if (this.#laid.stale) this.#place();
    for (const name of this.#fresh) this.#tiles.get(name)?.draw(this.page.player);
    this.#fresh.clear();
  }

  // What changes with time alone: words, ages, fading boxes, alerts.
  #tick() {
    const { store, player, connection } = this.page;
    const linked = connection.state === "open";
    const now = this.page.now();
    const caveat = store.hello?.caveat ? `About these answers: ${store.hello.caveat}` : "";
    put(this.#caveat, caveat);
    for (const [name, tile] of this.#tiles) {
      const stream = store.streams.get(name);
      if (stream) tile.show(stream, player, linked, now, linked && this.page.admin(), caveat);
    }
    this.#alerts.show(store.alerts.filter((alert) => alert.acknowledged === null), now);
    this.#sayCount(linked);
    if (this.#shape !== this.#laidShape) this.#lay();
  }

  // What the places follow from.
  get #shape() {
    return JSON.stringify([...this.#tiles].map(([name, tile]) => [name, tile.aspect, this.#groupOf(name)]));
  }

  #sayCount(linked) {
    const all = [...this.page.store.streams.values()];
    const streams = this.#layout.group ? all.filter(({ group }) => group === this.#layout.group) : all; // those that are shown
    const live = streams.filter((stream) => stream.state === "live").length;
    const words = streams.length ? `${whole(live)} of ${whole(streams.length)} live` : "";
    put(this.#count, linked || !streams.length ? words : "The connection to the server is lost; it is tried again by itself");
  }

  // The places are found anew with the next frame.
  #lay() {
    this.#laid.stale = true;
    this.#frame ||= requestAnimationFrame(() => this.#draw());
  }

  #place() {
    this.#laidShape = this.#shape;
    this.#showGroups();
    const sections = this.#sections.map(({ title, names }) => ({ title, tiles: names.map((name) => ({ name, aspect: this.#tiles.get(name).aspect, large: this.#layout.isLarge(name) })) }));
    const place = this.#list.getBoundingClientRect();
    const above = document.fullscreenElement === this.root ? place.top + this.root.scrollTop : place.top + scrollY;
    this.#laid = pack(sections, this.#list.clientWidth, innerHeight - above - MARGIN);
    this.#list.style.height = `${this.#laid.height}px`;
    if (this.#moved || this.#list.dataset.order !== this.#order(sections)) this.#sort(sections);
    for (const [name, spot] of this.#laid.places) this.#tiles.get(name).put(spot, this.#layout.isLarge(name));
    for (const [number, { y }] of this.#laid.heads.entries()) this.#list.querySelectorAll(".wall-group")[number].style.top = `${y}px`;
  }

  #order(sections) {
    return JSON.stringify(sections.map(({ title, tiles }) => [title, tiles.map((tile) => tile.name)]));
  }

  // The tiles in the page in the order in which they are seen: the Tab key follows it.
  #sort(sections) {
    this.#moved = false;
    this.#list.dataset.order = this.#order(sections);
    const focused = document.activeElement;
    const nodes = sections.flatMap(({ title, tiles }) => [...(title ? [el("h3", { class: "wall-group", text: title })] : []), ...tiles.map((tile) => this.#tiles.get(tile.name).root)]);
    this.#list.replaceChildren(...nodes);
    if (this.#list.contains(focused)) focused.focus({ preventScroll: true });
  }

  #showGroups() {
    const groups = groupsOf([...this.#tiles.keys()], this.#groupOf);
    if (this.#tiles.size && this.#layout.group && !groups.includes(this.#layout.group)) this.#layout.show("");
    this.#groupField.hidden = groups.length === 0;
    const key = JSON.stringify(groups);
    if (this.#group.dataset.key !== key) {
      this.#group.dataset.key = key;
      this.#group.replaceChildren(el("option", { value: "", text: "All" }), ...groups.map((name) => el("option", { value: name, text: name })));
    }
    this.#group.value = this.#layout.group;
  }
}
