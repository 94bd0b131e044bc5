-- Imported root keys: jobs that take material in, where a version's material comes from, and when it expires.

alter table root_key_versions
  -- RENEWED: of imported material that an earlier version has, under another pepper.
  add column origin text not null default 'CREATED' check (origin in ('CREATED', 'IMPORTED', 'RENEWED')),
  -- Tells the same material from other material, and nothing else of it; kept when the material is destroyed.
  add column check_value bytea check (octet_length(check_value) = 32),
  add column material_expire_time timestamptz,
  -- When expired material was forgotten; null again once it was brought back.
  add column material_forget_time timestamptz,
  add check ((origin = 'CREATED') = (check_value is null)),
  add check (origin <> 'CREATED' or (material_expire_time is null and material_forget_time is null));
-- No material is imported twice.
create unique index root_key_versions_check_value on root_key_versions (check_value) where origin = 'IMPORTED';
create index root_key_versions_expiring on root_key_versions (material_expire_time)
  where material_expire_time is not null and material_forget_time is null and ref is not null;

-- The master key of a reference of format 1 or 2, which stands in it behind the format byte.
alter table root_key_versions drop column sealed_by;
alter table root_key_versions add column sealed_by text
  generated always as (case when get_byte(ref, 0) in (1, 2) then encode(substring(ref from 2 for 8), 'hex') end) stored references master_keys;
create index root_key_versions_sealed on root_key_versions (sealed_by, key_uid, version) where ref is not null;

create table import_jobs (
  job_uid uuid primary key,
  key_ring text not null references key_rings,
  job_id text not null,
  -- SPENT: by a key, or by attempts that failed.
  state text not null default 'ACTIVE' check (state in ('ACTIVE', 'SPENT', 'EXPIRED')),
  public_key text not null,
  nonce bytea not null check (octet_length(nonce) = 32),
  -- The private key, sealed; forgotten when the job ends.
  sealed_key bytea,
  sealed_by text
    generated always as (case when get_byte(sealed_key, 0) = 1 then encode(substring(sealed_key from 2 for 8), 'hex') end) stored references master_keys,
  ttl_seconds int not null check (ttl_seconds between 60 and 604800),
  attempts_left int not null default 5 check (attempts_left between 0 and 5),
  -- The root key that it was spent by, and a digest of the call, by which the same call is known when it is repeated.
  spent_key_uid uuid references root_keys,
  spent_digest bytea,
  create_time timestamptz not null default now(),
  expire_time timestamptz not null,
  unique (key_ring, job_id),
  check ((state = 'ACTIVE') = (sealed_key is not null)),
  check ((spent_key_uid is null) = (spent_digest is null)),
  check (state = 'SPENT' or spent_key_uid is null)
);
create index import_jobs_expiring on import_jobs (expire_time) where state = 'ACTIVE';
create index import_jobs_sealed on import_jobs (sealed_by) where sealed_key is not null;

grant select, insert, update on import_jobs to keys;
