-- Whose turn it is to write, by this database's clock. Liveness only: what keeps two from writing is the comparison of epoch and size.
alter table log_state add column lease_owner uuid, add column lease_expires timestamptz not null default '-infinity';
