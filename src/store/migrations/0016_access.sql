-- From where an instance may be reached: CIDRs, checked on their way in; empty is everywhere.
alter table instances add column allowed_networks text[] not null default '{}';

-- What an administrator has set in place of the configuration, by name.
alter table instances add column limits jsonb not null default '{}';

-- What counts against quotas. Of one instance or group there are several rows, and their sum is the count: whoever counts takes any
-- that nobody else holds, or makes one more, so that writers never wait for each other, and the sum is exact all the same.
create table instance_usage (
  instance_uid uuid not null references instances on delete cascade,
  -- Of payloads that are not destroyed.
  bytes bigint not null
) with (fillfactor = 50);
create index instance_usage_instance on instance_usage (instance_uid);
create table group_usage (
  instance_uid uuid not null,
  group_uid uuid not null,
  secrets bigint not null,
  foreign key (instance_uid, group_uid) references secret_groups on delete cascade
) with (fillfactor = 50);
create index group_usage_group on group_usage (instance_uid, group_uid);

create function add_bytes(p_instance_uid uuid, p_bytes bigint)
returns void language plpgsql set search_path = public, pg_temp as $$
begin
  update public.instance_usage set bytes = bytes + p_bytes
  where ctid = (select ctid from public.instance_usage where instance_uid = p_instance_uid limit 1 for update skip locked);
  if not found then insert into public.instance_usage (instance_uid, bytes) values (p_instance_uid, p_bytes); end if;
end $$;

create function add_secrets(p_instance_uid uuid, p_group_uid uuid, p_secrets bigint)
returns void language plpgsql set search_path = public, pg_temp as $$
begin
  update public.group_usage set secrets = secrets + p_secrets
  where ctid = (select ctid from public.group_usage where instance_uid = p_instance_uid and group_uid = p_group_uid limit 1 for update skip locked);
  if not found then insert into public.group_usage (instance_uid, group_uid, secrets) values (p_instance_uid, p_group_uid, p_secrets); end if;
end $$;
revoke execute on function add_bytes, add_secrets from public;

-- By triggers, so that no way of adding or removing anything is forgotten; as their owner, since no process may write counts.
create function count_new_versions() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform public.add_bytes(instance_uid, sum(size_bytes)) from added where state <> 'DESTROYED' group by instance_uid;
  return null;
end $$;
create trigger count_new_versions after insert on secret_versions
  referencing new table as added for each statement execute function count_new_versions();

create function count_destroyed_version() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform public.add_bytes(new.instance_uid, - new.size_bytes);
  return null;
end $$;
create trigger count_destroyed_version after update of state on secret_versions
  for each row when (new.state = 'DESTROYED' and old.state <> 'DESTROYED') execute function count_destroyed_version();

create function count_removed_versions() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform public.add_bytes(instance_uid, - sum(size_bytes)) from removed where state <> 'DESTROYED' group by instance_uid;
  return null;
end $$;
create trigger count_removed_versions after delete on secret_versions
  referencing old table as removed for each statement execute function count_removed_versions();

create function count_new_secrets() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform public.add_secrets(instance_uid, group_uid, count(*)) from added group by instance_uid, group_uid;
  return null;
end $$;
create trigger count_new_secrets after insert on secrets
  referencing new table as added for each statement execute function count_new_secrets();

create function count_moved_secret() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform public.add_secrets(old.instance_uid, old.group_uid, -1), public.add_secrets(new.instance_uid, new.group_uid, 1);
  return null;
end $$;
create trigger count_moved_secret after update of group_uid on secrets
  for each row when (new.group_uid <> old.group_uid) execute function count_moved_secret();

create function count_removed_secrets() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform public.add_secrets(instance_uid, group_uid, - count(*)) from removed group by instance_uid, group_uid;
  return null;
end $$;
create trigger count_removed_secrets after delete on secrets
  referencing old table as removed for each statement execute function count_removed_secrets();

insert into instance_usage (instance_uid, bytes) select instance_uid, sum(size_bytes) from secret_versions where state <> 'DESTROYED' group by instance_uid;
insert into group_usage (instance_uid, group_uid, secrets) select instance_uid, group_uid, count(*) from secrets group by instance_uid, group_uid;

grant select on instance_usage, group_usage to store;
