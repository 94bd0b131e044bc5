-- The key service's schema: root keys by reference, scope keys wrapped by them. No plain key, and no secret's payload.

-- The keys that seal root keys. They are in files; here is what each of them is.
create table master_keys (
  id text primary key check (id ~ '^[0-9a-f]{16}$'),
  -- NEW: its file is being made.
  state text not null check (state in ('NEW', 'CURRENT', 'PREVIOUS', 'DESTROYED')),
  create_time timestamptz not null default now(),
  -- When no root key was left under a previous one: then its time begins to run out.
  empty_time timestamptz,
  destroy_time timestamptz,
  check ((state = 'DESTROYED') = (destroy_time is not null))
);
create unique index master_keys_one on master_keys (state) where state in ('NEW', 'CURRENT');

create table root_keys (
  key_uid uuid primary key,
  key_ring text not null,
  key_id text not null,
  state text not null default 'ENABLED' check (state in ('ENABLED', 'DESTROYED')),
  -- The instance that a provider-managed key was made for.
  owner uuid not null,
  primary_version int not null default 1,
  create_time timestamptz not null default now(),
  destroy_time timestamptz,
  unique (key_ring, key_id)
);

create table root_key_versions (
  key_uid uuid not null references root_keys,
  version int not null check (version > 0),
  -- What the backend knows it by; forgotten when the material is destroyed.
  ref bytea,
  -- The master key of a reference of format 1, which stands in it behind the format byte.
  sealed_by text generated always as (case when get_byte(ref, 0) = 1 then encode(substring(ref from 2 for 8), 'hex') end) stored references master_keys,
  create_time timestamptz not null default now(),
  destroy_time timestamptz,
  primary key (key_uid, version),
  check ((ref is null) = (destroy_time is not null))
);
create index root_key_versions_sealed on root_key_versions (sealed_by, key_uid, version) where ref is not null;

create table scopes (
  scope_uid uuid primary key,
  instance_uid uuid not null,
  key_uid uuid not null,
  key_version int not null,
  -- Null once destroyed: then nothing that was wrapped by the scope's key opens any more.
  wrapped_key bytea,
  create_time timestamptz not null default now(),
  destroy_time timestamptz,
  foreign key (key_uid, key_version) references root_key_versions,
  check ((wrapped_key is null) = (destroy_time is not null))
);
create index scopes_live on scopes (key_uid, key_version, scope_uid) where wrapped_key is not null;

-- Raised by everything that takes a key away: what replicas have cached ends with it.
create table keys_epoch (only_row boolean primary key default true check (only_row), epoch bigint not null);
insert into keys_epoch (epoch) values (1);

-- All destructions that the audit log has below this index have been made in this database. In one that comes from a backup,
-- the index comes from there too, and so tells which have to be made again.
create table destructions_confirmed (only_row boolean primary key default true check (only_row), index bigint not null);
insert into destructions_confirmed (index) values (0);

create table outbox (
  id bigint generated always as identity primary key,
  event bytea not null,
  create_time timestamptz not null default now()
);

grant select, insert, update on master_keys, root_keys, root_key_versions, scopes to keys;
grant select, update on keys_epoch, destructions_confirmed to keys;
grant select, insert, delete on outbox to keys;
