-- Which server this is: it stays through restarts, fail-over and recovery, and differs after a dump
-- has been restored elsewhere, where transaction ids start over.
create or replace function ducto.cluster_id()
returns bigint
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return (select c.system_identifier from pg_control_system() c);
end
$$;
