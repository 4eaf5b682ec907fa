-- What of the rollup a report reads: the scope with the fewest rows that keeps apart what is asked
-- for, taken apart into spans; what no span covers has hours 0.
create or replace function ducto.usage_reads(
    p_by text[],
    p_start timestamptz,
    p_end timestamptz,
    p_bucket text
)
returns table (
    scope text, is_by_team boolean, hours integer, sign integer,
    from_at timestamptz, to_at timestamptz
)
language plpgsql
stable
rows 8
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_scope constant text := case
        when p_by && '{team,user}' and p_by && '{model,operation}' then 'detail'
        when 'user' = any (p_by) then 'user'
        when 'team' = any (p_by) then 'team'
        else 'model'
    end;
    v_state ducto.credit_usage_state;
begin
    select s.* into v_state from ducto.credit_usage_state s;
    return query
    select s.scope, s.is_by_team, b.hours, b.sign * s.sign, b.from_at, b.to_at
    from ducto.usage_blocks(v_state, v_scope, p_start, p_end, p_bucket) b
    -- What users paid is what they used, less what teams paid of it.
    join (values (v_scope, true, 1), ('member', true, 1), ('member', false, -1))
        as s (scope, is_by_team, sign)
        on s.scope = v_scope or v_scope = 'user' and 'team' = any (p_by) and b.hours > 0;
end
$$;
