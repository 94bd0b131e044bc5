// What the worker records: the begin and the end of each purge, and what it schedules again after a restore.
import { ownActions, type OwnEvent as Own } from '../kernel/own-event.ts';

const END = [
  'a purge has ended: nothing of the resource is left',
  'purge',
  'scopeKeysDestroyed',
  'versionsRemoved',
  'secretsRemoved',
  'groupsRemoved',
  'keysDestroyedTime',
  'rootKey',
  'absorbedBy',
] as const;
const START = ['a purge begins: the first key is about to be destroyed', 'purge'] as const;
const EXPIRED = ['its time has come: it cannot be read any more, and its purge is due', 'purge', 'expireTime'] as const;
const AGAIN = ['its key was destroyed before, so the database was restored; it is purged again', 'purge', 'cause'] as const;

export const OWN_ACTIONS = ownActions({
  'secrets.instance.purge.start': START,
  'secrets.group.purge.start': START,
  'secrets.secret.purge.start': START,
  'secrets.version.purge.start': START,
  'secrets.instance.purge': END,
  'secrets.group.purge': END,
  'secrets.secret.purge': END,
  'secrets.version.purge': END,
  'secrets.secret.expire': EXPIRED,
  'secrets.version.expire': EXPIRED,
  'secrets.instance.delete': AGAIN,
  'secrets.group.delete': AGAIN,
});

export type OwnEvent = Own<keyof typeof OWN_ACTIONS>;
