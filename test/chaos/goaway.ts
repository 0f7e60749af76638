// A server's GOAWAY put between two frames that it sends (RFC 9113, section 6.8), as one does whose connections may grow only so old.

import type { Interposer } from './tcp-proxy.ts';

const FRAME_HEAD = 9;
const [HEADERS, GOAWAY] = [1, 7];
const PREFACE_BYTES = 24;
const EVERY_STREAM = 2 ** 31 - 1;

export class GoawayInterposer implements Interposer {
  #fromServer: Buffer = Buffer.alloc(0);
  #fromClient: Buffer = Buffer.alloc(0);
  #prefaceLeft = PREFACE_BYTES;
  #lastStream = 0;
  /** What is said before the next frame. */
  #due: Buffer | undefined;

  /** First that it ends, and then, with `final`, after which request. */
  sayGoaway(final: boolean): void {
    const frame = Buffer.alloc(FRAME_HEAD + 8);
    frame.writeUIntBE(8, 0, 3);
    frame[3] = GOAWAY;
    frame.writeUInt32BE(final ? this.#lastStream : EVERY_STREAM, FRAME_HEAD);
    this.#due = frame;
  }

  fromClient(bytes: Buffer): void {
    const skipped = Math.min(this.#prefaceLeft, bytes.length);
    this.#prefaceLeft -= skipped;
    const frames = framesIn(Buffer.concat([this.#fromClient, bytes.subarray(skipped)]));
    for (const frame of frames.whole) {
      if (frame[3] === HEADERS) this.#lastStream = Math.max(this.#lastStream, frame.readUInt32BE(5));
    }
    this.#fromClient = frames.rest;
  }

  fromServer(bytes: Buffer): Buffer {
    const { whole, rest } = framesIn(Buffer.concat([this.#fromServer, bytes]));
    this.#fromServer = rest;
    const due = this.#due;
    if (due === undefined || whole.length === 0) return Buffer.concat(whole);
    this.#due = undefined;
    return Buffer.concat([...whole, due]);
  }
}

function framesIn(bytes: Buffer): { whole: Buffer[]; rest: Buffer } {
  const whole: Buffer[] = [];
  let at = 0;
  while (bytes.length - at >= FRAME_HEAD) {
    const end = at + FRAME_HEAD + bytes.readUIntBE(at, 3);
    if (end > bytes.length) break;
    whole.push(bytes.subarray(at, end));
    at = end;
  }
  return { whole, rest: bytes.subarray(at) };
}
