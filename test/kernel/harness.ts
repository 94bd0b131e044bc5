// A server of the kernel on real mutual TLS, with one small table, and clients that show exactly what came back.
import { Client, credentials, Metadata, status, type ChannelOptions, type ServiceError } from '@grpc/grpc-js';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { ErrorInfo, RetryInfo } from '../../src/gen/google/rpc/error_details.ts';
import { Status } from '../../src/gen/google/rpc/status.ts';
import type { Event } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import { EnvelopeServiceService, GetScopeRequest, Scope } from '../../src/gen/strongroom/keys/v1/envelope_service.ts';
import type { Auditor } from '../../src/kernel/audit.ts';
import type { ServerConfig } from '../../src/kernel/config.ts';
import type { AppError } from '../../src/kernel/errors.ts';
import { parseSpiffeId, type SpiffeId } from '../../src/kernel/identity.ts';
import type { Log, LogFields } from '../../src/kernel/log.ts';
import { serve, type ServeOptions } from '../../src/kernel/server.ts';
import { register, type Call, type Registration, type Row } from '../../src/kernel/table.ts';
import { openTls, type TlsFiles } from '../../src/kernel/tls.ts';
import { newAuthority, writeTlsFiles, type Authority, type Issued } from '../support/certs.ts';

export const SERVICE = 'strongroom.keys.v1.EnvelopeService';
export const GET_SCOPE = `/${SERVICE}/GetScope`;
export const spiffe = (path: string): SpiffeId => parseSpiffeId(`spiffe://strongroom.internal/${path}`)!;
export const APP = spiffe('app');

type ScopeRow = Row<GetScopeRequest, Scope>;
export type Handler = (request: GetScopeRequest, call: Call) => Promise<Scope>;

export interface Line extends LogFields {
  level: string;
  message: string;
}

/** What is logged, kept. */
export const recordingLog = (): Log & { lines: Line[] } => {
  const lines: Line[] = [];
  const write = (level: string) => (fields: LogFields, message: string) => void lines.push({ ...fields, level, message });
  return { lines, debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
};

/** An audit log in memory; `failure` makes it refuse. */
export const recordingAuditor = () => {
  const events: Event[] = [];
  const auditor: Auditor & { events: Event[]; failure: AppError | undefined } = {
    events,
    failure: undefined,
    append: async (added) => {
      if (auditor.failure) throw auditor.failure;
      events.push(...added);
      return added.map((_, i) => BigInt(events.length - added.length + i));
    },
  };
  return auditor;
};

export const scopeTable = (handler: Handler, row: Partial<ScopeRow> = {}): Registration =>
  register(
    { getScope: EnvelopeServiceService.getScope },
    {
      getScope: {
        action: 'keys.scope.read',
        resource: (request) => ({ name: request.name }),
        audit: 'read',
        facts: ['version'],
        limits: { requestBytes: 1_000, deadlineMs: 5_000 },
        handler,
        ...row,
      },
    },
  );
export const echo: Handler = async ({ name }) => Scope.fromPartial({ name });

export interface Site extends AsyncDisposable {
  folder: string;
  authority: Authority;
  files: TlsFiles;
  app: Issued;
}

/** An authority, a folder with a server's certificate, and one client. */
export const newSite = async (): Promise<Site> => {
  const folder = mkdtempSync(join(tmpdir(), 'strongroom-'));
  const authority = await newAuthority();
  const files = writeTlsFiles(folder, authority, await authority.issue({ uris: [spiffe('service/keys')] }));
  const app = await authority.issue({ uris: [APP] });
  return { folder, authority, files, app, [Symbol.asyncDispose]: async () => rmSync(folder, { recursive: true }) };
};

export interface StartOptions extends Partial<Pick<ServeOptions, 'registrations' | 'authorize' | 'ready'>> {
  config?: Partial<ServerConfig>;
  files?: TlsFiles;
}

export const startServer = async (site: Site, options: StartOptions = {}) => {
  const { registrations = [scopeTable(echo)], authorize = async () => undefined, ready = async () => undefined } = options;
  const log = recordingLog();
  const auditor = recordingAuditor();
  const files = options.files ?? site.files;
  const tls = openTls(files, log);
  const config: ServerConfig = {
    service: 'test',
    trustDomain: 'strongroom.internal',
    listen: { host: '127.0.0.1', port: 0 },
    tls: files,
    allow: Object.fromEntries(registrations.map((r) => [r.service, ['*']])) as ServerConfig['allow'],
    log: { level: 'silent' },
    reflection: [],
    drain: 1_000,
    ...options.config,
  };
  const server = await serve({ config, log, tls, registrations, authorize, auditor, ready });
  const clients: Client[] = [];
  return {
    port: server.port,
    log,
    auditor,
    events: auditor.events,
    /** A client with this certificate; with the app's, unless told. */
    client: (context: SecureContextOptions = contextOf(site, site.app)): Client => {
      const client = connect(server.port, context);
      clients.push(client);
      return client;
    },
    [Symbol.asyncDispose]: async () => {
      for (const client of clients) client.close();
      await server[Symbol.asyncDispose]();
      await tls[Symbol.asyncDispose]();
    },
  };
};

export const contextOf = (site: Pick<Site, 'authority'>, issued?: Issued, more: SecureContextOptions = {}): SecureContextOptions => ({
  ca: site.authority.cert,
  ...(issued ? { cert: issued.cert, key: issued.key } : {}),
  ...more,
});

export const connect = (port: number, context: SecureContextOptions, options: ChannelOptions = {}): Client =>
  new Client(
    `127.0.0.1:${port}`,
    credentials.createFromSecureContext(createSecureContext(context), { checkServerIdentity: () => undefined }),
    {
      'grpc.ssl_target_name_override': 'localhost',
      'grpc.use_local_subchannel_pool': 1,
      'grpc.max_send_message_length': -1,
      ...options,
    },
  );

export interface Answer {
  code: keyof typeof status;
  details: string;
  reply: Buffer | undefined;
  info: ErrorInfo | undefined;
  retry: RetryInfo | undefined;
  metadata: Metadata;
}

const detail = (error: ServiceError, name: string): Buffer | undefined => {
  const [raw] = error.metadata?.get('grpc-status-details-bin') ?? [];
  return raw instanceof Buffer ? Status.decode(raw).details.find((d) => d.typeUrl.endsWith(name))?.value : undefined;
};

/** Calls with the bytes as they are, and tells what came back. */
export const call = (
  client: Client,
  bytes: Uint8Array = GetScopeRequest.encode({ name: 'scopes/a' }).finish(),
  {
    path = GET_SCOPE,
    deadlineMs = 3_000,
    headers = {},
    started,
  }: { path?: string; deadlineMs?: number; headers?: Record<string, string>; started?: (cancel: () => void) => void } = {},
): Promise<Answer> =>
  new Promise((resolve) => {
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
    const identity = (value: Buffer): Buffer => value;
    const options = { deadline: Date.now() + deadlineMs };
    const answer: Answer = { code: 'OK', details: '', reply: undefined, info: undefined, retry: undefined, metadata: new Metadata() };
    const calling = client.makeUnaryRequest(path, identity, identity, Buffer.from(bytes), metadata, options, (error, reply) => {
      if (!error) {
        // The trailers come after the reply.
        calling.on('status', (ended) => resolve({ ...answer, reply, metadata: ended.metadata }));
        return;
      }
      const [info, retry] = [detail(error, 'google.rpc.ErrorInfo'), detail(error, 'google.rpc.RetryInfo')];
      resolve({
        ...answer,
        code: status[error.code] as keyof typeof status,
        details: error.details,
        info: info && ErrorInfo.decode(info),
        retry: retry && RetryInfo.decode(retry),
        metadata: error.metadata,
      });
    });
    started?.(() => calling.cancel());
  });

/** Waits for what has no event to wait for, at most two seconds. */
export const eventually = async (check: () => boolean, what: string): Promise<void> => {
  const end = Date.now() + 2_000;
  while (!check()) {
    if (Date.now() > end) throw new Error(`did not happen: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
};

/** A port that was free a moment ago. */
export const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });
