// The one function of sodium-native that is used; the package ships no types.
declare module 'sodium-native' {
  const sodium: { crypto_sign_verify_detached(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean };
  // biome-ignore lint/style/noDefaultExport: so the package exports it.
  export default sodium;
}
