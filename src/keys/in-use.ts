// Why a root key or its name cannot be had, used or destroyed: what stands against it.
import type { Queryable } from '../kernel/db.ts';
import { AppError } from '../kernel/errors.ts';
import { countRetained } from './sql/life-cycle.ts';

export const inUse = (name: string, scopes: bigint): AppError =>
  new AppError('KEY_IN_USE', `${name} protects ${scopes} scopes; destroy them first`, {
    metadata: { resource: name, scopes: String(scopes) },
  });

export const notGranted = (name: string): AppError =>
  new AppError('KEY_NOT_GRANTED', `no grant lets this instance use ${name}; ask who administers it for one`, {
    metadata: { resource: name },
  });

export const aliasTaken = (keyRing: string): AppError =>
  new AppError('ALREADY_EXISTS', `an alias is taken in ${keyRing}, by a key or as another key's alias; take it off there first`, {
    metadata: { resource: keyRing },
  });

export const scopeRetained = (name: string): AppError =>
  new AppError('SCOPE_RETAINED', `what ${name} protects must be kept; its hold must be taken off first`, { metadata: { scope: name } });

export const assertNoneRetained = async (tx: Queryable, name: string, keyUid: string): Promise<void> => {
  const retained = await countRetained(tx, keyUid);
  if (retained > 0n)
    throw new AppError('SCOPE_RETAINED', `${name} protects ${retained} scopes whose content must be kept; nothing can force that`, {
      metadata: { resource: name, scopes: String(retained) },
    });
};
