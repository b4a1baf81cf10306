// The page: what comes in goes to the store; what the store says goes to the parts.

import { Age } from "./age.js";
import { Alerts } from "./alerts.js";
import { Ask } from "./ask.js";
import { Banner } from "./banner.js";
import { Compare } from "./compare.js";
import { Connection } from "./connection.js";
import { Controls } from "./controls.js";
import { byId, put } from "./dom.js";
import { Facts } from "./facts.js";
import { Ack } from "./field.js";
import { Files } from "./files.js";
import { Heed } from "./heed.js";
import { Note } from "./note.js";
import { Past } from "./past.js";
import { NO_BOXES, Player } from "./player.js";
import { Rules } from "./rules.js";
import { Said } from "./said.js";
import { Save } from "./save.js";
import { Settings } from "./settings.js";
import { Stage } from "./stage.js";
import { Step } from "./step.js";
import { Store } from "./store.js";
import { aspectOf, dotOf } from "./stream.js";
import { Tabs } from "./tabs.js";
import { Tiles } from "./tiles.js";
import { Timeline } from "./timeline.js";
import { dropToken, takeToken } from "./token.js";
import { Wall } from "./wall.js";
import { Wishes } from "./wishes.js";
import { stateWords } from "./words.js";
import { parsePicture } from "./wire.js";

const TICK_MS = 200;

const connection = new Connection(takeToken());
const store = new Store(() => connection.now());
const player = new Player(store, () => connection.now());
const stage = new Stage(byId("stage"));
const note = new Note(byId("stage"), () => headAck.follow(connection.command("restart", { stream: store.selected }), "Opened again"));
const age = new Age(byId("stage"));
const step = new Step(byId("step"), player);
const said = new Said(byId("said"));
const facts = new Facts(byId("facts"));
const ask = new Ask(byId("ask"), { stream: () => store.current, player, budgets: () => store.hello?.budgets ?? [] });
new Save(byId("save"), { stream: () => store.current, player, store });
const tiles = new Tiles(byId("tiles"), (name) => store.select(name));
const timeline = new Timeline(byId("timeline"), byId("newest"));
const controls = new Controls(byId("controls"), connection);
const banner = new Banner(connection);
const alerts = new Alerts(byId("alerts"), connection, (name) => page.look(name));
const heed = new Heed();
// What the views share.
const page = {
  connection,
  store,
  player,
  now: () => connection.now(),
  streams: () => [...store.streams.keys()],
  admin: () => store.hello?.role === "admin",
  // Live, with that stream; nothing where it was removed meanwhile.
  look: (name) => {
    if (!store.streams.has(name)) return;
    store.select(name);
    location.hash = "live";
  },
};
const past = new Past(byId("past"), page);
const rules = new Rules(byId("rules"), page);
const wall = new Wall(byId("wall"), page);
const compare = new Compare(byId("compare"), page);
const files = new Files(byId("files"), page);
const settings = new Settings(byId("settings"), page);
const view = (shows, called, part) => ({ shows, main: shows, called, open: () => linked() && part.open(), close: () => part.close?.() });
// In another view, the line of alerts alone.
addEventListener("hashchange", () => alerts.fold());
const tabs = new Tabs(byId("tabs"), {
  live: { shows: "live", main: "view", called: "the picture", open: showLive },
  wall: view("wall", "the wall", wall),
  compare: view("compare", "the comparison", compare),
  history: view("past", "the history", past),
  rules: view("rules", "the rules", rules),
  files: view("files", "the files", files),
  settings: view("settings", "the settings", settings),
});
const wishes = new Wishes(connection, store, player);
const headAck = new Ack();
const pause = byId("pause");
byId("state").after(headAck.root);

const linked = () => connection.state === "open";

function showHello() {
  wishes.forget();
  if (!store.hello.token_needed) dropToken();
  byId("trouble").hidden = true;
  const { model, caveat, history } = store.hello;
  byId("tabs").hidden = !history;
  put(byId("model"), model);
  byId("model").hidden = false;
  byId("caveat").hidden = !caveat;
  put(byId("caveat"), caveat ? `About these answers: ${caveat}` : "");
}

function showStream() {
  const stream = store.current;
  const changes = store.hello?.role === "admin";
  for (const id of ["state", "step", "save", "facts"]) byId(id).hidden = !stream;
  pause.hidden = !stream || !changes;
  ask.show(Boolean(stream && store.hello?.history));
  controls.show(changes ? stream : null, store.hello);
  put(byId("name"), stream?.stream ?? "No stream yet");
  document.title = stream ? `${stream.stream} · streamer` : "streamer";
  if (!stream) return;
  showState(stream);
  pause.setAttribute("aria-pressed", String(stream.settings.paused));
  put(pause, stream.settings.paused ? "Resume analysis" : "Pause analysis");
  stage.setAspect(aspectOf(stream));
  facts.show(stream, store.newest(stream.stream), store.hello, connection.now());
}

// What its head and the words under it say of the stream's state.
function showState(stream) {
  byId("state").dataset.state = dotOf(stream, linked());
  put(byId("state").querySelector("[data-words]"), stateWords(stream, linked()));
  said.show(store.newest(stream.stream), stream, linked());
}

function showResult() {
  const stream = store.current;
  const result = stream ? store.newest(stream.stream) : null;
  said.show(result, stream, linked());
  if (stream) facts.show(stream, result, store.hello, connection.now());
  tick();
}

// What changes with time alone: ages, fading boxes, notes.
function tick() {
  const now = connection.now();
  const stream = store.current;
  const result = stream ? store.newest(stream.stream) : null;
  banner.tick();
  alerts.show(store.alerts, now);
  if (byId("live").hidden) return;
  tiles.show(store, player, linked(), now);
  const boxes = stream ? player.boxes(stream.stream) : NO_BOXES;
  stage.setBoxes(boxes);
  step.show(stream, boxes);
  age.show(boxes, stream ? player.behind(stream.stream) : 0, result ? Math.max(0, now - result.captured) : 0);
  byId("save").disabled = !stream || !player.shown(stream.stream);
  if (stream) {
    note.follow(stream, player.bitmap(stream.stream), linked(), now);
    facts.showAge(result, now);
    facts.showPictures(player.shown(stream.stream), player.asSent(stream.stream), now);
  } else {
    note.say(store.hello ? EMPTY : { title: "Waiting for the server…", why: "", action: "" });
  }
}

// Nothing of it was drawn while another view was looked at.
function showLive() {
  for (const name of store.streams.keys()) tiles.setPicture(name, player.bitmap(name), player.boxes(name));
  showSelected();
}

const EMPTY = {
  title: "No stream is being watched",
  why: "Start streamer with a file or a camera: streamer watch SOURCE",
  action: "",
};

function showSelected() {
  const stream = store.current;
  if (stream) byId("stage").dataset.stream = stream.stream;
  else delete byId("stage").dataset.stream;
  stage.setPicture(stream ? player.bitmap(stream.stream) : null);
  timeline.reset(stream ? store.results(stream.stream) : [], stream);
  showStream();
  showResult();
}

store.addEventListener("hello", showHello);
store.addEventListener("streams", () => {
  player.keep();
  tiles.arrange([...store.streams.keys()]);
  tabs.show();
  if (byId("live").hidden) showSelected();
  wishes.ask();
});
store.addEventListener("selected", showSelected);
store.addEventListener("trouble", ({ detail }) => {
  byId("trouble").hidden = !detail;
  put(byId("trouble"), detail ? `What is seen now is not kept: ${detail}` : "");
});
store.addEventListener("alerts", ({ detail }) => {
  if (detail) heed.tell(detail);
  alerts.show(store.alerts, connection.now());
});
store.addEventListener("stream", ({ detail }) => detail === store.selected && showStream());
store.addEventListener("result", ({ detail }) => {
  player.learn(detail);
  if (detail !== store.selected) return;
  timeline.add(store.results(detail).at(-1), store.current);
  showResult();
});
player.addEventListener("picture", ({ detail }) => {
  if (byId("live").hidden) return;
  const bitmap = player.bitmap(detail);
  const boxes = player.boxes(detail);
  tiles.setPicture(detail, bitmap, boxes);
  if (detail !== store.selected) return;
  stage.setPicture(bitmap);
  stage.setBoxes(boxes);
});
connection.addEventListener("message", ({ detail }) => store.take(detail));
connection.addEventListener("picture", ({ detail }) => {
  const picture = parsePicture(detail);
  if (picture) player.take(picture);
});
connection.addEventListener("state", () => {
  if (store.current) showState(store.current);
  tick();
});
pause.addEventListener("click", () => {
  const paused = pause.getAttribute("aria-pressed") !== "true";
  headAck.follow(connection.command("set", { stream: store.selected, paused }), paused ? "Paused" : "Goes on");
});
player.play();
setInterval(tick, TICK_MS);
connection.open();
tick();
