// What all purges of this process know together of the traffic in the database: how many rows may go, and how crowded it is.
import type { Db } from '../kernel/db.ts';
import { crowdingOf, rowLimit } from './pace.ts';

export interface Traffic extends ReturnType<typeof rowLimit> {
  /** How much longer than in quiet times a tiny read takes now: 1 or more. */
  crowding(): Promise<number>;
}

export const openTraffic = (db: Pick<Db, 'ping'>, rowsPerSecond: number | undefined): Traffic => {
  const crowded = crowdingOf();
  return {
    ...rowLimit(rowsPerSecond),
    crowding: async () => {
      const start = performance.now();
      await db.ping();
      return crowded(performance.now() - start);
    },
  };
};
