-- The last row removed by a purge, so that its next turn does not search again through all that is gone.
alter table purges add column rows_cursor jsonb;
