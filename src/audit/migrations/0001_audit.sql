-- The audit log's schema. The `audit` role adds and never changes or removes an entry, a tile or a checkpoint. What may go, goes
-- through the functions below, which know how old it must be; only keys and values of private fields may it delete itself.

create table entries (
  index bigint primary key,
  source text not null,
  record_time timestamptz not null,
  -- The exact bytes whose hash is in the tree.
  leaf bytea not null,
  leaf_hash bytea not null,
  -- Copies of what is in the leaf, to find entries by.
  action text not null,
  principal text not null,
  on_behalf_of text not null,
  resource text not null,
  correlation_id text not null
) partition by range (index);
create index entries_resource on entries (resource text_pattern_ops, index);
create index entries_action on entries (action, index);
create index entries_correlation on entries (correlation_id, index) where correlation_id <> '';
create index entries_principal on entries (principal, index);
create index entries_on_behalf_of on entries (on_behalf_of, index) where on_behalf_of <> '';

-- What opens the commitments in the leaves: a value and its key. A row that is deleted is a field that is erased.
create table private_fields (
  index bigint not null,
  field text not null,
  key bytea not null,
  value text not null,
  primary key (index, field)
) partition by range (index);

-- By what a repeat is known. A table of its own: a unique constraint on a partitioned one would have to contain its key.
create table event_ids (
  source text not null,
  event_id uuid not null,
  index bigint not null,
  -- SHA-256 of the event without its private fields: tells a repeat from another event under the same id.
  event_digest bytea not null,
  record_time timestamptz not null,
  primary key (source, event_id)
);
create index event_ids_time on event_ids (record_time);

-- Full tiles of the Merkle tree: 256 hashes of one level (C2SP tlog-tiles), written once, when complete, and kept for ever.
create table tiles (
  level int not null,
  tile bigint not null,
  hashes bytea not null,
  primary key (level, tile)
);
alter table tiles alter column hashes set storage external;

create table checkpoints (
  size bigint primary key,
  root bytea not null,
  note text not null
);

-- The one row that says where the log stands; a batch counts only if it finds this row as it left it.
create table log_state (
  only_row boolean primary key default true check (only_row),
  writer_epoch bigint not null,
  size bigint not null,
  -- Hashes of the perfect subtrees that make up the tree, largest first.
  frontier bytea not null,
  record_time timestamptz not null
);
insert into log_state (writer_epoch, size, frontier, record_time) values (0, 0, '', 'epoch');

-- The one row that says how long bodies are kept.
create table keeping (
  only_row boolean primary key default true check (only_row),
  -- Entries in a partition. A power of two, so that a partition is a subtree; never changed once there is one.
  range_size bigint not null default 1048576 check (range_size >= 256 and range_size & (range_size - 1) = 0),
  -- Null: for ever.
  body_days int check (body_days between 30 and 36500),
  revision bigint not null default 1,
  update_time timestamptz not null default now()
);
insert into keeping default values;

-- The partitions of entries and private_fields. The row stays when they are dropped.
create table ranges (
  start_index bigint primary key,
  end_index bigint not null,
  prune_time timestamptz
);

-- Makes partitions ahead of the log: two that are empty.
create function make_room() returns void language plpgsql security definer set search_path = public, pg_temp as $$
declare
  width bigint := (select range_size from keeping);
  wanted bigint := (select size from log_state) + 2 * width;
  first bigint;
begin
  if exists (select from ranges where end_index >= wanted) then return; end if;
  perform pg_advisory_xact_lock(hashtext('strongroom.audit.room'));
  loop
    first := coalesce((select max(end_index) from ranges), 0);
    exit when first >= wanted;
    -- Made beside and then attached: that waits for no reader and no append.
    execute format('create table entries_%s (like entries including storage)', first);
    execute format('alter table entries attach partition entries_%1$s for values from (%1$s) to (%2$s)', first, first + width);
    execute format('create table private_fields_%s (like private_fields)', first);
    execute format('alter table private_fields attach partition private_fields_%1$s for values from (%1$s) to (%2$s)', first, first + width);
    insert into ranges (start_index, end_index) values (first, first + width);
  end loop;
end $$;

-- Drops the oldest partition if all of it is older than the policy says, and than 30 days whatever the policy says; false if this one is
-- not the oldest. An append waits for it, so it does not wait for long itself.
create function drop_range(first bigint) returns boolean language plpgsql security definer set search_path = public, pg_temp
  set lock_timeout = '500ms' as $$
declare
  days int := (select body_days from keeping);
  past bigint := (select end_index from ranges where prune_time is null and start_index = first
    and start_index = (select min(start_index) from ranges where prune_time is null));
begin
  if past is null then return false; end if;
  if days is null or past > (select size from log_state) or coalesce((select record_time from entries where index = past - 1), now())
    > now() - make_interval(days => greatest(days, 30))
  then
    raise exception 'the entries from % on must be kept', first using errcode = 'insufficient_privilege';
  end if;
  execute format('drop table entries_%s', first);
  execute format('drop table private_fields_%s', first);
  update ranges set prune_time = now() where start_index = first;
  return true;
end $$;

-- Forgets some ids of events that nobody sends any more; answers how many.
create function forget_event_ids(most int) returns bigint language sql security definer set search_path = public, pg_temp as $$
  with gone as (
    delete from event_ids where ctid = any (array(
      select ctid from event_ids where record_time < now() - interval '35 days' order by record_time limit most))
    returning 1
  )
  select count(*) from gone
$$;

revoke execute on function make_room(), drop_range(bigint), forget_event_ids(int) from public;
grant execute on function make_room(), drop_range(bigint), forget_event_ids(int) to audit;
grant select, insert on entries, event_ids, tiles, checkpoints to audit;
grant select, insert, delete on private_fields to audit;
grant select, update on log_state to audit;
grant select, update (body_days, revision, update_time) on keeping to audit;
grant select on ranges to audit;
