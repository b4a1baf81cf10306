// Elements in one line. Text is only ever set as text.

export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === "class") node.className = value;
    else if (name === "text") node.textContent = value;
    else if (name === "data") Object.assign(node.dataset, value);
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name in node && !name.includes("-")) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// Sets the text where it differs, so that nothing is announced or laid out again for the same words.
export function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// A checkbox with its words behind it: {input, root}.
export function tick(words, checked) {
  const input = el("input", { type: "checkbox", checked });
  return { input, root: el("label", { class: "files-tick" }, input, el("span", { text: words })) };
}

export const byId = (id) => document.getElementById(id);
