// Where tiles of different aspects go, so that all of them are seen at once. Numbers in, numbers out, in CSS pixels.

const NARROW = 560;
const LEAST = 88;
const ROUNDS = 24;
const WIDEN = 1.25;

// sections: [{title, tiles: [{name, aspect, large}]}] in their order. All tiles get about the same height, large ones
// twice that: the largest with which everything fits into width and height, and what room is left in a row widens it.
// Below a certain size the wall grows down instead, and in a narrow window tiles stand in one column.
// -> {places: name -> {x, y, width, height}, heads: [{title, y}], height}
export function pack(sections, width, height, { gap = 8, head = 28 } = {}) {
  if (width < NARROW) return column(sections, width, gap, head);
  const least = lay(sections, LEAST, width, gap, head);
  let best = least;
  let [low, high] = [LEAST, Math.max(LEAST, height)];
  for (let round = 0; round < ROUNDS && least.height <= height; round += 1) {
    const middle = (low + high) / 2;
    const laid = lay(sections, middle, width, gap, head);
    if (laid.height <= height && laid.width <= width) [best, low] = [laid, middle];
    else high = middle;
  }
  return widened(best, (most) => lay(sections, low, width, gap, head, most), height);
}

// The same with rows as wide as there is room, up to a part more than before.
function widened(laid, again, height) {
  let best = laid;
  let [low, high] = [1, WIDEN];
  for (let round = 0; round < 8; round += 1) {
    const most = round ? (low + high) / 2 : high;
    const tried = again(most);
    if (tried.height <= Math.max(height, laid.height)) [best, low] = [tried, most];
    else high = most;
    if (low === high) break;
  }
  return best;
}

// Everything with rows of that height, or up to `most` times that where a row has room.
function lay(sections, row, width, gap, head, most = 1) {
  const laid = { places: new Map(), heads: [], height: 0, width: 0 };
  for (const { title, tiles } of sections) {
    if (title) {
      laid.heads.push({ title, y: laid.height });
      laid.height += head;
    }
    for (const band of bands(tiles, row, width, gap)) {
      const scale = Math.max(1, Math.min(most, width / band.width));
      const left = title ? 0 : Math.max(0, (width - band.width * scale) / 2);
      for (const { name, x, y, ...size } of band.places) {
        laid.places.set(name, whole({ x: left + x * scale, y: laid.height + y * scale, width: Math.min(size.width * scale, width), height: size.height * scale }));
      }
      laid.height += band.height * scale + gap;
      laid.width = Math.max(laid.width, band.width);
    }
  }
  laid.height = Math.max(0, laid.height - gap);
  return laid;
}

// As many tiles in a band as fit beside each other.
function bands(tiles, row, width, gap) {
  const done = [];
  let current = [];
  for (const tile of tiles) {
    if (current.length && band([...current, tile], row, gap).width > width) {
      done.push(band(current, row, gap));
      current = [];
    }
    current.push(tile);
  }
  if (current.length) done.push(band(current, row, gap));
  return done;
}

// One lane of tiles, or two where one of them is large and as high as both; large ones come first, which leaves no holes.
function band(tiles, row, gap) {
  const large = tiles.filter((tile) => tile.large);
  const lanes = large.length ? [0, 0] : [0];
  const places = [...large, ...tiles.filter((tile) => !tile.large)].map(({ name, aspect, large }) => {
    const height = large ? 2 * row + gap : row;
    const width = height * aspect;
    const lane = large ? 0 : lanes.indexOf(Math.min(...lanes));
    const x = large ? Math.max(...lanes) : lanes[lane];
    if (large) lanes.fill(x + width + gap);
    else lanes[lane] = x + width + gap;
    return { name, x, y: lane * (row + gap), width, height };
  });
  return { places, width: Math.max(...lanes) - gap, height: lanes.length * (row + gap) - gap };
}

function column(sections, width, gap, head) {
  const laid = { places: new Map(), heads: [], height: 0, width };
  for (const { title, tiles } of sections) {
    if (title) {
      laid.heads.push({ title, y: laid.height });
      laid.height += head;
    }
    for (const { name, aspect } of tiles) {
      const height = Math.min(width / aspect, width * 1.2);
      laid.places.set(name, whole({ x: 0, y: laid.height, width, height }));
      laid.height += height + gap;
    }
  }
  laid.height = Math.max(0, laid.height - gap);
  return laid;
}

// On whole pixels, where lines are sharp.
function whole({ x, y, width, height }) {
  const [left, top] = [Math.round(x), Math.round(y)];
  return { x: left, y: top, width: Math.max(1, Math.floor(x + width) - left), height: Math.max(1, Math.floor(y + height) - top) };
}

// The name of the nearest place in that direction ("left", "right", "up", "down"); null where there is none.
export function neighbour(places, name, direction) {
  const from = places.get(name);
  const across = direction === "left" || direction === "right";
  const [start, size, side, depth] = across ? ["x", "width", "y", "height"] : ["y", "height", "x", "width"];
  const forwards = direction === "right" || direction === "down";
  let best = null;
  for (const [other, place] of places) {
    const ahead = forwards ? place[start] - from[start] - from[size] : from[start] - place[start] - place[size];
    const aside = Math.max(0, place[side] - from[side] - from[depth], from[side] - place[side] - place[depth]);
    if (other === name || ahead < 0 || (across && aside > 0)) continue;
    const off = Math.abs(place[side] + place[depth] / 2 - from[side] - from[depth] / 2);
    const far = ahead + 3 * aside + off / 100;
    if (!best || far < best.far - 0.5) best = { other, far };
  }
  return best?.other ?? null;
}
