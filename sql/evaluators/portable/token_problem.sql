-- What is wrong with a token where it stands: the table of the first gate. `p_kind` is what the
-- scanner takes it for, `p_wanted` whether a value is wanted here, `p_previous` the token before,
-- `p_opened` the innermost open bracket and `p_waiting` whether an `X if c` in it waits for `else`.
create or replace function ducto.token_problem(
    p_text text,
    p_token text,
    p_kind text,
    p_position integer,
    p_wanted boolean,
    p_previous text,
    p_opened text,
    p_waiting boolean,
    p_depth integer,
    p_prefixes integer,
    p_operands integer
)
returns jsonb
language plpgsql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_length integer := length(p_token);
    v_rest text;
    v_message text;
    v_name text;
begin
    case p_kind
        when 'number' then
            if substr(p_text, p_position + v_length, 1) ~ '[A-Za-z0-9_.]' then
                v_message := format(
                    '''%s'' is not a decimal number',
                    ducto.shorten(substr(p_text, p_position, v_length + 8))
                );
                v_length := v_length + 1;
            else
                v_message := (ducto.read_literal(p_token)).problem;
            end if;
        when 'name' then
            if p_token = 'if' and substr(p_text, p_position + 2) !~ E'^[ \t\r\n]*[(]' then
                v_message := 'a value is expected before ''if''';
            elsif p_token <> 'if' and p_token = any ('{
                    False,None,True,as,assert,async,await,break,class,continue,def,del,elif,except,
                    finally,for,from,global,import,is,lambda,nonlocal,pass,raise,return,try,while,
                    with,yield
                }'::text[])
            then
                v_message := format('''%s'' is not allowed', p_token);
                v_name := p_token;
            elsif p_token like '!_%' escape '!' then
                v_message := format('unknown name ''%s''', ducto.shorten(p_token));
                v_name := ducto.shorten(p_token);
            end if;
        when 'prefix' then
            v_message := case
                when p_token = 'not'
                    and p_previous <> all ('{"",(,[,",",and,or,not,if,else}'::text[])
                    then '''not'' needs brackets here: (not x)'
                when p_prefixes >= 32 then 'more than 32 signs or ''not'' in a row' end;
        when 'infix' then
            v_message := case
                when not p_wanted then case
                    when p_token = 'if' and p_waiting then 'a condition with an ''if'' needs brackets'
                    when p_token = 'else' and not p_waiting then '''else'' without ''if''' end
                when p_token in ('*', '**') and p_previous in ('', '(', '[', ',')
                    then 'starred values are not allowed'
                else format('a value is expected before ''%s''', p_token) end;
        when 'not' then
            v_message := case
                when substr(p_text, p_position + 3) !~ E'^[ \t\r\n]+in(?![A-Za-z0-9_])'
                    then 'an operator is expected before ''not''' end;
        when 'open' then
            v_message := case
                when p_depth >= 32 then 'the expression is nested more than 32 deep'
                when p_wanted then null
                when p_token = '[' then 'subscripts are not allowed'
                when p_previous !~ '^[A-Za-z]' then 'an operator is expected before ''(''' end;
        when 'comma' then
            v_message := case
                when p_wanted then 'a value is expected before '','''
                when p_depth = 0 then 'a comma is only allowed inside of brackets'
                when p_waiting then '''if'' without ''else''' end;
        when 'close' then
            v_message := case
                when p_opened is distinct from translate(p_token, ')]', '([')
                    then format('''%s'' closes nothing', p_token)
                when p_wanted and p_previous not in ('(', '[', ',')
                    then format('a value is expected before ''%s''', p_token)
                when p_waiting then '''if'' without ''else''' end;
        else
            v_name := p_token;
            v_message := case
                when p_token in ('"', '''') then 'strings are not allowed'
                when p_token = '=' then '''='' is not allowed; compare with ''=='''
                when p_token in (':', '@') then format('''%s'' is not allowed', p_token)
                when p_token = '.' then 'attributes are not allowed'
                when p_token in ('{', '}') then 'braces are not allowed'
                when p_token = '#' then 'comments are not allowed'
                when ascii(p_token) between 33 and 126
                    then format('the character ''%s'' is not allowed', p_token)
                else format(
                    'the character U+%s is not allowed; only ASCII is',
                    upper(lpad(to_hex(ascii(p_token)), greatest(4, length(to_hex(ascii(p_token)))), '0'))
                ) end;
    end case;
    if v_message is null and p_kind in ('number', 'name') then
        if not p_wanted then
            v_message := format('an operator is expected before ''%s''', ducto.shorten(p_token));
        elsif p_operands >= 200 then
            v_message := 'the expression has more than 200 parts';
            v_length := 1;
        end if;
    end if;
    return case when v_message is not null then
        ducto.expression_error(v_message, p_position, v_length, v_name) end;
end
$$;
comment on function ducto.token_problem(
    text, text, text, integer, boolean, text, text, boolean, integer, integer, integer
) is
    'What is wrong with a token of an expression; null: nothing.';
