// Light, dark, or as the system has it; kept by this browser, as the button on top does.

import { el } from "./dom.js";
import { card, ticked } from "./settings-card.js";

const KEY = "streamer-theme";
const CHOICES = [["", "As the system"], ["light", "Light"], ["dark", "Dark"]];

export function themeCard() {
  const html = document.documentElement;
  const inputs = CHOICES.map(([value, text]) => {
    const input = el("input", { type: "radio", name: "set-theme", value, onchange: () => choose(value) });
    return [input, ticked(text, input)];
  });
  const follow = () => { for (const [input] of inputs) input.checked = input.value === (html.dataset.theme ?? ""); };
  new MutationObserver(follow).observe(html, { attributeFilter: ["data-theme"] });
  follow();
  const fields = el("fieldset", { class: "set-form set-row" }, ...inputs.map(([, field]) => field));
  fields.setAttribute("aria-label", "Theme");
  return card("Theme", fields);
}

function choose(value) {
  if (value) document.documentElement.dataset.theme = value;
  else delete document.documentElement.dataset.theme;
  try {
    if (value) localStorage.setItem(KEY, value);
    else localStorage.removeItem(KEY);
  } catch { /* kept for this page alone */ }
}
