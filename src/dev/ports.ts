// The ports of a stack, all derived from one base, and whether they are free.
import { createServer } from 'node:net';

export const DEFAULT_BASE = 8430;

export const portsOf = (base: number) => ({
  base,
  postgres: base + 2,
  store: base + 13,
  keys: base + 14,
  audit: base + 15,
  worker: base + 16,
});
export type Ports = Readonly<ReturnType<typeof portsOf>>;

export const parsePortBase = (text: string): number => {
  const base = Number(text);
  if (Number.isInteger(base) && base >= 1024 && base <= 65_500) return base;
  throw new Error(`STRONGROOM_PORT_BASE is "${text}", and must be a whole number from 1024 to 65500`);
};

export const isFree = (port: number, host: string): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ port, host, exclusive: true }, () => probe.close(() => resolve(true)));
  });

/** Refuses with the one line that tells what to do. */
export const assertFree = async (wanted: readonly { name: string; port: number }[], base: number, host: string): Promise<void> => {
  for (const { name, port } of wanted) {
    if (await isFree(port, host)) continue;
    const other = base + 1_000 > 65_500 ? DEFAULT_BASE : base + 1_000;
    throw new Error(
      `port ${port} on ${host}, for ${name}, is taken; stop what uses it, or choose other ports: STRONGROOM_PORT_BASE=${other} make up`,
    );
  }
};
