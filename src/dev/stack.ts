// One development stack: where its files are and which ports it uses. Several can run beside each other.
import { join, resolve } from 'node:path';
import { portsOf, type Ports } from './ports.ts';

export const ROOT = resolve(import.meta.dirname, '../..');
/** The program of every service. */
export const MAIN = join(ROOT, 'src/main.ts');
export const TRUST_DOMAIN = 'strongroom.internal';
export const HOST = '127.0.0.1';

/** In the order in which they start: each needs only those before it. */
export const SERVICES = ['audit', 'keys', 'store', 'worker'] as const;
export type Service = (typeof SERVICES)[number];
export const PARTS = ['postgres', ...SERVICES] as const;
export type Part = (typeof PARTS)[number];
/** Who calls the services from outside. */
export const CALLERS = ['operator', 'app', 'app2', 'auditor'] as const;
export type Caller = (typeof CALLERS)[number];

export interface Stack {
  /** Data, logs, pid files, keys and configurations. */
  readonly state: string;
  readonly certs: string;
  readonly ports: Ports;
}

export type Say = (line: string) => void;
export const silent: Say = () => undefined;

export const stackAt = (state: string, certs: string, portBase: number): Stack => ({ state, certs, ports: portsOf(portBase) });

export const spiffeIdOf = (name: Service | Caller): string =>
  `spiffe://${TRUST_DOMAIN}/${(SERVICES as readonly string[]).includes(name) ? 'service/' : ''}${name}`;

export const addressOf = (stack: Stack, part: Part): string => `${HOST}:${stack.ports[part]}`;

export const tlsFilesOf = (stack: Stack, name: string) => ({
  certFile: join(stack.certs, `${name}.crt`),
  keyFile: join(stack.certs, `${name}.key`),
  caFile: join(stack.certs, 'ca.crt'),
});
