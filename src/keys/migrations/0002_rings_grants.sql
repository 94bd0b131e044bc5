-- Key rings, customers' root keys with their life cycle, and grants: who may administer them, and who may use them for which instance.

create table key_rings (
  key_ring text primary key,
  ring_uid uuid not null unique,
  display_name text not null default '',
  description text not null default '',
  labels jsonb not null default '{}',
  revision bigint not null default 1,
  create_time timestamptz not null default now(),
  update_time timestamptz not null default now()
);
-- Of the root keys that are made with instances.
insert into key_rings (key_ring, ring_uid, description) values ('provider', gen_random_uuid(), 'Root keys that are made and destroyed with instances.');

alter table root_keys
  add foreign key (key_ring) references key_rings,
  -- Null: a customer's.
  alter column owner drop not null,
  drop constraint root_keys_state_check,
  add constraint root_keys_state_check check (state in ('ENABLED', 'DISABLED', 'DESTROY_SCHEDULED', 'DESTROYED')),
  add column origin text not null default 'CREATED' check (origin in ('CREATED', 'IMPORTED')),
  add column display_name text not null default '',
  add column description text not null default '',
  add column labels jsonb not null default '{}',
  add column revision bigint not null default 1,
  add column update_time timestamptz not null default now(),
  -- From then on an enabled key is EXPIRED; no row changes for that.
  add column expire_time timestamptz,
  add column delete_time timestamptz,
  add column purge_time timestamptz,
  add column rotation_seconds bigint check (rotation_seconds > 0),
  add column next_rotation_time timestamptz,
  add column dual_authorization boolean not null default false,
  add column approved_by text,
  add column approve_time timestamptz,
  add check ((owner is null) = (key_ring <> 'provider')),
  add check ((state = 'DESTROY_SCHEDULED') = (purge_time is not null and destroy_time is null)),
  add check ((approved_by is null) = (approve_time is null));
create index root_keys_purge on root_keys (purge_time) where state = 'DESTROY_SCHEDULED';
create index root_keys_rotation on root_keys (next_rotation_time) where next_rotation_time is not null;

-- IDs and aliases of root keys share one namespace in their key ring.
create table key_names (
  key_ring text not null references key_rings,
  name text not null,
  key_uid uuid not null references root_keys,
  primary key (key_ring, name)
);
create index key_names_key on key_names (key_uid);
insert into key_names (key_ring, name, key_uid) select key_ring, key_id, key_uid from root_keys;

create table grants (
  grant_uid uuid primary key,
  principal text not null,
  -- `instances/{instance}`, `instances/-` for any; empty for people.
  instance text not null,
  -- `keyRings/-`, `keyRings/{key_ring}` or `keyRings/{key_ring}/keys/{key}`.
  target text not null,
  role text not null check (role in ('READER', 'MANAGER', 'PURGER')),
  created_by text not null,
  create_time timestamptz not null default now(),
  check (instance = '' or role = 'READER'),
  unique (principal, target, role, instance)
);
create index grants_target on grants (target, grant_uid);

alter table scopes
  -- The service that registered it, a SPIFFE ID, and the instance's name: what a grant must match, on every use.
  add column service text not null default '',
  add column instance text not null default '',
  -- What it protects must be kept: stands against the deletion of its root key, also a forced one.
  add column retained boolean not null default false;

grant select, insert, update on key_rings to keys;
grant select, insert, delete on key_names, grants to keys;
