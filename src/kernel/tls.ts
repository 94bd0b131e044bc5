// Certificates from files, and again when the files change: a new set counts only if all of it fits together, else the
// last good one stays. TLS 1.3 only, no session tickets (a resumed session would skip the client certificate).
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync, watch, type FSWatcher } from 'node:fs';
import { dirname } from 'node:path';
import { constants } from 'node:crypto';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { describe, type Log } from './log.ts';

export interface TlsFiles {
  certFile: string;
  keyFile: string;
  caFile: string;
  crlFile?: string | undefined;
}

export interface TlsMaterial {
  ca: Buffer;
  cert: Buffer;
  key: Buffer;
  crl?: Buffer;
}

export interface Tls extends AsyncDisposable {
  readonly current: TlsMaterial;
  onReload(listener: () => void): void;
}

/** The options of every TLS context, both sides: hybrid key exchange first, nothing older than 1.3. */
export const secureContext = (material: TlsMaterial): SecureContextOptions => ({
  ...material,
  minVersion: 'TLSv1.3',
  ecdhCurve: 'X25519MLKEM768:X25519',
  secureOptions: constants.SSL_OP_NO_TICKET,
});

const read = (files: TlsFiles): TlsMaterial => {
  const material: TlsMaterial = {
    ca: readFileSync(files.caFile),
    cert: readFileSync(files.certFile),
    key: readFileSync(files.keyFile),
    ...(files.crlFile === undefined ? {} : { crl: readFileSync(files.crlFile) }),
  };
  const leaf = new X509Certificate(material.cert);
  if (!leaf.checkPrivateKey(createPrivateKey(material.key))) throw new Error(`${files.keyFile} is not the key of ${files.certFile}`);
  const now = new Date();
  if (leaf.validToDate < now || leaf.validFromDate > now) throw new Error(`${files.certFile} is not valid now (until ${leaf.validTo})`);
  createSecureContext(secureContext(material));
  return material;
};

const same = (a: TlsMaterial, b: TlsMaterial): boolean =>
  a.ca.equals(b.ca) && a.cert.equals(b.cert) && a.key.equals(b.key) && (a.crl ?? a.ca).equals(b.crl ?? b.ca);

export const openTls = (files: TlsFiles, log: Log): Tls => {
  let current = read(files);
  const listeners: (() => void)[] = [];

  const reload = (): void => {
    try {
      const fresh = read(files);
      if (same(fresh, current)) return;
      current = fresh;
      for (const listener of listeners) listener();
      log.info({ file: files.certFile }, 'certificates reloaded');
    } catch (error) {
      log.warn({ file: files.certFile, error: describe(error) }, 'new certificates are not usable; the old ones stay');
    }
  };

  // Folders, not files: a rename or a symlink swap replaces the file that a watch would hold on to.
  const folders = new Set([files.certFile, files.keyFile, files.caFile, ...(files.crlFile ? [files.crlFile] : [])].map((f) => dirname(f)));
  let pending: NodeJS.Timeout | undefined;
  const watchers: FSWatcher[] = [...folders].map((folder) =>
    watch(folder, { persistent: false }, () => {
      // One write of three files is many events; the set is read once they have come to rest.
      clearTimeout(pending);
      pending = setTimeout(reload, 100);
    }),
  );

  return {
    get current() {
      return current;
    },
    onReload: (listener) => void listeners.push(listener),
    [Symbol.asyncDispose]: async () => {
      clearTimeout(pending);
      for (const watcher of watchers) watcher.close();
    },
  };
};
