// The vocabulary of the audit log beyond what every entry has: the names that attributes may have, and what each means. An
// action's entries carry those that its row lists, and no other. Pure.
export const FACTS = {
  absorbedBy: 'the purge that this one went on in',
  attemptsLeft: 'how often the import job can still be tried',
  cause: 'why a service did it by itself',
  change: 'what happened to the root key',
  count: 'how many there were',
  deks: 'the DEKs, `{secret uid}/{version}`, separated by commas',
  destination: 'the name that the secret has after the move',
  destroyed: 'the version that was destroyed',
  effect: 'what the hold prevents',
  endIndex: 'index after the last entry that was looked at',
  event: 'name of the key event',
  fields: 'the fields that were changed, never their values',
  force: 'that the root key was in use, and was to be deleted all the same',
  grant: 'UUID of the grant',
  importJob: 'the import job that the material came through',
  instance: 'the instance that a grant counts for',
  key: 'UUID of the root key',
  keysDestroyedTime: 'when the last key was destroyed',
  masterKey: 'the master key, by its id',
  notModified: 'that the caller had the payload already, and was given none',
  previous: 'the master key before it, by its id',
  principal: 'SPIFFE ID of who gets or loses a right',
  purge: 'name of the purge; its uid is the correlation id of all that it does',
  reason: 'why, in the words of the caller or of the event',
  replay: 'that the call was a repeated one, and changed nothing',
  retained: 'whether the scope must be kept',
  role: 'the role that is given or taken',
  rootKey: 'name of the root key',
  scope: 'UUID of the scope',
  scopeKeysDestroyed: 'how many scope keys were destroyed',
  secretsRemoved: 'how many secrets were removed',
  groupsRemoved: 'how many groups were removed',
  versionsRemoved: 'how many versions were removed',
  service: 'SPIFFE ID of the service that was told',
  startIndex: 'index of the first entry that was asked for',
  state: 'the state of the root key',
  target: 'UUID of the scope that a DEK was moved to',
  version: 'version number',
  wait: 'how long until the root key is destroyed',
} as const;

export type Fact = keyof typeof FACTS;

/** What an entry says beyond who, what, when and how it ended. Never a value, never a key. */
export type Attributes = Readonly<Partial<Record<Fact, string>>>;
