-- The rate of exactly this key, from the first of the plan keys (the plan's, the base's) that has
-- it.
create or replace function ducto.find_rate(
    p_version integer,
    p_plan_keys text[],
    p_section text,
    p_key text
)
returns ducto.credit_rates
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_rate ducto.credit_rates;
begin
    -- One plan key after the other: together they would have to be sorted, which costs more.
    select r.* into v_rate
    from ducto.credit_rates r
    where r.version = p_version and r.plan_key = p_plan_keys[1] and r.section = p_section
        and r.key = p_key;
    if not found and cardinality(p_plan_keys) > 1 then
        select r.* into v_rate
        from ducto.credit_rates r
        where r.version = p_version and r.plan_key = p_plan_keys[2] and r.section = p_section
            and r.key = p_key;
    end if;
    return v_rate;
end
$$;
comment on function ducto.find_rate(integer, text[], text, text) is
    'The rate of a key, a plan''s before the base''s; else a null row.';
