// A tile taken by the pointer and put into the place of another one.

const FAR = 8;

export class WallDrag {
  #held = null;
  #dropped = false;

  // root holds the tiles. hooks: {nameOf(element), at(x, y): the name of the tile there, tile(name): its element,
  // may(event), fits(name, target), drop(name, target), refuse(name, target): it was let go where it does not fit}.
  constructor(root, hooks) {
    this.root = root;
    this.hooks = hooks;
    root.addEventListener("pointerdown", (event) => this.#take(event));
    root.addEventListener("pointermove", (event) => this.#move(event));
    root.addEventListener("pointerup", () => this.#release(true));
    root.addEventListener("pointercancel", () => this.#release(false));
    root.addEventListener("keydown", (event) => event.key === "Escape" && this.#release(false));
    root.addEventListener("click", (event) => this.#click(event), { capture: true });
  }

  #take(event) {
    const name = this.hooks.nameOf(event.target);
    this.#dropped = false;
    if (name && event.button === 0 && this.hooks.may(event)) this.#held = { name, id: event.pointerId, x: event.clientX, y: event.clientY, moving: false, target: null, over: null };
  }

  #move(event) {
    const held = this.#held;
    if (!held || event.pointerId !== held.id) return;
    const [x, y] = [event.clientX - held.x, event.clientY - held.y];
    if (!held.moving) {
      if (Math.hypot(x, y) < FAR) return;
      held.moving = true;
      this.root.setPointerCapture(held.id);
      this.hooks.tile(held.name).classList.add("moving");
    }
    this.hooks.tile(held.name).style.transform = `translate(${x}px, ${y}px)`;
    const place = this.root.getBoundingClientRect();
    const over = this.hooks.at(event.clientX - place.left, event.clientY - place.top);
    const other = over === held.name ? null : over;
    held.over = other;
    this.#aim(other !== null && this.hooks.fits(held.name, other) ? other : null);
  }

  #aim(target) {
    if (this.#held.target === target) return;
    this.hooks.tile(this.#held.target)?.classList.remove("aim");
    this.hooks.tile(target)?.classList.add("aim");
    this.#held.target = target;
  }

  #release(wanted) {
    const held = this.#held;
    this.#held = null;
    if (!held?.moving) return;
    this.#dropped = true;
    setTimeout(() => { this.#dropped = false; }); // a click comes at once, or not at all
    const tile = this.hooks.tile(held.name);
    tile?.classList.remove("moving");
    if (tile) tile.style.transform = "";
    this.hooks.tile(held.target)?.classList.remove("aim");
    if (wanted && held.target) this.hooks.drop(held.name, held.target);
    else if (wanted && held.over) this.hooks.refuse(held.name, held.over);
  }

  // What ends a drag is no press on the tile.
  #click(event) {
    if (!this.#dropped) return;
    this.#dropped = false;
    event.preventDefault();
    event.stopPropagation();
  }
}
