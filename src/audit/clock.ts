// Record times come from this machine's clock, though never back. One that is far from the database's, or behind the newest
// entry, needs somebody's look.
import type { Log } from '../kernel/log.ts';
import { metrics } from '../kernel/metrics.ts';

const MAX_SKEW_MS = 5_000;

export const openClockWatch = (log: Log): ((database: Date, newest: Date) => void) => {
  let wrong = false;
  return (database, newest) => {
    const now = Date.now();
    const skew = Math.max(Math.abs(now - database.getTime()), newest.getTime() - now);
    metrics.auditClockSkew.set(skew / 1_000);
    if (skew > MAX_SKEW_MS === wrong) return;
    wrong = !wrong;
    log.warn(
      { ms: skew },
      wrong ? 'the clock of this machine is wrong, and record times with it' : 'the clock of this machine is right again',
    );
  };
};
