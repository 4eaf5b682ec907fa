-- What is wrong with a bracket or a comma where it stands; the arguments are those of
-- ducto.token_problem.
create or replace function ducto.bracket_problem(
    p_token text,
    p_kind text,
    p_wanted boolean,
    p_previous text,
    p_opened text,
    p_waiting boolean,
    p_depth integer
)
returns text
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return case p_kind
        when 'open' then case
            when p_depth >= 32 then 'the expression is nested more than 32 deep'
            when p_wanted then null
            when p_token = '[' then 'subscripts are not allowed'
            when p_previous !~ '^[A-Za-z]' then 'an operator is expected before ''(''' end
        when 'comma' then case
            when p_wanted then 'a value is expected before '','''
            when p_depth = 0 then 'a comma is only allowed inside of brackets'
            when p_waiting then '''if'' without ''else''' end
        when 'close' then case
            when p_opened is distinct from translate(p_token, ')]', '([')
                then format('''%s'' closes nothing', p_token)
            when p_wanted and p_previous not in ('(', '[', ',')
                then format('a value is expected before ''%s''', p_token)
            when p_waiting then '''if'' without ''else''' end
        end;
end
$$;
comment on function ducto.bracket_problem(text, text, boolean, text, text, boolean, integer) is
    'What is wrong with a bracket or a comma of an expression; null: nothing.';
