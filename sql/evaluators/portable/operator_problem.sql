-- What is wrong with an operator where it stands; the arguments are those of ducto.token_problem.
create or replace function ducto.operator_problem(
    p_token text,
    p_kind text,
    p_wanted boolean,
    p_previous text,
    p_waiting boolean,
    p_prefixes integer
)
returns text
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return case
        when p_kind = 'prefix' then case
            when p_token = 'not'
                and p_previous <> all ('{"",(,[,",",and,or,not,if,else}'::text[])
                then '''not'' needs brackets here: (not x)'
            when p_prefixes >= 32 then 'more than 32 signs or ''not'' in a row' end
        when not p_wanted then case
            when p_token = 'if' and p_waiting then 'a condition with an ''if'' needs brackets'
            when p_token = 'else' and not p_waiting then '''else'' without ''if''' end
        when p_token in ('*', '**') and p_previous in ('', '(', '[', ',')
            then 'starred values are not allowed'
        else format('a value is expected before ''%s''', p_token) end;
end
$$;
comment on function ducto.operator_problem(text, text, boolean, text, boolean, integer) is
    'What is wrong with an operator of an expression; null: nothing.';
