// Networks that an instance may be reached from: CIDRs on their way in, and whether an address is in one of them. Pure.
import { BlockList, isIP } from 'node:net';
import { invalid } from '../kernel/errors.ts';

const MOST = 64;
/** IPv4 as a listener for both families sees it. */
const MAPPED = /^::ffff:(?=[0-9.]+$)/i;

const familyOf = (address: string): 'ipv4' | 'ipv6' => (isIP(address) === 6 ? 'ipv6' : 'ipv4');

/** The 16-bit groups of an IPv6 address. */
const groupsOf = (address: string): number[] => {
  const dotted = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a: string, b: string, c: string, d: string) =>
    [Number(a) * 256 + Number(b), Number(c) * 256 + Number(d)].map((group) => group.toString(16)).join(':'),
  );
  const [head = '', tail] = dotted.split('::');
  const parse = (part: string): number[] => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)));
  const [before, after] = [parse(head), parse(tail ?? '')];
  return [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after];
};

/** The address as one number of `bits` bits. */
const numberOf = (address: string, bits: 32 | 128): bigint =>
  bits === 32
    ? address.split('.').reduce((sum, octet) => sum * 256n + BigInt(octet), 0n)
    : groupsOf(address).reduce((sum, group) => sum * 65_536n + BigInt(group), 0n);

const isNetwork = (text: string): boolean => {
  const [address = '', length = '', extra] = text.split('/');
  const family = isIP(address);
  if (family === 0 || address.includes('%') || !/^(0|[1-9]\d{0,2})$/.test(length) || extra !== undefined) return false;
  const bits = family === 6 ? 128 : 32;
  // An address in the middle of a network is more often a slip than meant.
  return Number(length) <= bits && numberOf(address, bits) % 2n ** BigInt(bits - Number(length)) === 0n;
};

export const checkNetworks = (networks: readonly string[], field: string): string[] => {
  if (networks.length > MOST) throw invalid(field, `has ${networks.length} entries; at most ${MOST} are taken`);
  networks.forEach((network, i) => {
    if (!isNetwork(network))
      throw invalid(`${field}[${i}]`, 'must be a network such as 10.20.0.0/16 or 2001:db8::/32, with no bit set after the prefix');
  });
  return [...new Set(networks.map((network) => network.toLowerCase()))];
};

/** Whether an address may pass; any, if no network is named. */
export type Admits = (address: string) => boolean;

export const admitsFrom = (networks: readonly string[]): Admits => {
  if (networks.length === 0) return () => true;
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', length] = network.split('/');
    list.addSubnet(address, Number(length), familyOf(address));
  }
  return (text) => {
    const address = text.replace(MAPPED, '');
    return isIP(address) !== 0 && list.check(address, familyOf(address));
  };
};
