// The functions of sodium-native that are used; the package ships no types.
declare module 'sodium-native' {
  const sodium: {
    crypto_core_ed25519_is_valid_point(point: Uint8Array): boolean;
    crypto_sign_verify_detached(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean;
  };
  // biome-ignore lint/style/noDefaultExport: so the package exports it.
  export default sodium;
}
