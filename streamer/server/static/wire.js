// Binary messages: a header of 32 bytes in network byte order, then a JPEG, the H.264 of one picture, or what a decoder
// needs for it (docs/protocol.md).

const HEADER_BYTES = 32;
const KINDS = { 1: "jpeg", 2: "packet", 3: "setup" };
const KEY = 1;

// {kind, width, height, number, sequence, mediaSeconds, captured} with jpeg (a Blob), with key and data, or with codec
// and description; null for what is not known.
export function parsePicture(buffer) {
  const view = new DataView(buffer);
  if (buffer.byteLength < HEADER_BYTES || view.getUint8(0) !== 1) return null;
  const kind = KINDS[view.getUint8(1)];
  const body = new Uint8Array(buffer, HEADER_BYTES);
  const picture = {
    kind,
    width: view.getUint16(2),
    height: view.getUint16(4),
    number: view.getUint32(8),
    sequence: view.getUint32(12),
    mediaSeconds: view.getFloat64(16),
    captured: view.getFloat64(24),
  };
  switch (kind) {
    case "jpeg": return { ...picture, jpeg: new Blob([body], { type: "image/jpeg" }) };
    case "packet": return { ...picture, key: (view.getUint16(6) & KEY) !== 0, data: body };
    case "setup": return { ...picture, ...setup(body) };
    default: return null;
  }
}

function setup(body) {
  const { codec, description } = JSON.parse(new TextDecoder().decode(body));
  return { codec, description: description ? Uint8Array.from(atob(description), (letter) => letter.charCodeAt(0)) : null };
}
