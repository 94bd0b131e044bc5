-- The secret store's schema. Ciphertext, wrapped DEKs and metadata; never a key that opens anything by itself.
-- The `store` role cannot DELETE what belongs to a tenant: only the worker's purge can.

create table instances (
  instance_uid uuid primary key,
  instance_id text not null unique,
  state text not null default 'ACTIVE' check (state in ('ACTIVE', 'DELETED', 'PURGING')),
  display_name text not null default '',
  labels jsonb not null default '{}',
  retention_seconds int not null check (retention_seconds > 0),
  -- What differs from it, by level; null is the same. Of versions null is none: they are destroyed at once.
  instance_retention_seconds int check (instance_retention_seconds > 0),
  group_retention_seconds int check (group_retention_seconds > 0),
  secret_retention_seconds int check (secret_retention_seconds > 0),
  version_retention_seconds int check (version_retention_seconds > 0),
  purge_protection boolean not null default false,
  root_key text not null,
  revision bigint not null default 1,
  create_time timestamptz not null default now(),
  update_time timestamptz not null default now(),
  delete_time timestamptz,
  purge_time timestamptz
);

create table secret_groups (
  instance_uid uuid not null references instances,
  group_uid uuid not null,
  group_id text not null,
  state text not null default 'ACTIVE' check (state in ('ACTIVE', 'DELETED', 'PURGING')),
  display_name text not null default '',
  labels jsonb not null default '{}',
  revision bigint not null default 1,
  create_time timestamptz not null default now(),
  update_time timestamptz not null default now(),
  delete_time timestamptz,
  purge_time timestamptz,
  primary key (instance_uid, group_uid),
  unique (instance_uid, group_id)
);

create table secrets (
  instance_uid uuid not null,
  secret_uid uuid not null,
  group_uid uuid not null,
  secret_id text not null,
  state text not null default 'ACTIVE' check (state in ('ACTIVE', 'DELETED', 'PURGING')),
  description text not null default '',
  labels jsonb not null default '{}',
  annotations jsonb not null default '{}',
  latest_version int not null default 0,
  revision bigint not null default 1,
  create_time timestamptz not null default now(),
  update_time timestamptz not null default now(),
  delete_time timestamptz,
  purge_time timestamptz,
  primary key (instance_uid, secret_uid),
  unique (instance_uid, group_uid, secret_id),
  foreign key (instance_uid, group_uid) references secret_groups
);

create table secret_versions (
  instance_uid uuid not null,
  secret_uid uuid not null,
  version int not null check (version > 0),
  state text not null default 'ENABLED' check (state in ('ENABLED', 'DISABLED', 'DESTROY_SCHEDULED', 'DESTROYED')),
  kind text not null check (kind in ('TEXT', 'BYTES')),
  size_bytes int not null,
  crc32c bigint not null,
  client_specified_crc32c boolean not null,
  wrapped_dek bytea,
  sealed bytea,
  revision bigint not null default 1,
  create_time timestamptz not null default now(),
  destroy_time timestamptz,
  purge_time timestamptz,
  primary key (instance_uid, secret_uid, version),
  foreign key (instance_uid, secret_uid) references secrets,
  check ((state = 'DESTROYED') = (wrapped_dek is null) and (wrapped_dek is null) = (sealed is null))
);
-- Ciphertext does not compress.
alter table secret_versions alter column sealed set storage external;

-- Scopes by name, not by uid: names are never used again, so a binding cannot come to mean something else.
create table bindings (
  principal text not null,
  scope text not null,
  role text not null check (role in ('READER', 'SECRETS_READER', 'WRITER', 'MANAGER', 'PURGER')),
  create_time timestamptz not null default now(),
  primary key (principal, scope, role)
);
create index bindings_scope on bindings (scope, principal, role);

-- Raised by every change of bindings: what replicas have cached ends with it.
create table bindings_epoch (only_row boolean primary key default true check (only_row), epoch bigint not null);
insert into bindings_epoch (epoch) values (1);

-- What stands against a deletion. On an instance both other uids are null, on a group that of the secret: one resource is
-- above or below another, or the same, if they do not differ where neither is null.
create table holds (
  instance_uid uuid not null references instances,
  group_uid uuid,
  secret_uid uuid,
  resource text not null,
  hold_id text not null,
  effect text not null check (effect in ('PURGE', 'DELETE')),
  reason text not null,
  created_by text not null,
  create_time timestamptz not null default now(),
  primary key (instance_uid, resource, hold_id)
);
create index holds_place on holds (instance_uid, group_uid, secret_uid);

create table idempotency (
  principal text not null,
  method text not null,
  request_id uuid not null,
  digest bytea not null,
  response bytea,
  create_time timestamptz not null default now(),
  primary key (principal, method, request_id)
);
create index idempotency_age on idempotency (create_time);

-- What a create has asked the key service for, until the create is done. What stays here was interrupted: the worker
-- destroys what it left behind.
create table unfinished_creates (
  -- `scopes/{uid}` or `keyRings/{key_ring}/keys/{key}`.
  key_resource text primary key,
  create_time timestamptz not null default now()
);

create table outbox (
  id bigint generated always as identity primary key,
  event bytea not null,
  create_time timestamptz not null default now()
);

-- One row for each deleted resource; after the purge, its tombstone. Personal to no tenant: it outlives them.
create table purges (
  uid uuid primary key,
  kind text not null check (kind in ('INSTANCE', 'GROUP', 'SECRET', 'VERSION')),
  -- Its place, as in `holds`; a version's is that of its secret.
  instance_uid uuid not null,
  group_uid uuid,
  secret_uid uuid,
  version int,
  resource text not null,
  state text not null default 'SCHEDULED' check (state in ('SCHEDULED', 'DESTROYING_KEYS', 'REMOVING_ROWS', 'FINISHING', 'DONE')),
  scope_keys_destroyed bigint not null default 0,
  versions_removed bigint not null default 0,
  secrets_removed bigint not null default 0,
  groups_removed bigint not null default 0,
  delete_time timestamptz not null default now(),
  purge_time timestamptz not null,
  start_time timestamptz,
  keys_destroyed_time timestamptz,
  end_time timestamptz,
  deleted_by text not null,
  -- The id of the purge's entry in the audit log, chosen once, so that a repeated step appends nothing twice.
  event_id uuid not null default gen_random_uuid(),
  audit_index bigint,
  receipt text,
  last_error text not null default '',
  -- Due, and waiting for a hold to go: it has no job until one does.
  held boolean not null default false,
  rows_estimated bigint not null default 0,
  rows_per_second float8 not null default 0,
  -- An instance's root key, kept here because the row that names it goes before the key does.
  root_key text,
  -- The last group, in the order of their uids, whose scope key is destroyed: where to go on after a crash.
  keys_cursor uuid,
  -- The purge of a parent, once that has taken over what this one had left to do.
  absorbed_by uuid
);
create index purges_resource on purges (resource);
create index purges_list on purges (delete_time desc, uid desc);
create index purges_due on purges (purge_time) where state <> 'DONE';
create index purges_below on purges (instance_uid, group_uid, secret_uid) where state <> 'DONE';
create index purges_held on purges (instance_uid) where held;
create index purges_absorbed on purges (absorbed_by) where absorbed_by is not null;

-- Born in the deleting transaction: the record and the job, together or not at all.
create function schedule_purge(p_uid uuid, p_kind text, p_instance_uid uuid, p_group_uid uuid, p_secret_uid uuid, p_version int,
  p_resource text, p_purge_time timestamptz, p_deleted_by text)
returns void language plpgsql security definer set search_path = public, pg_temp as $$
begin
  insert into public.purges (uid, kind, instance_uid, group_uid, secret_uid, version, resource, purge_time, deleted_by)
  values (p_uid, p_kind, p_instance_uid, p_group_uid, p_secret_uid, p_version, p_resource, p_purge_time, p_deleted_by);
  perform graphile_worker.add_job('purge', json_build_object('uid', p_uid), run_at => p_purge_time, job_key => 'purge:' || p_uid, max_attempts => 1000);
end $$;

-- The reverse, for an undelete; false if the purge has begun.
create function unschedule_purge(p_uid uuid)
returns boolean language plpgsql security definer set search_path = public, pg_temp as $$
begin
  delete from public.purges where uid = p_uid and state = 'SCHEDULED';
  if not found then return false; end if;
  perform graphile_worker.remove_job('purge:' || p_uid);
  return true;
end $$;

-- Makes it due now; false if it has begun.
create function expedite_purge(p_uid uuid)
returns boolean language plpgsql security definer set search_path = public, pg_temp as $$
begin
  update public.purges set purge_time = least(purge_time, now()) where uid = p_uid and state = 'SCHEDULED';
  if not found then return false; end if;
  perform graphile_worker.add_job('purge', json_build_object('uid', p_uid), job_key => 'purge:' || p_uid, max_attempts => 1000);
  return true;
end $$;

-- In the transaction in which a hold goes: what may have waited for it asks again whether it may begin. A job for the first
-- ones, the sweep sees to the others, so that the transaction stays short.
create function release_held(p_instance_uid uuid, p_group_uid uuid, p_secret_uid uuid)
returns void language plpgsql security definer set search_path = public, pg_temp as $$
declare
  v_uids uuid[];
begin
  with released as (
    update public.purges set held = false, last_error = '' where held and instance_uid = p_instance_uid
      and (group_uid is null or p_group_uid is null or group_uid = p_group_uid)
      and (secret_uid is null or p_secret_uid is null or secret_uid = p_secret_uid)
    returning uid, purge_time)
  select array_agg(uid order by purge_time) into v_uids from released;
  perform graphile_worker.add_job('purge', json_build_object('uid', uid), job_key => 'purge:' || uid, max_attempts => 1000)
  from unnest(v_uids[1:500]) uid;
end $$;

-- For what a restore brought back although its key is gone: due now, as if it had just been deleted. False if one is due, or
-- has begun.
create function schedule_restored(p_uid uuid, p_kind text, p_instance_uid uuid, p_group_uid uuid, p_resource text, p_deleted_by text)
returns boolean language plpgsql security definer set search_path = public, pg_temp as $$
begin
  insert into public.purges (uid, kind, instance_uid, group_uid, resource, purge_time, deleted_by)
  values (p_uid, p_kind, p_instance_uid, p_group_uid, p_resource, now(), p_deleted_by)
  on conflict (uid) do update set purge_time = now() where purges.state = 'SCHEDULED' and purges.purge_time > now();
  if not found then return false; end if;
  perform graphile_worker.add_job('purge', json_build_object('uid', p_uid), job_key => 'purge:' || p_uid, max_attempts => 1000);
  return true;
end $$;

-- How many purges the workers are busy with.
create function active_purges()
returns bigint language plpgsql security definer set search_path = public, pg_temp as $$
begin
  return (select count(*) from graphile_worker.jobs where locked_by is not null and task_identifier = 'purge');
end $$;

revoke execute on function schedule_purge, unschedule_purge, expedite_purge, release_held, active_purges, schedule_restored from public;
grant execute on function schedule_purge, unschedule_purge, expedite_purge, release_held, active_purges to store;
grant execute on function schedule_restored to worker;

grant select, insert, update on instances, secret_groups, secrets, secret_versions to store;
grant select, insert, update, delete on bindings, idempotency to store;
grant select, insert, delete on outbox, unfinished_creates, holds to store;
grant select, update on bindings_epoch to store;
grant select on purges to store;

-- The worker sees names, states and times; of a version it can erase the ciphertext and the wrapped DEK, not read them.
grant select (instance_uid, instance_id, state, root_key, revision, delete_time), update (state, revision, update_time, delete_time, purge_time), delete
  on instances to worker;
grant select (ctid, instance_uid, group_uid, group_id, state, revision, delete_time), update (state, revision, update_time, delete_time, purge_time),
  delete on secret_groups to worker;
grant select (ctid, instance_uid, group_uid, secret_uid, secret_id, latest_version, state, revision), update (state, revision, update_time),
  delete on secrets to worker;
grant select (ctid, instance_uid, secret_uid, version, state, revision), update (state, revision, wrapped_dek, sealed, destroy_time), delete
  on secret_versions to worker;
grant select, update on purges to worker;
grant select (instance_uid, group_uid, secret_uid, resource, hold_id) on holds to worker;
grant select, delete on bindings to worker;
grant select, update on bindings_epoch to worker;
grant select, update, delete on unfinished_creates to worker;
grant select (principal, method, request_id, create_time), delete on idempotency to worker;
