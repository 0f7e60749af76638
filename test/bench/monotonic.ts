/** Milliseconds on a clock that all threads and programs of this machine share, unlike `performance.now()`. */
export const monotonic = (): number => Number(process.hrtime.bigint()) / 1e6;
