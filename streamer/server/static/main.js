// The page: what comes in goes to the store; what the store says goes to the parts.

import { Banner } from "./banner.js";
import { Connection } from "./connection.js";
import { Controls } from "./controls.js";
import { byId, el, put } from "./dom.js";
import { Facts } from "./facts.js";
import { Ack } from "./field.js";
import { Note } from "./note.js";
import { Said } from "./said.js";
import { Stage } from "./stage.js";
import { Store } from "./store.js";
import { aspectOf, intervalOf } from "./stream.js";
import { Tiles } from "./tiles.js";
import { Timeline } from "./timeline.js";
import { takeToken } from "./token.js";
import { seconds, stateWords } from "./words.js";
import { parsePicture } from "./wire.js";

const TICK_MS = 200;

const connection = new Connection(takeToken());
const store = new Store();
const stage = new Stage(byId("stage"));
const note = new Note(byId("stage"), () => headAck.follow(connection.command("restart", { stream: store.selected })));
const age = el("span", { class: "stage-badge", hidden: true });
byId("stage").append(age);
const said = new Said(byId("said"));
const facts = new Facts(byId("facts"));
const tiles = new Tiles(byId("tiles"), (name) => store.select(name));
const timeline = new Timeline(byId("timeline"), byId("newest"));
const controls = new Controls(byId("controls"), connection);
const banner = new Banner(connection);
const headAck = new Ack();
const pause = byId("pause");
pause.before(headAck.root);

const linked = () => connection.state === "open";

function showHello() {
  const { model, caveat } = store.hello;
  put(byId("model"), model);
  byId("model").hidden = false;
  byId("caveat").hidden = !caveat;
  put(byId("caveat"), caveat ? `About these answers: ${caveat}` : "");
}

function showStream() {
  const stream = store.current;
  for (const id of ["state", "pause", "facts"]) byId(id).hidden = !stream;
  controls.show(stream, store.hello);
  put(byId("name"), stream?.stream ?? "No stream yet");
  document.title = stream ? `${stream.stream} · streamer` : "streamer";
  if (!stream) return;
  byId("state").dataset.state = stream.settings.paused && stream.state === "live" ? "paused" : stream.state;
  put(byId("state").querySelector("[data-words]"), stateWords(stream));
  pause.setAttribute("aria-pressed", String(stream.settings.paused));
  put(pause, stream.settings.paused ? "Resume analysis" : "Pause analysis");
  stage.setAspect(aspectOf(stream));
  facts.show(stream, store.newest(stream.stream), store.hello, connection.now());
}

function showResult() {
  const stream = store.current;
  const result = stream ? store.newest(stream.stream) : null;
  said.show(result, stream);
  if (stream) facts.show(stream, result, store.hello, connection.now());
  tick();
}

// What changes with time alone: ages, fading boxes, notes.
function tick() {
  const now = connection.now();
  const stream = store.current;
  const result = stream ? store.newest(stream.stream) : null;
  banner.tick();
  tiles.show(store, linked(), now);
  age.hidden = !result?.detections.length;
  stage.setResult(result, result ? now - result.captured : 0, stream ? intervalOf(stream) : 1);
  if (stream) {
    note.follow(stream, store.picture(stream.stream), linked(), now);
    facts.showAge(result, now);
    if (result) put(age, `boxes ${seconds(Math.max(0, now - result.captured))} old`);
  } else {
    note.say(store.hello ? EMPTY : { title: "Waiting for the server…", why: "", action: "" });
  }
}

const EMPTY = {
  title: "No stream is being watched",
  why: "Start streamer with a file or a camera: streamer watch SOURCE",
  action: "",
};

function showSelected() {
  const stream = store.current;
  stage.setPicture(stream ? (store.picture(stream.stream)?.bitmap ?? null) : null);
  timeline.reset(stream ? store.results(stream.stream) : [], stream);
  showStream();
  showResult();
}

// Pictures of all streams, and of none while nobody sees the page.
function askForPictures() {
  if (linked()) connection.command("pictures", { streams: document.hidden ? [] : [...store.streams.keys()] });
}

store.addEventListener("hello", showHello);
store.addEventListener("streams", () => {
  tiles.arrange([...store.streams.keys()]);
  askForPictures();
  showSelected();
});
store.addEventListener("selected", showSelected);
store.addEventListener("stream", ({ detail }) => detail === store.selected && showStream());
store.addEventListener("result", ({ detail }) => {
  if (detail !== store.selected) return;
  timeline.add(store.newest(detail), store.current);
  showResult();
});
store.addEventListener("picture", ({ detail }) => {
  const { bitmap } = store.picture(detail);
  tiles.setPicture(detail, bitmap);
  if (detail === store.selected) stage.setPicture(bitmap);
});
connection.addEventListener("message", ({ detail }) => store.take(detail));
connection.addEventListener("picture", ({ detail }) => {
  const picture = parsePicture(detail);
  if (picture) store.takePicture(picture);
});
connection.addEventListener("state", tick);
document.addEventListener("visibilitychange", askForPictures);
pause.addEventListener("click", () => {
  const paused = pause.getAttribute("aria-pressed") !== "true";
  headAck.follow(connection.command("set", { stream: store.selected, paused }));
});
setInterval(tick, TICK_MS);
connection.open();
tick();
