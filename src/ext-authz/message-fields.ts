// Walks a message of Envoy's on the wire (Protocol Buffers encoding), without reflection and without a copy.

/** Walks the length-delimited fields of one message; fields of other wire types are skipped, since none of them is used. */
export class Fields {
  readonly bytes: Buffer;
  number = 0;
  /** Where the current field's value begins and ends. */
  start = 0;
  end: number;
  readonly limit: number;

  constructor(bytes: Buffer, start: number, limit: number) {
    this.bytes = bytes;
    this.end = start;
    this.limit = limit;
  }

  /** Moves on to the next length-delimited field. @throws when a field runs past the end of its message. */
  next(): boolean {
    while (this.end < this.limit) {
      const tag = this.#varint();
      if (tag > 0xffffffff) throw new Error('a tag is too long');
      const type = tag & 7;
      if (type === 0) this.#varint();
      else if (type === 1) this.end += 8;
      else if (type === 5) this.end += 4;
      else if (type !== 2) throw new Error(`wire type ${type}`);
      const length = type === 2 ? this.#varint() : 0;
      this.start = this.end;
      this.end += length;
      if (this.end > this.limit) throw new Error('a field runs past the end of its message');
      this.number = tag >>> 3;
      if (type === 2) return true;
    }
    return false;
  }

  nested(): Fields {
    return new Fields(this.bytes, this.start, this.end);
  }

  /** One character for each byte: what is signed is bytes, and no decoding can make two of them equal. */
  text(): string {
    return this.bytes.latin1Slice(this.start, this.end);
  }

  /** The one field with this number. A message that is there twice would be merged; no sender does that, and parsers disagree. */
  only(number: number): Fields | undefined {
    let found: Fields | undefined;
    while (this.next()) {
      if (this.number !== number) continue;
      if (found !== undefined) throw new Error('a message is there twice');
      found = this.nested();
    }
    return found;
  }

  /** Up to 64 bits; what is above 32 is no length and no field number of ours, and comes out too large for either. */
  #varint(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.end >= this.limit) throw new Error('a varint is cut short');
      const byte = this.bytes[this.end++] ?? 0;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new Error('a varint is too long');
  }
}
