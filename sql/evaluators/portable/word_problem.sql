-- Why a word cannot be a name in an expression; null: it can. `p_rest` is the text behind it.
create or replace function ducto.word_problem(p_word text, p_rest text)
returns text
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return case
        when p_word = 'if' then case when p_rest !~ E'^[ \t\r\n]*[(]'
            then 'a value is expected before ''if''' end
        when p_word = any ('{
            False,None,True,as,assert,async,await,break,class,continue,def,del,elif,except,
            finally,for,from,global,import,is,lambda,nonlocal,pass,raise,return,try,while,with,
            yield
        }'::text[]) then format('''%s'' is not allowed', p_word)
        when starts_with(p_word, '_')
            then format('unknown name ''%s''', ducto.shorten(p_word, 40)) end;
end
$$;
comment on function ducto.word_problem(text, text) is
    'Why a word cannot be a name in an expression; null: it can.';
