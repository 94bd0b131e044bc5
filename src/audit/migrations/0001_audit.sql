-- The audit log's schema. The `audit` role adds and never changes or removes an entry, a tile or a checkpoint.

create table entries (
  index bigint primary key,
  source text not null,
  event_id uuid not null,
  -- SHA-256 of the event as its source sent it: tells a repeat from another event under the same id.
  event_digest bytea not null,
  record_time timestamptz not null,
  -- The exact bytes whose hash is in the tree.
  leaf bytea not null,
  leaf_hash bytea not null,
  -- Copies of what is in the leaf, to find entries by.
  action text not null,
  principal text not null,
  on_behalf_of text not null,
  resource text not null,
  correlation_id text not null,
  unique (source, event_id)
);
create index entries_resource on entries (resource text_pattern_ops, index);
create index entries_action on entries (action, index);
create index entries_correlation on entries (correlation_id, index) where correlation_id <> '';
create index entries_principal on entries (principal, index);
create index entries_on_behalf_of on entries (on_behalf_of, index) where on_behalf_of <> '';

-- Full tiles of the Merkle tree: 256 hashes of one level (C2SP tlog-tiles), written once, when complete.
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

grant select, insert on entries, tiles, checkpoints to audit;
grant select, update on log_state to audit;
