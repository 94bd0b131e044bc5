// The operations by name, and what a reader of the results needs to know of each.
export const OPERATIONS = {
  echoes: 'echo (floor)',
  reads: 'AccessSecretVersion',
  'not-modified': 'AccessSecretVersion, not modified',
  'batch-access': 'BatchAccess, per item of 100',
  creates: 'CreateSecret',
  adds: 'AddSecretVersion',
  unwraps: 'UnwrapDek',
  'unwrap-batches': 'BatchUnwrapDeks, per item of 100',
  appends: 'AppendEvents, per event of 100',
} as const;
export type Name = keyof typeof OPERATIONS;
export const NAMES = Object.keys(OPERATIONS) as Name[];
export const FLOOR: Name = 'echoes';
