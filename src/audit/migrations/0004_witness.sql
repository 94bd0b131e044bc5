-- The newest checkpoint that the witnesses have cosigned, with all their signatures.
create table cosigned (
  only_row boolean primary key default true check (only_row),
  size bigint not null,
  root bytea not null,
  note text not null
);

grant select, insert, update on cosigned to audit;
