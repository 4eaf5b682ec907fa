-- Verifies what the compiler in this database has made: the machine relies on it, whoever compiled.
-- Returns the outcome of a check that fails, or an empty object.
create or replace function ducto.refuse_programs(p_programs jsonb, p_config jsonb)
returns jsonb
language plpgsql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_names text[] := ducto.config_metrics(p_config);
    v_expression text;
    v_problem text;
begin
    select p.key, v.problem into v_expression, v_problem
    from jsonb_each(p_programs) p
    cross join lateral ducto.verify_program(p.key, p.value, v_names) v(problem)
    where v.problem is not null
    limit 1;
    if not found then
        return '{}'::jsonb;
    end if;
    return ducto.one_config_error('', format('the program of %s: %s', v_expression, v_problem));
end
$$;
comment on function ducto.refuse_programs(jsonb, jsonb) is
    'The outcome of checking a config one of whose programs does not verify; else {}.';
