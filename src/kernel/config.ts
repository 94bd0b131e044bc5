// Reads one JSON file against a shape. An unknown, missing or badly typed key refuses the start with the key's name.
// Secrets never stand in the file: only paths to them, relative to it. The environment counts inside such paths only.
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { parseSpiffeId, type SpiffeId } from './identity.ts';

const name = z.string().min(1).max(255);
const port = z.int().min(1).max(65_535);

/** A path, or a list of them. Its key ends in File, Files or Dir, by which `readConfig` knows to resolve it against the configuration's folder. */
const path = z.string().min(1);

export const spiffeIdSchema = z.string().transform((text, context): SpiffeId => {
  const id = parseSpiffeId(text);
  if (id) return id;
  context.addIssue({ code: 'custom', message: 'is not a SPIFFE ID (spiffe://trust.domain/path)' });
  return z.NEVER;
});

/** `90s`, `15m`, `12h`, `7d`, as milliseconds. */
export const durationSchema = z
  .string()
  .regex(/^\d{1,6}(ms|s|m|h|d)$/, 'is not a duration such as 500ms, 90s, 15m, 12h or 7d')
  .transform((text) => {
    const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
    const [, count = '0', unit = 's'] = /^(\d+)(\w+)$/.exec(text) ?? [];
    return Number(count) * units[unit as keyof typeof units];
  });

export const fileSchema = path;
export const listenSchema = z.strictObject({ host: name, port: z.int().min(0).max(65_535) });
export const tlsSchema = z.strictObject({ certFile: path, keyFile: path, caFile: path, crlFile: path.optional() });
export const addressSchema = name.regex(/^[^:]+:\d+$/, 'is not host:port');
export const peerSchema = z.strictObject({ address: addressSchema, spiffeId: spiffeIdSchema });
export const addressesSchema = z.array(addressSchema).min(1).max(16);
/** A service that may run in several processes, each with an address of its own. */
export const replicasSchema = z.strictObject({ address: z.union([addressSchema, addressesSchema]), spiffeId: spiffeIdSchema });
export const databaseSchema = z.strictObject({
  host: name,
  port,
  name,
  user: name,
  poolSize: z.int().min(2).max(200).default(10),
  tls: z.strictObject({ certFile: path, keyFile: path, caFile: path }),
});
/** Who may call what: `package.Service` or `package.Service/Method` → SPIFFE IDs, or `*` for all of the trust domain. */
export const allowSchema = z.record(name, z.union([z.tuple([z.literal('*')]), z.array(spiffeIdSchema).min(1)]));
export const logSchema = z.strictObject({ level: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info') });

/** What every service has. */
export const baseConfig = {
  service: name,
  trustDomain: name,
  listen: listenSchema,
  tls: tlsSchema,
  allow: allowSchema,
  log: logSchema.default({ level: 'info' }),
  /** Who may use reflection; nobody if absent. */
  reflection: z.array(spiffeIdSchema).default([]),
  /** Prometheus metrics over plain HTTP, for loopback or a pod's own network. */
  metrics: listenSchema.optional(),
  /** At a stop: how long calls under way may take. */
  drain: durationSchema.default(10_000),
};
const serverShape = z.strictObject(baseConfig);
export type ServerConfig = z.infer<typeof serverShape>;
export type PeerConfig = z.infer<typeof peerSchema>;
export type DatabaseConfig = z.infer<typeof databaseSchema>;

const PATH_KEYS = /Files?$|Dir$|^dir$/;

/** A path may begin with a folder that the environment names: `${CREDENTIALS_DIRECTORY}/master.key`. Nothing else may. */
const resolvePath = (key: string, text: string, folder: string): string =>
  resolve(
    folder,
    text.replaceAll(/\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (_, variable: string) => {
      const value = process.env[variable];
      if (!value) throw new Error(`${key}: the environment variable ${variable} is not set`);
      return value;
    }),
  );

/** `key` is that of the value, or of the list that it is in. */
const resolvePaths = (value: unknown, folder: string, key = ''): unknown => {
  if (typeof value === 'string') return PATH_KEYS.test(key) ? resolvePath(key, value, folder) : value;
  if (Array.isArray(value)) return value.map((item) => resolvePaths(item, folder, key));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([inner, item]) => [inner, resolvePaths(item, folder, inner)]));
};

export const readConfig = <T>(file: string, schema: z.ZodType<T>): T => {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new Error(`cannot read the configuration ${file}: ${error instanceof Error ? error.message : 'unknown error'}`, { cause: error });
  }
  const result = schema.safeParse(resolvePaths(json, dirname(resolve(file))));
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => {
    const keys = issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...issue.path, key].join('.')) : [issue.path.join('.')];
    return `${keys.join(', ') || '(root)'}: ${issue.code === 'unrecognized_keys' ? 'is not a key of this configuration' : issue.message}`;
  });
  throw new Error(`the configuration ${file} is not usable: ${problems.join('; ')}`);
};

/** A 32-byte key from a file that only its owner may read. */
export const readKeyFile = (file: string): Buffer => {
  const bytes = readPrivateFile(file, 'key file');
  if (bytes.length !== 32) throw new Error(`the key file ${file} has ${bytes.length} bytes; exactly 32 are needed`);
  return bytes;
};

/** A file that only its owner may read, and no link to one. */
export const readPrivateFile = (file: string, what: string): Buffer => {
  let fd: number;
  try {
    // Without O_NONBLOCK a named pipe would hold the start up for ever.
    fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    throw new Error(`cannot open the ${what} ${file}: ${error instanceof Error ? error.message : 'unknown error'}`, { cause: error });
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw new Error(`the ${what} ${file} is not a regular file`);
    if ((stat.mode & 0o077) !== 0) throw new Error(`the ${what} ${file} can be read by others; run chmod 600 on it`);
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
};
