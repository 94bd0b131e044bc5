-- Versions by other names, what keeps them, and how many are kept.

alter table secrets
  -- Numbers of versions by alias; `latest` and `previous` follow from the newest number.
  add column version_aliases jsonb not null default '{}';

alter table secret_versions
  -- The version whose value it was made with, by a rollback.
  add column copied_from int;

-- Who uses which version. They go with their secret, which cannot be deleted while there are any.
create table version_locks (
  instance_uid uuid not null,
  secret_uid uuid not null,
  version int not null,
  lock_id text not null,
  description text not null,
  attributes jsonb not null,
  -- No version is added while it is on one that is not the newest.
  rotation_guard boolean not null,
  created_by text not null,
  create_time timestamptz not null default now(),
  primary key (instance_uid, secret_uid, version, lock_id),
  foreign key (instance_uid, secret_uid) references secrets on delete cascade
);
grant select, insert, delete on version_locks to store;
grant select (instance_uid, secret_uid, version) on version_locks to worker;

-- {maxVersions, maxAge, minAge}, ages in seconds. Null in a secret: its group's counts.
alter table secret_groups add column keep_policy jsonb;
alter table secrets
  add column keep_policy jsonb,
  -- When a replica looks for versions that are to be trimmed; null: there will be none unless something changes.
  add column trim_time timestamptz;
create index secrets_trim on secrets (trim_time) where trim_time is not null;
