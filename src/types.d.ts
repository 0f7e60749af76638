// Native methods of Buffer that Node has and @types/node leaves out.
interface Buffer {
  latin1Slice(start?: number, end?: number): string;
}
