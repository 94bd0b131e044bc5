-- Groups whose key is replaced: a new version is made, every wrapped DEK of the group moves to it, the old one is destroyed.

-- Nothing that an older version of the group's key has wrapped is taken any more.
alter table secret_groups add column key_version int not null default 1;

-- The latest one of each group. Goes with the group.
create table rekeys (
  instance_uid uuid not null,
  group_uid uuid not null,
  state text not null default 'ROTATING' check (state in ('ROTATING', 'REWRAPPING', 'DESTROYING', 'DONE')),
  -- The version that is replaced and the one in its place, each known before anything is made of it.
  old_version int,
  new_version int,
  total bigint not null default 0,
  done bigint not null default 0,
  -- The last version of a secret that was looked at, in the order of IDs: where to go on after a crash.
  secret_cursor text not null default '',
  version_cursor int not null default 0,
  -- Versions that did not open in this pass, and so keep the old key from being destroyed.
  stuck bigint not null default 0,
  start_time timestamptz not null default now(),
  end_time timestamptz,
  -- When the next step is to be made.
  due_time timestamptz not null default now(),
  started_by text not null,
  correlation_id text not null,
  last_error text not null default '',
  primary key (instance_uid, group_uid),
  foreign key (instance_uid, group_uid) references secret_groups on delete cascade
);
create index rekeys_due on rekeys (due_time) where state <> 'DONE';

-- Groups in which something was purged or destroyed since their key was last replaced: the old key would open it in a backup.
create table rekeys_wanted (
  instance_uid uuid not null,
  group_uid uuid not null,
  want_time timestamptz not null default now(),
  primary key (instance_uid, group_uid),
  foreign key (instance_uid, group_uid) references secret_groups on delete cascade
);

create function want_rekey() returns trigger language plpgsql set search_path = public, pg_temp as $$
begin
  insert into public.rekeys_wanted (instance_uid, group_uid)
  select instance_uid, group_uid from public.secrets where instance_uid = new.instance_uid and secret_uid = new.secret_uid
  on conflict do nothing;
  return null;
end $$;
create trigger want_rekey after update of state on secret_versions
  for each row when (new.state = 'DESTROYED' and old.state <> 'DESTROYED') execute function want_rekey();

-- To the processes, a wrapped DEK can be erased, or replaced while its group's key is.
create function check_rewrap() returns trigger language plpgsql set search_path = public, pg_temp as $$
begin
  if not exists (
    select from public.secrets s join public.rekeys r using (instance_uid, group_uid)
    where s.instance_uid = new.instance_uid and s.secret_uid = new.secret_uid and r.state = 'REWRAPPING')
  then raise exception 'a wrapped key is replaced only while the key of its group is'; end if;
  return new;
end $$;
create trigger check_rewrap before update of wrapped_dek on secret_versions
  for each row when (new.wrapped_dek is not null and new.wrapped_dek is distinct from old.wrapped_dek and current_user in ('store', 'worker'))
  execute function check_rewrap();

grant select, insert, update on rekeys to store;
grant select, insert, delete on rekeys_wanted to store;
grant insert on rekeys_wanted to worker;

-- What was sealed, for whom and how large, never changes.
revoke update on secret_versions from store;
grant update (state, wrapped_dek, sealed, revision, destroy_time, purge_time) on secret_versions to store;
