-- The rate that prices a name, the plan's rates before the base's: in each the exact key, or with
-- p_prefix the longest key that the name starts with, then _default. The cost does not grow with
-- the number of keys.
create or replace function ducto.find_rate(
    p_version integer,
    p_plan_keys text[],
    p_section text,
    p_key text,
    p_prefix boolean
)
returns ducto.credit_rates
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
    v_plan_key text;
    v_rate ducto.credit_rates;
begin
    foreach v_plan_key in array p_plan_keys loop
        if p_prefix then
            v_rate := ducto.longest_prefix(p_version, v_plan_key, p_section, p_key);
            exit when v_rate.version is not null;
        end if;
        select r.* into v_rate
        from ducto.credit_rates r
        where r.version = p_version and r.plan_key = v_plan_key and r.section = p_section
            and r.key = case when p_prefix then '_default' else p_key end;
        exit when found;
    end loop;
    return v_rate;
end
$$;
comment on function ducto.find_rate(integer, text[], text, text, boolean) is
    'The rate of a name, from the first of the plan keys that prices it; else a null row.';
