-- What a root key's users see of each other: how often scopes are used, and the events that tell services of a key's life cycle.

-- Approximate: counted in memory and added from time to time.
create table scope_usage (
  scope_uid uuid primary key references scopes,
  wraps bigint not null,
  unwraps bigint not null,
  last_use_time timestamptz not null
);
drop index scopes_live;
create index scopes_live on scopes (key_uid, scope_uid) where destroy_time is null;

create table key_events (
  event_uid uuid primary key default gen_random_uuid(),
  -- The order in which a service is told; of one key the order of its changes, because each holds the key's row.
  seq bigint generated always as identity,
  -- Who is told, a SPIFFE ID.
  service text not null,
  key_uid uuid not null references root_keys,
  change text not null
    check (change in ('ENABLED', 'DISABLED', 'EXPIRED', 'DELETE_SCHEDULED', 'RESTORED', 'DESTROYED', 'ROTATED', 'MATERIAL_EXPIRED',
      'MATERIAL_REIMPORTED', 'GRANTED', 'GRANT_REVOKED')),
  -- Of the key, right after the change.
  state text not null,
  -- Of a grant: whom it is for, `instances/-` for any.
  instance text not null default '',
  create_time timestamptz not null default now(),
  overdue_time timestamptz,
  acknowledge_time timestamptz
);
create index key_events_waiting on key_events (service, seq) where acknowledge_time is null;
create index key_events_late on key_events (create_time) where acknowledge_time is null and overdue_time is null;
create index key_events_old on key_events (acknowledge_time) where acknowledge_time is not null;

-- When services were told that it had expired.
alter table root_keys add column expiry_told_time timestamptz;
create index root_keys_expiry on root_keys (expire_time) where expire_time is not null and expiry_told_time is null;

grant select, insert, update, delete on scope_usage, key_events to keys;
