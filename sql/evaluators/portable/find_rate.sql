-- The rate of exactly this key, from the first of the plan keys that has it: the plan's before the
-- base's, whose plan key is '' and so the lowest.
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
set search_path = ''
as $$
declare
    v_rate ducto.credit_rates;
begin
    select r.* into v_rate
    from ducto.credit_rates r
    where r.version = p_version and r.plan_key = any (p_plan_keys) and r.section = p_section
        and r.key = p_key
    order by r.plan_key desc
    limit 1;
    return v_rate;
end
$$;
comment on function ducto.find_rate(integer, text[], text, text) is
    'The rate of a key, a plan''s before the base''s; else a null row.';
