// Which master keys there are, what is left under each, and when it goes: from the database, beside what is in the folder.
import type { MasterKeyStatus } from '../gen/strongroom/keys/v1/key_service.ts';
import { folderFailed } from './key-files.ts';
import type { Keys } from './keys.ts';
import { countSealed, selectMasterKeys, type MasterKeyRow } from './sql/master-keys.ts';

const later = (time: Date | null | undefined, ms: number | null): Date | undefined =>
  time && ms !== null ? new Date(time.getTime() + ms) : undefined;

export const masterKeyStatus = async ({ db, files, schedule }: Keys): Promise<MasterKeyStatus> => {
  const list = (): string[] => {
    try {
      return files.list();
    } catch (error) {
      throw folderFailed(error);
    }
  };
  const [rows, counts] = await Promise.all([selectMasterKeys(db.read), countSealed(db.read)]);
  const toKey = ({ id, create_time: createTime, state, empty_time: emptyTime }: MasterKeyRow) => ({
    id,
    createTime,
    rootKeyVersionCount: counts.find((count) => count.id === id)?.root_key_versions ?? 0n,
    destroyTime: state === 'PREVIOUS' ? later(emptyTime, schedule.keepForMs) : undefined,
  });
  const current = rows.find(({ state }) => state === 'CURRENT');
  return {
    current: current && toKey(current),
    previous: rows.filter(({ state }) => state === 'PREVIOUS').map(toKey),
    nextRotationTime: later(current?.create_time, schedule.rotateEveryMs),
    unknownIds: list().filter((id) => !rows.some((row) => row.id === id)),
  };
};
