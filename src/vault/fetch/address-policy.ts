// Which addresses may be connected to when an address comes from outside: public unicast (the IANA special-purpose registries),
// and ranges that the operator names. An address that carries an IPv4 address leads there, and so is judged by that one too.

import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { z } from 'zod';

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type AddressRange = readonly [Address, number];

export type AddressPolicy = (address: string) => boolean;

/** A CIDR range in its one spelling, for the configuration. */
export const addressRange = z.string().superRefine((text, { addIssue }) => {
  const message = faultOf(text);
  if (message !== undefined) addIssue({ code: 'custom', message });
});

export interface AddressPolicySettings {
  /** CIDR ranges that may be connected to although they are not public. */
  readonly allowed: readonly string[];
}

/** @throws {RangeError} for a range that `addressRange` does not take. */
export function makeAddressPolicy({ allowed }: AddressPolicySettings): AddressPolicy {
  const ranges = allowed.map(parseRange);
  const permitted = (address: Address): boolean => {
    if (address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress()) return permitted(address.toIPv4Address());
    return (isPublic(address) || ranges.some((range) => isWithin(address, range))) && carriedBy(address).every(permitted);
  };
  return (text) => {
    const address = parseAddress(text);
    return address !== undefined && permitted(address);
  };
}

/** The library alone reads octal, hexadecimal and one-part addresses too, and takes `::8.8.8.8` for `::ffff:8.8.8.8`. */
function parseAddress(text: string): Address | undefined {
  const family = isIP(text);
  // A zone names an interface of this machine.
  if (family === 0 || text.includes('%')) return undefined;
  return ipaddr.parse(family === 4 ? text : new URL(`https://[${text}]`).hostname.slice(1, -1));
}

const GLOBAL_UNICAST: AddressRange = [ipaddr.parse('2000::'), 3];
const NAT64: AddressRange = [ipaddr.parse('64:ff9b::'), 96];

function isPublic(address: Address): boolean {
  if (isWithin(address, NAT64)) return true;
  return address.range() === 'unicast' && (address.kind() === 'ipv4' || isWithin(address, GLOBAL_UNICAST));
}

/** The IPv4 addresses to which a packet for this one may be carried. */
function carriedBy(address: Address): Address[] {
  if (address instanceof ipaddr.IPv4) return [];
  const bytes = address.toByteArray();
  const at = (offset: number, mask = 0) => new ipaddr.IPv4(bytes.slice(offset, offset + 4).map((byte) => byte ^ mask));
  switch (address.range()) {
    // Both the well-known prefix and those of RFC 8215 that have it in the last four bytes.
    case 'rfc6052':
    case 'rfc6145':
      return [at(12)];
    case '6to4':
      return [at(2)];
    // Server, and the client with its bits turned (RFC 4380 section 4).
    case 'teredo':
      return [at(4), at(12, 0xff)];
    default:
      return [];
  }
}

function isWithin(address: Address, [base, bits]: AddressRange): boolean {
  return address.kind() === base.kind() && address.match(base, bits);
}

function parseRange(text: string): AddressRange {
  const message = faultOf(text);
  if (message !== undefined) throw new RangeError(message);
  return ipaddr.parseCIDR(text);
}

function faultOf(text: string): string | undefined {
  const [address = '', bits = '', ...more] = text.split('/');
  const parsed = parseAddress(address);
  if (parsed === undefined || !/^[0-9]{1,3}$/.test(bits) || more.length > 0 || !ipaddr.isValidCIDR(text))
    return 'is not a range of addresses such as 10.0.0.0/8 or fd00::/8';
  if (Number(bits) === 0) return 'is every address there is';
  if (parsed instanceof ipaddr.IPv6 && parsed.isIPv4MappedAddress()) return 'is a range of IPv4 addresses: write it as one';
  const canonical = `${canonicalBase(`${parsed.toString()}/${bits}`)}/${Number(bits)}`;
  return text === canonical ? undefined : `is not in canonical form: write ${canonical}`;
}

function canonicalBase(range: string): string {
  if (range.includes(':')) return ipaddr.IPv6.networkAddressFromCIDR(range).toRFC5952String();
  return ipaddr.IPv4.networkAddressFromCIDR(range).toString();
}
