// In which order the wall has its tiles, which of them are large, and which group is shown; kept by this browser.

const KEY = "streamer-wall";
const MOST = 500;

export class WallLayout {
  #order = [];
  #large = new Set();
  group = "";

  constructor() {
    const { order, large, group } = stored();
    this.#order = names(order);
    this.#large = new Set(names(large));
    this.group = typeof group === "string" ? group : "";
  }

  // All names in their order; those that it does not know come last, as they are given.
  arranged(all) {
    const known = this.#order.filter((name) => all.includes(name));
    return [...known, ...all.filter((name) => !known.includes(name))];
  }

  isLarge(name) {
    return this.#large.has(name);
  }

  // Another size; says whether it is large now.
  resize(name) {
    if (!this.#large.delete(name)) this.#large.add(name);
    this.#keep();
    return this.#large.has(name);
  }

  // Puts a tile into the place of another one, which makes room. all: the names of all streams.
  move(all, name, target) {
    const order = this.arranged(all);
    const [from, to] = [order.indexOf(name), order.indexOf(target)];
    if (from < 0 || to < 0 || from === to) return;
    order.splice(from, 1);
    order.splice(to, 0, name);
    const gone = this.#order.filter((known) => !all.includes(known));
    this.#order = [...order, ...gone].slice(0, MOST);
    this.#keep();
  }

  show(group) {
    this.group = group;
    this.#keep();
  }

  // As at first.
  reset() {
    this.#order = [];
    this.#large = new Set();
    this.#keep();
  }

  #keep() {
    const kept = { order: this.#order, large: [...this.#large].slice(-MOST), group: this.group };
    try { localStorage.setItem(KEY, JSON.stringify(kept)); } catch { /* kept for this page alone */ }
  }
}

// Streams put together by their groups: [{title, names}]; one without a title where there are no groups, or one of them
// is chosen. groupOf(name) -> its group, "" for none.
export function grouped(all, groupOf, chosen) {
  if (chosen) return [{ title: "", names: all.filter((name) => groupOf(name) === chosen) }];
  const titles = groupsOf(all, groupOf);
  if (!titles.length) return [{ title: "", names: all }];
  const rest = all.filter((name) => !groupOf(name));
  const sections = titles.map((title) => ({ title, names: all.filter((name) => groupOf(name) === title) }));
  return rest.length ? [...sections, { title: "Without a group", names: rest }] : sections;
}

export function groupsOf(all, groupOf) {
  return [...new Set(all.map(groupOf).filter(Boolean))].sort((a, b) => a.localeCompare(b));
}

function stored() {
  try { return JSON.parse(localStorage.getItem(KEY)) ?? {}; } catch { return {}; }
}

const names = (value) => (Array.isArray(value) ? value.filter((name) => typeof name === "string").slice(0, MOST) : []);
