// A camera's own H.264, decoded by the browser (WebCodecs), for one stream.

const MOST_WAITING = 300;
const MOST_READY = 12;
const LEAD_SECONDS = 0.25;
const MOST_FAULTS = 5;
const FAULTS_SECONDS = 60;

export const canDecode = () => isSecureContext && "VideoDecoder" in window;

export class Video {
  failed = false;
  #decoder = null;
  #waiting = [];
  #ready = [];
  #meta = new Map();
  #wantsKey = true;
  #next = null;
  #setup = null;
  #works = false;
  #faults = [];

  // A "setup" or "packet" message, in order.
  take(message) {
    if (message.kind === "setup") this.#configure(message);
    else this.#push(message);
  }

  // Whether packets come and are decoded.
  get running() {
    return this.#decoder !== null && !this.failed;
  }

  // The picture to be shown at that moment (capture time), once; null where there is no newer one. Close it when done.
  due(moment) {
    while (this.#waiting.length && this.#waiting[0].captured <= moment + LEAD_SECONDS) this.#decode(this.#waiting.shift());
    let due = null;
    while (this.#ready.length && this.#ready[0].captured <= moment + 0.004) {
      due?.bitmap.close();
      due = this.#ready.shift();
    }
    return due;
  }

  forget() {
    if (this.#decoder?.state !== "closed") this.#decoder?.close();
    this.#decoder = null;
    this.#empty();
  }

  #empty() {
    this.#waiting.length = 0;
    this.#ready.splice(0).forEach(({ bitmap }) => bitmap.close());
    this.#meta.clear();
    this.#wantsKey = true;
  }

  #configure(setup) {
    const { codec, description, width, height } = setup;
    this.forget();
    if (this.failed) return;
    this.#setup = setup;
    this.#works = false;
    this.#decoder = new VideoDecoder({ output: (frame) => this.#show(frame), error: (error) => this.#fail(error) });
    const config = { codec, codedWidth: width, codedHeight: height, optimizeForLatency: true };
    try {
      this.#decoder.configure(description ? { ...config, description } : config);
    } catch (error) {
      this.#fail(error);
    }
  }

  #push(packet) {
    if (!this.running) return;
    if (packet.sequence !== this.#next) this.#wantsKey = true;
    this.#next = packet.sequence + 1;
    if (this.#wantsKey && !packet.key) return;
    this.#wantsKey = false;
    this.#waiting.push(packet);
    if (this.#waiting.length > MOST_WAITING) this.#empty();
  }

  #decode({ key, data, mediaSeconds, captured }) {
    if (!this.running) return;
    const timestamp = Math.round(mediaSeconds * 1e6);
    this.#meta.set(timestamp, { mediaSeconds, captured });
    try {
      this.#decoder.decode(new EncodedVideoChunk({ type: key ? "key" : "delta", timestamp, data }));
    } catch (error) {
      this.#fail(error);
    }
  }

  #show(frame) {
    const meta = this.#meta.get(frame.timestamp);
    this.#meta.delete(frame.timestamp);
    this.#works = true;
    if (!meta) return frame.close();
    this.#ready.push({ ...meta, bitmap: frame });
    while (this.#ready.length > MOST_READY) this.#ready.shift().bitmap.close();
  }

  // A damaged packet is got over at the next key picture; where nothing can be decoded, or it happens again and again, this
  // stream comes as JPEGs from now on.
  #fail(error) {
    const now = performance.now();
    this.#faults = [...this.#faults.filter((at) => now - at < FAULTS_SECONDS * 1000), now];
    if (this.#works && this.#faults.length < MOST_FAULTS) return this.#configure(this.#setup);
    console.warn(`this browser does not decode the camera's video: ${error.message}`);
    this.failed = true;
    this.forget();
  }
}
