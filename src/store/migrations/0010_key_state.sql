-- What the store knows of the root keys that its instances are under, and of the scopes that its holds retain.

alter table instances
  -- Of the root key, as the key service last told it.
  add column key_state text not null default 'ENABLED'
    check (key_state in ('ENABLED', 'DISABLED', 'EXPIRED', 'DESTROY_SCHEDULED', 'DESTROYED', 'MATERIAL_EXPIRED', 'NOT_GRANTED')),
  add column key_state_time timestamptz not null default now();
create index instances_root_key on instances (root_key, instance_uid);

-- Instances whose scopes may be retained otherwise than their holds say: one row for each change that is under way, or was interrupted.
create table unsettled_retention (
  token uuid primary key default gen_random_uuid(),
  instance_uid uuid not null,
  create_time timestamptz not null default now()
);
create index unsettled_retention_age on unsettled_retention (create_time);

grant select, insert, delete on unsettled_retention to store;
