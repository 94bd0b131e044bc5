// Makes values that nobody has seen: nothing of them leaves this process but sealed, until somebody who may reads them.
import type { Caller } from './envelope.ts';
import { valueOf, type Value } from './payload.ts';
import type { SecretRow } from './sql/secrets.ts';
import type { Store } from './store.ts';
import { openValue } from './stored-value.ts';
import type { Recipe } from './types/type.ts';

type Opener = Pick<Store, 'db' | 'envelope'>;

/** To be wiped by who asked for it. */
export const generate = async (opener: Opener, secret: SecretRow, recipe: Recipe, caller: Caller): Promise<Value> => {
  if (!recipe.needsNewest || secret.latest_version === 0) return valueOf(recipe.make());
  const { bytes: newest } = await openValue(opener, secret, secret.latest_version, caller);
  try {
    return valueOf(recipe.make(newest));
  } finally {
    newest.fill(0);
  }
};
