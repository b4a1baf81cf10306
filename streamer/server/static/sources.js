// Streams added and removed from the page, where the server allows it.

import { el } from "./dom.js";
import { Ack } from "./field.js";

export function addForm(connection) {
  const ack = new Ack();
  const name = el("input", { id: "add-name", type: "text", maxLength: 100, required: true, autocomplete: "off" });
  const address = el("input", { id: "add-address", type: "text", maxLength: 2000, required: true, autocomplete: "off" });
  const send = async (event) => {
    event.preventDefault();
    const command = { stream: name.value.trim(), address: address.value.trim() };
    if (await ack.follow(connection.command("add", command), "Added ✓")) form.reset();
  };
  const form = el("form", { class: "field", onsubmit: send },
    el("span", { class: "field-title", text: "Add a stream" }),
    el("label", { htmlFor: "add-name", class: "hint", text: "Name" }), name,
    el("label", { htmlFor: "add-address", class: "hint", text: "Address, for example rtsp://… or a file" }), address,
    el("button", { class: "button", type: "submit", text: "Add" }), ack.root);
  return form;
}

export function removeButton(connection, stream) {
  const ack = new Ack();
  let armed = 0;
  const button = el("button", { class: "button quiet", type: "button", text: "Remove this stream" });
  const disarm = () => { armed = 0; button.textContent = "Remove this stream"; };
  button.addEventListener("click", () => {
    if (armed) {
      clearTimeout(armed);
      disarm();
      ack.follow(connection.command("remove", { stream }), "Removed ✓");
    } else {
      button.textContent = "Press again to remove it";
      armed = setTimeout(disarm, 4000);
    }
  });
  return el("div", { class: "field" }, button, ack.root);
}
