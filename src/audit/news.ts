// Wakes those who follow the log: when this process has written, and otherwise every 250 ms, since another process may have.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Writer } from './writer.ts';

const POLL_MS = 250;

export interface News {
  /** Resolves when there may be something new. Rejects when the signal is aborted. */
  next(signal: AbortSignal): Promise<void>;
}

/** The writer, and the news of what it has written. */
export const withNews = (writer: Writer): { writer: Writer; news: News } => {
  let written = Promise.withResolvers<void>();
  return {
    writer: {
      ...writer,
      append: async (drafts, deadline) => {
        const results = await writer.append(drafts, deadline);
        written.resolve();
        return results;
      },
    },
    news: {
      next: async (signal) => {
        const waiting = written;
        const stop = new AbortController();
        try {
          await Promise.race([waiting.promise, sleep(POLL_MS, undefined, { signal: AbortSignal.any([signal, stop.signal]) })]);
        } finally {
          stop.abort();
        }
        // All who waited have been woken; what is written from here on is news again.
        if (waiting === written) written = Promise.withResolvers();
      },
    },
  };
};
