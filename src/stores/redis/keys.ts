// The names of everything in Redis. Each part carries its length, so that no two lists of parts make the same name.

/** Length in bytes, a colon, the part: `5:nonce`. */
export function lengthPrefixed(...parts: readonly string[]): string {
  return parts.map((part) => `${Buffer.byteLength(part)}:${part}`).join('');
}

/**
 * @param slot keys of the same slot are on one node of a Cluster, so that one script may touch them: `n17`, `restrictions`
 * @returns `{12:hermesbridge3:n17}5:epoch`: Cluster takes the slot from what is between the braces
 */
export function redisKey(prefix: string, slot: string, ...parts: readonly string[]): string {
  return `{${lengthPrefixed(prefix, slot)}}${lengthPrefixed(...parts)}`;
}
