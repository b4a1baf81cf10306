// What a result says to the tasks that its stream is still asked. Values in, values out.

// boxes: whether its boxes are of now, whatever the tasks: rules have boxes found of their own.
export function stillAsked(result, tasks, boxes) {
  const kinds = new Set(tasks.map(({ kind }) => kind));
  const names = new Set(tasks.map(({ name }) => name));
  const isAsked = (name) => names.has(name) || name.startsWith("rule:") || (boxes && name === "detect");
  const asked = (of) => Object.fromEntries(Object.entries(of).filter(([name]) => isAsked(name)));
  return {
    ...result,
    caption: kinds.has("caption") ? result.caption : null,
    detections: boxes || kinds.has("detect") ? result.detections : [],
    answers: asked(result.answers),
    notes: asked(result.notes),
  };
}

// Whether two lists ask the same, for what is shown.
export const sameTasks = (a, b) => a.length === b.length && a.every(({ kind, name }, place) => kind === b[place].kind && name === b[place].name);
