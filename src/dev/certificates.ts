// The certificates of a stack: one authority and a leaf for each identity, made when missing, of another shape than
// asked, or within 7 days of their end. Keys are readable by their owner only.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Pair, Subject } from './authority.ts';
import { writeFile } from './files.ts';
import { CALLERS, HOST, SERVICES, spiffeIdOf } from './stack.ts';

/** The PostgreSQL role that logs in with the certificate is its common name. */
export const OWNER_ROLE = 'strongroom_owner';
export const SUPERUSER_ROLE = 'postgres';

const LOCAL = { dns: ['localhost'], ips: [HOST] } as const;
const SUBJECTS: Readonly<Record<string, Subject>> = {
  ...Object.fromEntries(SERVICES.map((name) => [name, { commonName: name, uris: [spiffeIdOf(name)], ...LOCAL }])),
  ...Object.fromEntries(CALLERS.map((name) => [name, { commonName: name, uris: [spiffeIdOf(name)] }])),
  postgres: { commonName: 'localhost', ...LOCAL, usages: ['server'] },
  owner: { commonName: OWNER_ROLE, usages: ['client'] },
  superuser: { commonName: SUPERUSER_ROLE, usages: ['client'] },
};
const RENEW_BEFORE_MS = 7 * 86_400_000;

const read = (folder: string, name: string): Pair => ({
  cert: readFileSync(join(folder, `${name}.crt`), 'utf8'),
  key: readFileSync(join(folder, `${name}.key`), 'utf8'),
});

/** As Node prints a certificate's names. */
const namesOf = ({ uris = [], dns = [], ips = [] }: Subject): string | undefined =>
  [...uris.map((uri) => `URI:${uri}`), ...dns.map((name) => `DNS:${name}`), ...ips.map((ip) => `IP Address:${ip}`)].join(', ') || undefined;

const usable = (folder: string, name: string, fits: (certificate: X509Certificate) => boolean): boolean => {
  try {
    const { cert, key } = read(folder, name);
    const certificate = new X509Certificate(cert);
    const lasts = certificate.validToDate.getTime() - Date.now() > RENEW_BEFORE_MS;
    return lasts && certificate.checkPrivateKey(createPrivateKey(key)) && fits(certificate);
  } catch {
    return false;
  }
};

const save = (folder: string, name: string, { cert, key }: Pair): void => {
  writeFile(join(folder, `${name}.key`), key, 0o600);
  writeFile(join(folder, `${name}.crt`), cert);
};

export const readAuthority = (folder: string): Pair => read(folder, 'ca');

/** Answers how many certificates it made. */
export const ensureCertificates = async (folder: string): Promise<number> => {
  mkdirSync(folder, { recursive: true });
  let made = 0;
  if (!usable(folder, 'ca', (certificate) => certificate.ca)) {
    const { createAuthority } = await import('./authority.ts');
    save(folder, 'ca', await createAuthority('Strongroom development'));
    made++;
  }
  const authority = readAuthority(folder);
  const issuer = new X509Certificate(authority.cert);
  for (const [name, subject] of Object.entries(SUBJECTS)) {
    const fits = (certificate: X509Certificate) =>
      certificate.verify(issuer.publicKey) &&
      certificate.subject === `CN=${subject.commonName}` &&
      certificate.subjectAltName === namesOf(subject);
    if (usable(folder, name, fits)) continue;
    const { issue } = await import('./authority.ts');
    save(folder, name, await issue(authority, subject));
    made++;
  }
  return made;
};
