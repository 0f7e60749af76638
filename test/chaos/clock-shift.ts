// Loaded into a gateway with `--import`: sets its clock off when the run says so over the channel to it. The program knows nothing of it.

let offMillis = 0;
const now = Date.now;
Date.now = () => now() + offMillis;

process.on('message', (message: { readonly shiftMillis?: number }) => {
  if (typeof message.shiftMillis === 'number') offMillis = message.shiftMillis;
});
// The program must be able to end while the run is still there.
process.channel?.unref();
