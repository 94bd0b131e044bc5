-- How secrets are organised: a feed of what changes, moves between groups, lists in any order, and how often secrets are used.

-- What became of secrets, for those who watch them; kept for some hours. Numbers are given before the commit, so that a lower one may
-- appear after a higher one; of one secret they are in order, because each change holds the secret's row.
create table changes (
  id bigint generated always as identity primary key,
  instance_uid uuid not null,
  -- Null for what became of the instance, and the secret's for what became of the group.
  group_uid uuid,
  secret_uid uuid,
  secret_id text,
  kind text not null,
  version int,
  create_time timestamptz not null default now()
);
create index changes_place on changes (instance_uid, group_uid, id);

-- The highest number that may have been removed.
create table changes_horizon (only_row boolean primary key default true check (only_row), pruned_to bigint not null);
insert into changes_horizon (pruned_to) values (0);

-- By triggers, because store and worker both change, and a change that nobody notes is one that nobody sees.
create function note_secret() returns trigger language plpgsql set search_path = public, pg_temp as $$
begin
  if tg_op = 'INSERT' then
    insert into public.changes (instance_uid, group_uid, secret_uid, secret_id, kind)
    values (new.instance_uid, new.group_uid, new.secret_uid, new.secret_id, 'SECRET_CREATED');
  elsif new.group_uid <> old.group_uid then
    insert into public.changes (instance_uid, group_uid, secret_uid, secret_id, kind)
    values (old.instance_uid, old.group_uid, old.secret_uid, old.secret_id, 'SECRET_MOVED_AWAY'),
      (new.instance_uid, new.group_uid, new.secret_uid, new.secret_id, 'SECRET_MOVED_HERE');
  else
    insert into public.changes (instance_uid, group_uid, secret_uid, secret_id, kind)
    values (new.instance_uid, new.group_uid, new.secret_uid, new.secret_id, case when new.state = old.state then 'SECRET_UPDATED'
      when new.state = 'ACTIVE' then 'SECRET_UNDELETED' else 'SECRET_DELETED' end);
  end if;
  return null;
end $$;
-- With its first version, the version is the news.
create trigger note_insert after insert on secrets for each row when (new.latest_version = 0) execute function note_secret();
create trigger note_update after update on secrets for each row
  when (new.revision <> old.revision and new.latest_version = old.latest_version and new.state <> 'PURGING')
  execute function note_secret();

create function note_version() returns trigger language plpgsql set search_path = public, pg_temp as $$
begin
  insert into public.changes (instance_uid, group_uid, secret_uid, secret_id, kind, version)
  select instance_uid, group_uid, secret_uid, secret_id, case when tg_op = 'UPDATE' then 'VERSION_' || new.state
    when new.version = 1 then 'VERSION_ADDED' else 'ROTATED' end, new.version
  from public.secrets where instance_uid = new.instance_uid and secret_uid = new.secret_uid;
  return null;
end $$;
create trigger note_insert after insert on secret_versions for each row execute function note_version();
create trigger note_update after update of state on secret_versions for each row when (new.state <> old.state) execute function note_version();

create function note_group() returns trigger language plpgsql set search_path = public, pg_temp as $$
begin
  insert into public.changes (instance_uid, group_uid, kind)
  values (new.instance_uid, new.group_uid, case new.state when 'ACTIVE' then 'GROUP_UNDELETED' else 'GROUP_DELETED' end);
  return null;
end $$;
create trigger note_update after update of state on secret_groups for each row
  when (new.state <> old.state and new.state <> 'PURGING') execute function note_group();

create function note_instance() returns trigger language plpgsql set search_path = public, pg_temp as $$
begin
  insert into public.changes (instance_uid, kind)
  values (new.instance_uid, case new.state when 'ACTIVE' then 'INSTANCE_UNDELETED' else 'INSTANCE_DELETED' end);
  return null;
end $$;
create trigger note_update after update of state on instances for each row
  when (new.state <> old.state and new.state <> 'PURGING') execute function note_instance();

grant select, insert on changes to store;
grant select on changes_horizon to store;
grant select (id, create_time), insert, delete on changes to worker;
grant select, update on changes_horizon to worker;

-- Names that secrets were moved away from. They stand for nothing else ever after: only the same secret can come back.
create table moved_names (
  resource text primary key,
  secret_uid uuid not null,
  -- The transaction of the move: in it, and in no other, the secret's wrapped keys are replaced.
  move_xact xid8 not null default pg_current_xact_id(),
  move_time timestamptz not null default now()
);
create index moved_names_secret on moved_names (secret_uid);

create or replace function check_rewrap() returns trigger language plpgsql set search_path = public, pg_temp as $$
begin
  if not exists (
    select from public.secrets s join public.rekeys r using (instance_uid, group_uid)
    where s.instance_uid = new.instance_uid and s.secret_uid = new.secret_uid and r.state = 'REWRAPPING')
    and not exists (select from public.moved_names where secret_uid = new.secret_uid and move_xact = pg_current_xact_id())
  then raise exception 'a wrapped key is replaced only while the key of its group is, or with a move to another group'; end if;
  return new;
end $$;

grant select, insert, update (move_xact, move_time) on moved_names to store;
grant select on moved_names to worker;

-- The orders of lists, besides the one by name.
create index secrets_by_create_time on secrets (instance_uid, group_uid, create_time, secret_uid);
create index secrets_by_update_time on secrets (instance_uid, group_uid, update_time, secret_uid);

-- Approximate: counted in memory and added from time to time. Goes with the secret.
create table secret_accesses (
  instance_uid uuid not null,
  secret_uid uuid not null,
  accesses bigint not null,
  last_access_time timestamptz not null,
  primary key (instance_uid, secret_uid),
  foreign key (instance_uid, secret_uid) references secrets on delete cascade
);
grant select, insert, update on secret_accesses to store;
