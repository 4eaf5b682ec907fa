-- The sum of a section whose entries are all charged (search, cache): the base's, each replaced by
-- the plan's where it has one, in the order of their keys.
create or replace function ducto.sum_section(
    p_version integer,
    p_plan_keys text[],
    p_section text,
    p_numbers jsonb,
    out value numeric,
    out error jsonb
)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_rate ducto.credit_rates;
    v_run record;
begin
    value := 0;
    for v_rate in
        select distinct on (r.key) r.*
        from ducto.credit_rates r
        where r.version = p_version and r.plan_key in (p_plan_keys[1], '') and r.section = p_section
        order by r.key, r.plan_key desc
    loop
        v_run := ducto.run_program(v_rate.code, v_rate.constants, v_rate.names, p_numbers);
        if v_run.error is not null then
            error := ducto.evaluation_error(p_section, v_rate.key, v_run.error);
            return;
        end if;
        value := value + v_run.value;
    end loop;
end
$$;
comment on function ducto.sum_section(integer, text[], text, jsonb) is
    'The sum of all prices of a section, or the error of the first that has none.';
