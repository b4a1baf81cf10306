// Tasks that a stream begins with, by what somebody wants of it.

const PEOPLE_AND_VEHICLES = ["person", "bicycle", "motorcycle", "car", "bus", "truck"];

// [value, words, tasks]; the first one is taken where nobody chooses.
export const PRESETS = [
  ["caption", "Describe the picture", [{ kind: "caption" }]],
  ["objects", "Describe it and find everything", [{ kind: "caption" }, { kind: "detect", labels: [] }]],
  ["traffic", "Describe it, find people and vehicles", [{ kind: "caption" }, { kind: "detect", labels: PEOPLE_AND_VEHICLES }]],
  ["read", "Describe it and read what is written", [{ kind: "caption" }, { kind: "read" }]],
  ["none", "Show pictures only", []],
];

export const tasksOf = (value) => PRESETS.find(([name]) => name === value)?.[2];
