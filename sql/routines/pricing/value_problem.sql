-- What is wrong with a setting's value; null: nothing. A kind is a name below, or the words that a
-- choice may be.
create or replace function ducto.value_problem(p_kind text, p_value jsonb)
returns text
language plpgsql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_type text := jsonb_typeof(p_value);
    v_text text := p_value #>> '{}';
    v_number numeric := case when jsonb_typeof(p_value) = 'number' then p_value::numeric end;
begin
    if p_kind in ('floor', 'count') and v_type = 'null' then
        return null;
    elsif p_kind in ('money', 'positive', 'floor') then
        return case
            when v_number is null then 'must be a number'
            when abs(v_number) >= 1e26 then 'must be less than 10^26'
            when min_scale(v_number) > 12 then 'must have at most 12 fraction digits'
            when p_kind = 'positive' and v_number < 0 then 'must not be negative'
            when p_kind = 'floor' and v_number > 0
                then 'an overdraft floor must be zero or negative'
            end;
    elsif p_kind in ('version', 'scale', 'count') then
        return case
            when v_number is not null and v_number = trunc(v_number) and case p_kind
                when 'version' then v_number in (1, 2)
                when 'scale' then v_number between 0 and 12
                else v_number between 0 and 2147483647 end then null
            when p_kind = 'version' then 'the version must be 1 or 2'
            when p_kind = 'scale' then 'the scale must be a whole number from 0 to 12'
            else 'must be a whole number from 0 to 2147483647' end;
    elsif p_kind in ('metrics', 'balances') and v_type = 'array' then
        return (
            select min(case
                when p_kind = 'balances' then ducto.value_problem('money', a.value)
                when a.value #>> '{}' !~ '^[A-Za-z][A-Za-z0-9_]{0,62}$'
                    or jsonb_typeof(a.value) <> 'string'
                    then 'a metric is a name of up to 63 letters, digits and underscores'
                when a.value #>> '{}' in ('model', 'operation', 'job_name')
                    then format('''%s'' already has a meaning', a.value #>> '{}')
                end)
            from jsonb_array_elements(p_value) a
        );
    end if;
    return case p_kind
        when 'text' then case when v_type <> 'string' then 'must be a text' end
        when 'name' then case
            when v_type <> 'string' or length(v_text) not between 1 and 200
                then 'must be a text of 1 to 200 characters' end
        when 'boolean' then case when v_type <> 'boolean' then 'must be true or false' end
        when 'rates' then case when v_type <> 'object' then 'must be an object of expressions' end
        when 'object' then case when v_type <> 'object' then 'must be an object' end
        when 'metrics' then 'must be a list of names'
        when 'balances' then 'must be a list of balances'
        when 'plans' then case
            when v_type not in ('array', 'object') then 'must be a list or an object of plans' end
        when 'features' then case
            when v_type not in ('array', 'object') then 'must be an object or a list of names' end
        else case
            when v_type <> 'string' or v_text <> all (string_to_array(p_kind, '|'))
                then 'must be one of ' || replace(p_kind, '|', ', ') end
        end;
end
$$;
comment on function ducto.value_problem(text, jsonb) is
    'What is wrong with a setting of a pricing config; null: nothing.';
