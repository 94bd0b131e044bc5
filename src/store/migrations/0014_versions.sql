-- Versions by other names, what keeps them, and how many are kept.

alter table secrets
  -- Numbers of versions by alias; `latest` and `previous` follow from the newest number.
  add column version_aliases jsonb not null default '{}';

alter table secret_versions
  -- The version whose value it was made with, by a rollback.
  add column copied_from int;
