-- What is wrong with the value of a metric: null when it is a number from 0 to 10^26 with at most
-- 40 digits behind the point.
create or replace function ducto.number_problem(p_name text, p_value jsonb)
returns text
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_value numeric;
    v_problem text;
begin
    if p_value is null or jsonb_typeof(p_value) <> 'number' then
        return format('the metric ''%s'' must be a number', p_name);
    end if;
    v_value := p_value::numeric;
    v_problem := case
        when v_value < 0 then 'must not be negative'
        when v_value > 1e26 then 'is beyond 10^26'
        when scale(v_value) > 40 then 'has more than 40 fraction digits'
        end;
    return case when v_problem is not null then
        format('the metric ''%s'' %s', p_name, v_problem) end;
end
$$;
comment on function ducto.number_problem(text, jsonb) is
    'What is wrong with a metric that must be a number; null: nothing.';
