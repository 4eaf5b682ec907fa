-- How many users, or teams, used anything in a window.
create or replace function ducto.count_usage(p_start timestamptz, p_end timestamptz, p_by text)
returns bigint
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
set work_mem = '128MB'
set cpu_operator_cost = 0.001
as $$
declare
    v_name constant text := case p_by when 'user' then 'actor_id' else 'team_id' end;
    v_count bigint;
begin
    execute format(
        'select count(*) from (select from (%s) u where %2$I <> '''' group by %2$I'
        ' having sum(charges) > 0) n',
        ducto.usage_parts(p_start, p_end, array[p_by], array[v_name, 'charges']), v_name
    ) into v_count;
    return v_count;
end
$$;
comment on function ducto.count_usage(timestamptz, timestamptz, text) is 'p_by: user or team.';
