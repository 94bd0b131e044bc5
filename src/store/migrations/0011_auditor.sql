-- The role of those who read what the audit log tells of an instance.
alter table bindings drop constraint bindings_role_check;
alter table bindings add constraint bindings_role_check
  check (role in ('READER', 'SECRETS_READER', 'WRITER', 'MANAGER', 'PURGER', 'AUDITOR'));
