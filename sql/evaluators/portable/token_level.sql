-- How tight a token binds what stands before it: 10 where it takes nothing from there.
create or replace function ducto.token_level(p_kind text, p_token text)
returns integer
language plpgsql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return case p_kind
        when 'end' then 0
        when 'comma' then 0
        when 'close' then 0
        when 'if' then 1
        when 'else' then 1
        when 'prefix' then case p_token when 'not' then 4 else 8 end
        when 'infix' then case
            when p_token = 'or' then 2
            when p_token = 'and' then 3
            when p_token in ('+', '-') then 6
            when p_token in ('*', '/', '//', '%') then 7
            when p_token = '**' then 9
            else 5 end
        else 10 end;
end
$$;
comment on function ducto.token_level(text, text) is
    'How tight an operator of the expression language binds.';
