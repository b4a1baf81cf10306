// Binary messages: a header of 32 bytes in network byte order, then a JPEG (docs/protocol.md).

const HEADER_BYTES = 32;

export function parsePicture(buffer) {
  const view = new DataView(buffer);
  if (buffer.byteLength < HEADER_BYTES || view.getUint8(0) !== 1 || view.getUint8(1) !== 1) return null;
  return {
    width: view.getUint16(2),
    height: view.getUint16(4),
    number: view.getUint32(8),
    sequence: view.getUint32(12),
    mediaSeconds: view.getFloat64(16),
    captured: view.getFloat64(24),
    jpeg: new Blob([new Uint8Array(buffer, HEADER_BYTES)], { type: "image/jpeg" }),
  };
}
