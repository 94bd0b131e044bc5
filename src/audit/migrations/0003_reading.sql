-- Reading by instance, outcome and severity; and who may read the entries of an instance.

alter table entries
  add column instance_uid uuid,
  -- Numbers of the enums of Event.
  add column outcome smallint not null default 1,
  add column severity smallint not null default 1;
create index entries_instance on entries (instance_uid, index) where instance_uid is not null;
-- What is routine is not looked for by these.
create index entries_outcome on entries (outcome, index) where outcome <> 1;
create index entries_severity on entries (severity, index) where severity <> 1;
-- Also finds actions by their beginning, whatever the collation.
drop index entries_action;
create index entries_action on entries (action text_pattern_ops, index);

-- Made from the entries that tell of the secret store's bindings: who is AUDITOR of which instance.
create table auditors (
  principal text not null,
  instance_uid uuid not null,
  primary key (principal, instance_uid)
);
create index auditors_instance on auditors (instance_uid);

-- The one row that says up to where the entries have been followed.
create table auditors_state (
  only_row boolean primary key default true check (only_row),
  next_index bigint not null
);
insert into auditors_state (next_index) values (0);

grant select, insert, delete on auditors to audit;
grant select, update on auditors_state to audit;
