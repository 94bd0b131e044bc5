// Identities beside those of a stack, signed by its own authority; good ones and others.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SecureContextOptions } from 'node:tls';
import { issue, type Subject } from '../../src/dev/authority.ts';
import { readAuthority } from '../../src/dev/certificates.ts';
import { tlsFilesOf, TRUST_DOMAIN, type Stack } from '../../src/dev/stack.ts';
import { secureContext } from '../../src/kernel/tls.ts';
import { clientsOf, type Clients } from './clients.ts';

export const spiffe = (path: string): string => `spiffe://${TRUST_DOMAIN}/${path}`;

/** TLS material of a certificate that the stack's authority signs for this subject. */
export const materialFor = async (stack: Stack, subject: Partial<Subject>): Promise<SecureContextOptions> => {
  const { cert, key } = await issue(readAuthority(stack.certs), { commonName: 'test', ...subject });
  const ca = readFileSync(tlsFilesOf(stack, 'ca').certFile);
  return secureContext({ ca, cert: Buffer.from(cert), key: Buffer.from(key) });
};

/** All that another caller can call: one whose SPIFFE ID has this path. */
export const clientsAs = async (stack: Stack, path: string): Promise<Clients> => {
  const { ca, cert, key } = await materialFor(stack, { uris: [spiffe(path)] });
  // Made as the files of a stack, which is how clients read theirs.
  const certs = mkdtempSync(join(tmpdir(), 'strongroom-identity-'));
  const files = tlsFilesOf({ ...stack, certs }, 'app');
  writeFileSync(files.caFile, ca as Buffer);
  writeFileSync(files.certFile, cert as Buffer);
  writeFileSync(files.keyFile, key as Buffer, { mode: 0o600 });
  try {
    return clientsOf({ ...stack, certs }, 'app');
  } finally {
    rmSync(certs, { recursive: true });
  }
};
