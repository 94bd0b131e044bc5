// Which process this is, as its audit entries name it.
import { hostname } from 'node:os';
import program from '../../package.json' with { type: 'json' };

export const OBSERVER = {
  /** In a cluster the host name is the pod's. */
  instance: `${hostname()
    .replaceAll(/[^A-Za-z0-9.-]/g, '-')
    .slice(0, 100)}-${process.pid}`,
  version: program.version,
} as const;
