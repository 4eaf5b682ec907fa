-- What a token of an expression is, given whether a value is wanted where it stands; null: nothing
-- that an expression may hold. `not` is a prefix, or the first half of `not in`.
create or replace function ducto.token_kind(p_token text, p_wanted boolean)
returns text
language plpgsql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return case
        when p_token ~ E'^[ \t\r\n]' then 'space'
        when p_token in ('and', 'or', 'in', 'else') or p_token = 'if' and not p_wanted then 'infix'
        when p_token = 'not' then case when p_wanted then 'prefix' else 'not' end
        when p_token ~ '^[A-Za-z_]' then 'name'
        when p_token ~ '[0-9]' then 'number'
        when p_token in ('+', '-') and p_wanted then 'prefix'
        when p_token ~ '^([-+*/%<>]|[*][*]|//|[<>=!]=)$' then 'infix'
        when p_token in ('(', '[') then 'open'
        when p_token in (')', ']') then 'close'
        when p_token = ',' then 'comma' end;
end
$$;
comment on function ducto.token_kind(text, boolean) is
    'What a token of an expression is; null: nothing that is allowed.';
