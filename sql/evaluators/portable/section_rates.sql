-- The expressions of a section at a path, in their order, with what is wrong with them before they
-- are compiled. A number is the expression of that number; a text is cut where it is too long, as
-- the compiler will find. Where the section itself is wrong, one row with the problem.
create or replace function ducto.section_rates(
    p_path text,
    p_plan_key text,
    p_section text,
    p_rates jsonb
)
returns table (
    path text, plan_key text, section text, key text, expression text, problem text
)
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if jsonb_typeof(p_rates) <> 'object' then
        return query select p_path, p_plan_key, p_section, null::text, null::text,
            format('''%s'' must be an object of expressions', p_path);
        return;
    end if;
    return query
        select ducto.join_path(p_path, e.key), p_plan_key, p_section, e.key,
            case when w.problem is null then case jsonb_typeof(e.value)
                when 'number' then trim_scale(e.value::numeric)::text
                else left(e.value #>> '{}', 2001) end end,
            w.problem
        from jsonb_each(p_rates) e
        cross join lateral (
            select case
                when e.key = '' or length(e.key) > 200 or e.key ~ E'[\u0001-\u001f\u007f]'
                    then ducto.name_problem(to_jsonb(e.key))
                when jsonb_typeof(e.value) not in ('string', 'number')
                    then 'an expression must be a text or a number'
                when jsonb_typeof(e.value) = 'number' and (
                    abs(e.value::numeric) > 1e26 or scale(e.value::numeric) > 40
                ) then 'the number is beyond 10^26, or has more than 40 fraction digits' end
        ) w(problem);
end
$$;
comment on function ducto.section_rates(text, text, text, jsonb) is
    'The expressions of a section of a pricing config.';
