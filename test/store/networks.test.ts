import { describe, expect, it } from 'vitest';
import { admitsFrom, checkNetworks } from '../../src/store/networks.ts';

describe('a network on its way in', () => {
  it.each(['10.0.0.0/8', '0.0.0.0/0', '192.0.2.7/32', '2001:db8::/32', '::/0', '::1/128', '2001:db8:0:1::/64', '::ffff:10.0.0.0/104'])(
    'may be %s',
    (network) => {
      expect(checkNetworks([network], 'networks')).toEqual([network]);
    },
  );

  it.each([
    '',
    '10.0.0.0',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0.0/-1',
    '10.0.0.0/8/8',
    '10.0.0/8',
    '10.1.0.0/8',
    '192.0.2.1/31',
    '2001:db8::/129',
    '2001:db8::1/64',
    'fe80::%eth0/64',
    ' 10.0.0.0/8',
    'localhost/8',
    '10.0.0.0/8 ',
    '１0.0.0.0/8',
  ])('may not be %j', (network) => {
    expect(() => checkNetworks(['10.0.0.0/8', network], 'networks')).toThrow(
      expect.objectContaining({ violations: [expect.objectContaining({ field: 'networks[1]' })] }),
    );
  });

  it('may be one of 64, not of 65, and counts once', () => {
    const many = Array.from({ length: 65 }, (_, i) => `10.${i}.0.0/16`);
    expect(checkNetworks(many.slice(1), 'networks')).toHaveLength(64);
    expect(() => checkNetworks(many, 'networks')).toThrow(/at most 64/);
    expect(checkNetworks(['2001:DB8::/32', '2001:db8::/32'], 'networks')).toEqual(['2001:db8::/32']);
  });
});

describe('an address', () => {
  const admits = admitsFrom(['10.20.0.0/16', '2001:db8::/32']);

  it.each(['10.20.0.0', '10.20.255.255', '::ffff:10.20.3.4', '2001:db8:ffff::1'])('%s is let in', (address) => {
    expect(admits(address)).toBe(true);
  });

  it.each(['10.21.0.0', '127.0.0.1', '::1', '2001:db9::', '::ffff:127.0.0.1', '', 'nonsense'])('%j is not', (address) => {
    expect(admits(address)).toBe(false);
  });

  it('may be any where no network is named', () => {
    expect(admitsFrom([])('')).toBe(true);
  });
});
