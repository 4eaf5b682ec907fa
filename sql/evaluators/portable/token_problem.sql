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
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_length integer := length(p_token);
    v_message text;
    v_name text;
begin
    case p_kind
        when 'number' then
            if substr(p_text, p_position + v_length, 1) ~ '[A-Za-z0-9_.]' then
                v_message := format(
                    '''%s'' is not a decimal number',
                    ducto.shorten(substr(p_text, p_position, v_length + 8), 40)
                );
                v_length := v_length + 1;
            else
                v_message := (ducto.read_literal(p_token)).problem;
            end if;
        when 'name' then
            v_message := ducto.word_problem(p_token, substr(p_text, p_position + v_length));
            if v_message is not null and p_token <> 'if' then
                v_name := ducto.shorten(p_token, 40);
            end if;
        when 'prefix', 'infix' then
            v_message := ducto.operator_problem(
                p_token, p_kind, p_wanted, p_previous, p_waiting, p_prefixes
            );
        when 'not' then
            v_message := case
                when substr(p_text, p_position + 3) !~ E'^[ \t\r\n]+in(?![A-Za-z0-9_])'
                    then 'an operator is expected before ''not''' end;
        when 'open', 'comma', 'close' then
            v_message := ducto.bracket_problem(
                p_token, p_kind, p_wanted, p_previous, p_opened, p_waiting, p_depth
            );
        else
            v_message := ducto.character_problem(p_token);
            v_name := p_token;
    end case;
    if v_message is null and p_kind in ('number', 'name') then
        if not p_wanted then
            v_message := format(
                'an operator is expected before ''%s''', ducto.shorten(p_token, 40)
            );
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
