-- The rate that prices a name, the plan's rates before the base's: in each the exact key, then,
-- with p_prefix, the longest key that the name starts with, then _default. Cost does not grow with
-- the number of keys. A plan key of '' and plans without overrides go straight to the base.
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
    v_key text;
begin
    foreach v_plan_key in array p_plan_keys loop
        select r.* into v_rate from ducto.credit_rates r
        where r.version = p_version and r.plan_key = v_plan_key and r.section = p_section
            and r.key = p_key;
        if not found and p_prefix then
            v_key := ducto.longest_prefix(p_version, v_plan_key, p_section, p_key);
            select r.* into v_rate from ducto.credit_rates r
            where r.version = p_version and r.plan_key = v_plan_key and r.section = p_section
                and r.key = coalesce(v_key, '_default');
        end if;
        exit when v_rate.version is not null;
    end loop;
    return v_rate;
end
$$;
comment on function ducto.find_rate(integer, text[], text, text, boolean) is
    'The rate of a name, from the first of the plan keys that prices it; else a null row.';
