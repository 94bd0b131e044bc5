-- Types of secrets, and what ends or renews their values by itself: expiry and rotation.

alter table secrets
  add column type text not null default 'OPAQUE',
  add column expire_time timestamptz,
  -- How its values are generated, a protobuf message `Generator`, and how often; both are null if they are not.
  add column generator bytea,
  add column rotation_seconds int check (rotation_seconds > 0),
  add column next_rotation_time timestamptz,
  -- When a replica looks at it: then, or later while one is at it, after a failure, and where nothing can be done for now.
  add column rotation_look_time timestamptz,
  add column last_rotation_time timestamptz,
  add column rotation_failures int not null default 0,
  add column rotation_error text not null default '';
create index secrets_rotation on secrets (rotation_look_time) where rotation_look_time is not null;
create index secrets_expiry on secrets (expire_time) where expire_time is not null and state = 'ACTIVE';

-- Which kinds there are, the types say.
alter table secret_versions drop constraint secret_versions_kind_check;
alter table secret_versions
  add column expire_time timestamptz,
  -- What its type knows of it without opening it.
  add column details jsonb;
create index secret_versions_expiry on secret_versions (expire_time) where expire_time is not null and state in ('ENABLED', 'DISABLED');

-- In the transaction that sets a time or moves it, of a secret or of one version of it; null: there is none any more.
create function schedule_expiry(p_instance_uid uuid, p_secret_uid uuid, p_version int, p_expire_time timestamptz)
returns void language plpgsql security definer set search_path = public, pg_temp as $$
declare
  v_key text := 'expire:' || p_secret_uid || '/' || coalesce(p_version, 0);
begin
  if p_expire_time is null then
    perform graphile_worker.remove_job(v_key);
  else
    perform graphile_worker.add_job('expire', json_build_object('instanceUid', p_instance_uid, 'secretUid', p_secret_uid, 'version', p_version),
      run_at => p_expire_time, job_key => v_key, max_attempts => 1000);
  end if;
end $$;
revoke execute on function schedule_expiry from public;
grant execute on function schedule_expiry to store;
grant execute on function schedule_purge to worker;

grant update (expire_time) on secret_versions to store;
grant select (expire_time), update (delete_time, purge_time) on secrets to worker;
grant select (expire_time), update (purge_time) on secret_versions to worker;
