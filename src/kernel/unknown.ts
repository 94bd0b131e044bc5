// Unknown methods. The library answers them by itself, without details and unseen by any step; a handler for every other
// path lets them pass through the steps, and end with an error of ours.
import type { Server } from '@grpc/grpc-js';
import { AppError } from './errors.ts';
import { METADATA_LIMITS, REFUSED, type Row } from './table.ts';

const refused = (method: string): AppError =>
  new AppError('UNIMPLEMENTED', `there is no method ${method}; reflection lists what there is`, { metadata: { method } });

/** Never gets past its decoding. */
const ROW: Row<unknown, unknown> = {
  ...REFUSED,
  resource: () => ({ name: '' }),
  limits: METADATA_LIMITS,
  handler: () => Promise.resolve({}),
};

/** `handlerOf` makes the unary handler of a method. */
export const answerUnknown = (server: Server, handlerOf: (method: string, row: Row<unknown, unknown>) => unknown): void => {
  const { handlers } = server as unknown as { handlers?: unknown };
  if (!(handlers instanceof Map)) throw new Error('this release of grpc-js keeps its handlers elsewhere');
  const known = handlers.get.bind(handlers) as (path: string) => unknown;
  handlers.get = (path: string) => {
    const found = known(path);
    if (found !== undefined) return found;
    const method = path.slice(0, 256).toWellFormed();
    return { type: 'unary', path, func: handlerOf(method, ROW), serialize: () => Buffer.alloc(0), deserialize: () => refused(method) };
  };
};
