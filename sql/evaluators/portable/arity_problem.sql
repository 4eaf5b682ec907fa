-- What is wrong with the number of arguments of a function of the expression language.
create or replace function ducto.arity_problem(p_name text, p_count integer)
returns text
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_usage text := case
        when p_name in ('ceil', 'floor') and p_count <> 1 then p_name || '(x)'
        when p_name = 'round' and p_count not in (1, 2) then 'round(x) or round(x, digits)'
        when p_name in ('min', 'max') and p_count < 1 then p_name || '(x, ...)'
        when p_name = 'if' and p_count <> 3 then 'if(condition, then, otherwise)'
        when p_name = 'tier' and p_count < 3 then 'tier(value, threshold, rate, ...[, default])'
        when p_name = 'clamp' and p_count <> 3 then 'clamp(x, low, high)'
        when p_name = 'percentile' and p_count < 2 then 'percentile(p, x, ...)'
        when p_name = 'graduated' and (p_count < 4 or p_count % 2 = 1)
            then 'graduated(value, threshold, rate, ..., last rate)' end;
begin
    return p_name || '() does not take ' || p_count || ' arguments: ' || v_usage;
end
$$;
comment on function ducto.arity_problem(text, integer) is
    'What is wrong with a call of a function of pricing expressions; null: nothing.';
