-- The kind, the action and the model of a cap: null when they are valid, else the error.
create or replace function ducto.check_cap(p_cap_type text, p_action text, p_model text)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if (p_cap_type in ('daily', 'weekly', 'monthly')) is not true then
        return ducto.invalid('p_cap_type', 'A cap is daily, weekly or monthly.');
    elsif (p_action in ('deny', 'warn', 'notify')) is not true then
        return ducto.invalid('p_action', 'The action of a cap is deny, warn or notify.');
    elsif length(p_model) not between 1 and 200 then
        return ducto.invalid('p_model', 'A model''s name has 1 to 200 characters.');
    end if;
    return null;
end
$$;
