import { ExpeditePurgeRequest, Purge } from '../../gen/strongroom/secrets/v1/purge_service.ts';
import type { Call } from '../../kernel/table.ts';
import { lockDeleted } from '../expedite.ts';
import { assertNotHeld } from '../hold.ts';
import { toPurge } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { parseDeletable } from '../names.ts';
import { expeditePurge as expedite, selectPurge } from '../sql/purges.ts';
import { purgeStarted, purgeProtected } from '../state.ts';
import type { Store } from '../store.ts';

export const expeditePurge = (store: Store, request: ExpeditePurgeRequest, call: Call): Promise<Purge> => {
  const { resource: name } = request;
  const path = parseDeletable(name, 'resource');
  return mutate(store, call, {
    request,
    codec: { request: ExpeditePurgeRequest, reply: Purge },
    change: async (tx) => {
      const { uid, place, isProtected, setDue } = await lockDeleted(tx, path, name);
      call.annotate({ instanceUid: place.instance_uid, attributes: { purge: `purges/${uid}` } });
      if (isProtected) throw purgeProtected(name, 'it is purged when it is due, and not before');
      await assertNotHeld(tx, place, name, 'purge');
      if (!(await expedite(tx, uid))) throw purgeStarted(name);
      await setDue();
      return toPurge((await selectPurge(tx, uid))!);
    },
  });
};
