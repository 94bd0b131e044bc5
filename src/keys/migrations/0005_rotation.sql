-- Rotation of root keys: when the last one began, and when the last scope had moved to the new primary version.
alter table root_keys
  add column rotation_time timestamptz,
  add column moved_time timestamptz;
create index root_keys_moving on root_keys (rotation_time) where rotation_time is not null and moved_time is null;

alter table root_key_versions
  -- How many scope keys it has wrapped.
  add column wraps bigint not null default 0,
  add column last_use_time timestamptz;
