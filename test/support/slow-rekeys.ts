// Rekeys that take their time, so that something can happen in the middle of one.
import type { Stack } from '../../src/dev/stack.ts';
import { withDatabase } from './stack.ts';

/** Every step of every rekey in this stack takes so much longer. */
export const slowDown = (stack: Stack, seconds: number): Promise<void> =>
  withDatabase(
    stack,
    'store',
    async (client) => {
      await client.query(`create or replace function slow_rekey() returns trigger language plpgsql as
        $$ begin perform pg_sleep(${seconds}); return new; end $$`);
      await client.query('create or replace trigger slow_rekey before update on rekeys for each row execute function slow_rekey()');
    },
    'superuser',
  );
