// When versions of root keys were last used to unwrap: noted in memory, written at most once a minute. A crash loses a minute of it.
import type { Chore } from './chores.ts';
import { recordUses, type VersionUse } from './sql/versions.ts';

export interface VersionUses {
  readonly note: (use: VersionUse) => void;
  readonly chore: Chore;
}

export const openVersionUses = (): VersionUses => {
  const noted = new Map<string, VersionUse>();
  return {
    note: ({ keyUid, version }) => void noted.set(`${keyUid}/${version}`, { keyUid, version }),
    chore: {
      name: 'record uses of root keys',
      next: async () => null,
      run: async (tx) => {
        const uses = [...noted.values()];
        noted.clear();
        if (uses.length > 0) await recordUses(tx, uses);
        return false;
      },
    },
  };
};
