-- Versions of scope keys. Scopes that were made before may be of no service, and what wrapped their keys was bound to no version:
-- the table has to be empty.
do $$ begin
  if exists (select from scopes) then raise exception 'scopes of an unreleased schema are there; wipe the database (make reset)'; end if;
end $$;

drop index scopes_live;
alter table scopes
  -- To any other service the scope does not exist.
  alter column service drop default,
  add check (service <> ''),
  add column primary_version int not null default 1,
  drop column key_version,
  drop column wrapped_key,
  add foreign key (key_uid) references root_keys;
create index scopes_live on scopes (key_uid) where destroy_time is null;

create table scope_versions (
  scope_uid uuid not null references scopes,
  version int not null check (version > 0),
  -- The root key version that wraps it.
  key_uid uuid not null,
  key_version int not null,
  -- Null once destroyed: then nothing that was wrapped by this version opens any more.
  wrapped_key bytea,
  create_time timestamptz not null default now(),
  destroy_time timestamptz,
  primary key (scope_uid, version),
  foreign key (key_uid, key_version) references root_key_versions,
  check ((wrapped_key is null) = (destroy_time is not null))
);
create index scope_versions_live on scope_versions (key_uid, key_version, scope_uid, version) where wrapped_key is not null;

grant select, insert, update on scope_versions to keys;
