-- What is wrong with the value of a setting; null: nothing. A kind is a name below, or the words
-- that a choice may be.
create or replace function ducto.value_problem(p_kind text, p_value jsonb)
returns text
language plpgsql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_type constant text := jsonb_typeof(p_value);
    v_number constant numeric :=
        case when jsonb_typeof(p_value) = 'number' then p_value::numeric end;
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
            when v_number = trunc(v_number) and case p_kind
                when 'version' then v_number in (1, 2)
                when 'scale' then v_number between 0 and 12
                else v_number between 0 and 2147483647 end then null
            when p_kind = 'version' then 'the version must be 1 or 2'
            when p_kind = 'scale' then 'the scale must be a whole number from 0 to 12'
            else 'must be a whole number from 0 to 2147483647' end;
    end if;
    return case p_kind
        when 'name' then ducto.name_problem(p_value)
        when 'text' then case when v_type <> 'string' or length(p_value #>> '{}') > 10000
            then 'must be a text of at most 10000 characters' end
        when 'boolean' then case when v_type <> 'boolean' then 'must be true or false' end
        when 'thresholds' then 'must be a list of at most 32 balances'
        when 'features' then 'must be an object, or a list of names'
        when 'operations' then 'must be an object of policies by operation'
        else case
            when v_type <> 'string' or p_value #>> '{}' <> all (string_to_array(p_kind, '|'))
                then 'must be one of ' || replace(p_kind, '|', ', ') end
        end;
end
$$;
comment on function ducto.value_problem(text, jsonb) is
    'What is wrong with a setting of a pricing config; null: nothing.';
