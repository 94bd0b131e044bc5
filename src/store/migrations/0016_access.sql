-- From where an instance may be reached: CIDRs, checked on their way in; empty is everywhere.
alter table instances add column allowed_networks text[] not null default '{}';
