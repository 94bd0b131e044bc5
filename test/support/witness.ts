// A small witness by C2SP tlog-witness: the other party of the log, so it believes nothing, and keeps what it has last signed.
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseCheckpoint, type Checkpoint } from '../../src/audit/checkpoint.ts';
import { openMlDsaCosigner, parseCosigner } from '../../src/audit/cosignature.ts';
import { EMPTY_ROOT, isConsistent } from '../../src/audit/merkle.ts';
import { openNote, signatureLine, verifierOf, type Verifier } from '../../src/audit/note.ts';

export interface Answer {
  status: number;
  body: string;
  type?: string;
}

export interface TestWitness extends AsyncDisposable {
  readonly url: string;
  readonly verifier: Verifier;
  /** What it has last signed. */
  readonly last: () => { size: bigint; root: Buffer };
  /** The status of each answer, in order. */
  readonly answers: number[];
  /** Answers in place of the witness, or keeps silent with `undefined`; none: it does its work. */
  intervene: ((body: string) => Answer | undefined) | undefined;
  /** Believes from now on that it has last signed this. */
  remember(last: { size: bigint; root: Buffer }): void;
}

const bodyOf = async (request: IncomingMessage): Promise<string> => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
};

const ed25519Cosigner = (name: string): { verifier: Verifier; line: (text: string, checkpoint: Checkpoint) => string } => {
  const pair: { privateKey: KeyObject } = generateKeyPairSync('ed25519');
  const key = createPublicKey(createPrivateKey(pair.privateKey.export({ format: 'pem', type: 'pkcs8' })))
    .export({ format: 'der', type: 'spki' })
    .subarray(-32);
  const verifier = parseCosigner(verifierOf(name, 0x04, key, () => false).text)!;
  return {
    verifier,
    line: (text) => {
      const time = BigInt(Math.floor(Date.now() / 1000));
      const timestamp = Buffer.alloc(8);
      timestamp.writeBigUInt64BE(time);
      return signatureLine(
        verifier,
        Buffer.concat([timestamp, sign(null, Buffer.from(`cosignature/v1\ntime ${time}\n${text}`), pair.privateKey)]),
      );
    },
  };
};

const mlDsaCosigner = (name: string): ReturnType<typeof ed25519Cosigner> => {
  const { verifier, line } = openMlDsaCosigner(name, Buffer.alloc(32, 77));
  return { verifier, line: (_, checkpoint) => line(checkpoint, BigInt(Math.floor(Date.now() / 1000))) };
};

export const openWitness = async (name: string, log: Verifier, kind: 'ed25519' | 'ml-dsa-44' = 'ed25519'): Promise<TestWitness> => {
  const cosigner = kind === 'ed25519' ? ed25519Cosigner(name) : mlDsaCosigner(name);
  let last = { size: 0n, root: EMPTY_ROOT };

  const addCheckpoint = (body: string): Answer => {
    const end = body.indexOf('\n\n');
    const [old = '', ...lines] = body.slice(0, end).split('\n');
    const note = body.slice(end + 2);
    const text = openNote(note, log);
    const checkpoint = parseCheckpoint(text ?? '');
    if (!/^old (0|[1-9]\d*)$/.test(old) || lines.length > 63) return { status: 400, body: '' };
    if (!note.startsWith(`${log.name}\n`)) return { status: 404, body: '' };
    if (text === undefined || !checkpoint) return { status: 403, body: '' };
    const size = BigInt(old.slice('old '.length));
    if (size > checkpoint.size) return { status: 400, body: '' };
    if (size !== last.size) return { status: 409, body: `${last.size}\n`, type: 'text/x.tlog.size' };
    const proof = lines.map((line) => Buffer.from(line, 'base64'));
    if (!isConsistent(last, checkpoint, proof)) return { status: 422, body: '' };
    // In one step with the check: nothing is awaited in between.
    last = { size: checkpoint.size, root: checkpoint.root };
    return { status: 200, body: cosigner.line(text, checkpoint) };
  };

  const answers: number[] = [];
  const witness: { intervene: TestWitness['intervene'] } = { intervene: undefined };
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await bodyOf(request);
    const known = request.method === 'POST' && request.url === '/w/add-checkpoint';
    const given: Answer | undefined = !known
      ? { status: 404, body: '' }
      : witness.intervene
        ? witness.intervene(body)
        : addCheckpoint(body);
    // A dead one: the connection stays open.
    if (!given) return;
    answers.push(given.status);
    response.writeHead(given.status, { 'content-type': given.type ?? 'text/plain' }).end(given.body);
  };
  const server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(witness, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/w`,
    verifier: cosigner.verifier,
    last: () => last,
    answers,
    remember: (known: typeof last) => void (last = known),
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  });
};
