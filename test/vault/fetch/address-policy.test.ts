// Threat model rows E1, E2, E5: the ranges that are not public, each with its first and last address and one inside.

import { describe, expect, test } from 'vitest';
import { addressRange, makeAddressPolicy } from '../../../src/vault/fetch/address-policy.ts';

const permitted = makeAddressPolicy({ allowed: [] });

test.each([
  '1.1.1.1',
  '8.8.8.8',
  '9.255.255.255',
  '11.0.0.0',
  '100.63.255.255',
  '100.128.0.0',
  '126.255.255.255',
  '128.0.0.0',
  '169.253.255.255',
  '169.255.0.0',
  '172.15.255.255',
  '172.32.0.0',
  '192.0.1.0',
  '192.0.3.0',
  '192.167.255.255',
  '192.169.0.0',
  '198.17.255.255',
  '198.20.0.0',
  '223.255.255.255',
  '2606:4700:4700::1111',
  '2001:4860:4860::8888',
  '2a00::1',
  '::ffff:8.8.8.8',
  '64:ff9b::8.8.8.8',
])('%s is public', (address) => {
  expect(permitted(address)).toBe(true);
});

const RANGES: Readonly<Record<string, readonly string[]>> = {
  'E5 0.0.0.0/8, this network': ['0.0.0.0', '0.0.0.1', '0.255.255.255'],
  'E5 10/8': ['10.0.0.0', '10.1.2.3', '10.255.255.255'],
  'E5 100.64/10, carrier-grade NAT': ['100.64.0.0', '100.100.100.200', '100.127.255.255'],
  'E1 127/8': ['127.0.0.0', '127.0.0.1', '127.255.255.255'],
  'E2 169.254/16, metadata': ['169.254.0.0', '169.254.169.254', '169.254.170.2', '169.254.255.255'],
  'E5 172.16/12, whole': ['172.31.255.255', ...Array.from({ length: 16 }, (_, index) => `172.${16 + index}.0.1`)],
  'E5 192.0.0.0/24, protocol assignments': ['192.0.0.0', '192.0.0.192', '192.0.0.255'],
  'E5 192.0.2.0/24, documentation': ['192.0.2.0', '192.0.2.255'],
  'E5 192.88.99.0/24, 6to4 relays': ['192.88.99.1'],
  'E5 192.168/16': ['192.168.0.0', '192.168.255.255'],
  'E5 198.18/15, benchmarks': ['198.18.0.0', '198.19.255.255'],
  'E5 198.51.100.0/24, documentation': ['198.51.100.0', '198.51.100.255'],
  'E5 203.0.113.0/24, documentation': ['203.0.113.0', '203.0.113.255'],
  'E5 224/4, multicast': ['224.0.0.1', '239.255.255.255'],
  'E5 240/4, reserved, and broadcast': ['240.0.0.0', '255.255.255.254', '255.255.255.255'],
  'E1 ::1 and ::': ['::1', '::'],
  'E5 ::/96, IPv4-compatible': ['::127.0.0.1', '::8.8.8.8'],
  'E5 ::ffff:0:0/96, IPv4-mapped': ['::ffff:127.0.0.1', '::ffff:7f00:1', '::ffff:10.0.0.1', '::ffff:a9fe:a9fe'],
  'E5 ::ffff:0:0:0/96, IPv4-translated': ['::ffff:0:127.0.0.1', '::ffff:0:8.8.8.8'],
  'E5 64:ff9b::/96, NAT64': ['64:ff9b::7f00:1', '64:ff9b::169.254.169.254', '64:ff9b::10.0.0.1'],
  'E5 64:ff9b:1::/48, local NAT64': ['64:ff9b:1::1', '64:ff9b:1::8.8.8.8'],
  'E5 100::/64, discard': ['100::1'],
  'E5 2001::/32, Teredo': ['2001::1', '2001:0:808:808:0:0:f7f7:f7f7', '2001:0:808:808:0:0:80ff:fffe'],
  'E5 2001:2::/48 2001:10::/28 2001:20::/28': ['2001:2::1', '2001:10::1', '2001:20::1'],
  'E5 2001:db8::/32 and 3fff::/20, documentation': ['2001:db8::1', '2001:db8:ffff::1', '3fff::1', '3fff:fff::1'],
  'E5 2002::/16, 6to4': ['2002:7f00:1::', '2002:a00:1::1', '2002:808:808::1'],
  'E5 fc00::/7': ['fc00::', 'fd12:3456::1', 'fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  'E2 fd00:ec2::254, metadata': ['fd00:ec2::254', 'FD00:EC2:0:0:0:0:0:254'],
  'E5 fe80::/10': ['fe80::', 'fe80::1', 'febf::1', 'fe80::1%lo'],
  'E5 fec0::/10, site-local': ['fec0::1'],
  'E5 ff00::/8, multicast': ['ff02::1', 'ff0e::1'],
  'E5 not given out': ['4000::1', '1::1', '5f00::1'],
  'not an address as a resolver writes it': [
    '',
    'localhost',
    '127.1',
    '2130706433',
    '0x7f.1',
    '010.8.8.8',
    '08.8.8.8',
    '8.8.8',
    '[::1]',
  ],
};

describe.each(Object.entries(RANGES))('%s', (_range, addresses) => {
  test.each(addresses)('%s is not', (address) => {
    expect(permitted(address)).toBe(false);
  });
});

describe('ranges that the operator allows', () => {
  const own = makeAddressPolicy({ allowed: ['10.1.0.0/16', '127.0.0.1/32', 'fd00:1::/32', '2002::/16', '64:ff9b:1::/48'] });

  test.each(['10.1.2.3', '127.0.0.1', 'fd00:1::7', '::ffff:10.1.2.3', '64:ff9b::10.1.2.3', '64:ff9b:1::10.1.2.3', '8.8.8.8'])(
    '%s may be connected to',
    (address) => {
      expect(own(address)).toBe(true);
    },
  );

  test.each(['10.2.0.0', '127.0.0.2', 'fd00:2::7', '::ffff:10.2.0.0', '64:ff9b::10.2.0.0', '169.254.169.254', '::1'])(
    '%s may not',
    (address) => {
      expect(own(address)).toBe(false);
    },
  );

  test('an allowed tunnel leads only where the address inside may be connected to', () => {
    expect(own('2002:808:808::1')).toBe(true);
    expect(own('2002:a01:203::1')).toBe(true);
    expect(own('2002:a9fe:a9fe::1')).toBe(false);
    expect(own('64:ff9b:1::169.254.169.254')).toBe(false);
    const teredo = makeAddressPolicy({ allowed: ['2001::/32'] });
    expect(teredo('2001:0:808:808::f7f7:f7f7')).toBe(true);
    expect(teredo('2001:0:808:808::80ff:fffe')).toBe(false);
    expect(teredo('2001:0:7f00:1::f7f7:f7f7')).toBe(false);
  });
});

describe('the configuration', () => {
  test.each(['10.0.0.0/8', '127.0.0.1/32', '172.16.0.0/12', 'fd00::/8', '::1/128', '2001:db8::/32'])('takes %s', (range) => {
    expect(addressRange.parse(range)).toBe(range);
  });

  test.each([
    ['', 'is not a range'],
    ['10.0.0.0', 'is not a range'],
    ['10.0.0.0/33', 'is not a range'],
    ['10.0.0.0/', 'is not a range'],
    ['10.0.0.0/8/8', 'is not a range'],
    ['10.0.0.0/-1', 'is not a range'],
    ['10/8', 'is not a range'],
    ['010.0.0.0/8', 'is not a range'],
    ['0x0a.0.0.0/8', 'is not a range'],
    ['fe80::%lo/10', 'is not a range'],
    ['fd00::/129', 'is not a range'],
    ['vault/8', 'is not a range'],
    ['0.0.0.0/0', 'every address'],
    ['::/0', 'every address'],
    ['::ffff:10.0.0.0/104', 'IPv4'],
    ['10.1.2.3/8', 'write 10.0.0.0/8'],
    ['10.0.0.0/08', 'write 10.0.0.0/8'],
    ['FD00::/8', 'write fd00::/8'],
    ['fd00:0::/8', 'write fd00::/8'],
    ['fd00::1/8', 'write fd00::/8'],
  ])('refuses %j: %s', (range, message) => {
    expect(addressRange.safeParse(range).error?.issues.map((issue) => issue.message)).toEqual([expect.stringContaining(message)]);
    expect(() => makeAddressPolicy({ allowed: [range] })).toThrow(RangeError);
  });
});
