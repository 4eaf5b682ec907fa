-- The first gate of the compiler: takes an expression apart into tokens, refusing every character
-- that is not allowed, everything beyond the limits, and operands and operators that do not
-- alternate, so that what it lets through is valid. Of each token: its text (of a number its
-- value), its kind, the position it starts at and the one after its end. Kinds: number, name, call
-- (a name that is called), prefix, infix, if, else, open, comma, close.
create or replace function ducto.scan_expression(
    p_text text,
    out tokens text[],
    out kinds text[],
    out starts integer[],
    out ends integer[],
    out error jsonb
)
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_token text;
    v_kind text;
    v_at integer;
    v_after integer := 1;
    v_count integer := 0;
    v_wanted boolean := true;
    v_previous text := '';
    v_not boolean := false;
    v_prefixes integer := 0;
    v_operands integer := 0;
    v_depth integer := 0;
    v_opened text[];
    v_opened_at integer[];
    v_waiting boolean[] := '{f}'::boolean[];
begin
    if length(p_text) > 2000 then
        error := ducto.expression_error('the expression has more than 2000 characters');
        return;
    end if;
    for v_token in
        select m.token[1]
        from regexp_matches(
            p_text,
            E'[ \t\r\n]+'
            '|(?:[0-9][0-9_]*[.]?[0-9_]*|[.][0-9][0-9_]*)(?:[eE][-+]?[0-9][0-9_]*)?'
            '|[A-Za-z_][A-Za-z0-9_]*|[*][*]|//|[<>=!]=|.',
            'g'
        ) m(token)
    loop
        v_at := v_after;
        v_after := v_at + length(v_token);
        v_kind := ducto.token_kind(v_token, v_wanted);
        continue when v_kind = 'space';
        error := ducto.token_problem(
            p_text, v_token, coalesce(v_kind, ''), v_at, v_wanted, v_previous, v_opened[v_depth],
            v_waiting[v_depth + 1], v_depth, v_prefixes, v_operands
        );
        if error is not null then
            return;
        end if;
        v_previous := v_token;
        v_prefixes := case when v_kind = 'prefix' then v_prefixes + 1 else 0 end;
        case v_kind
            when 'number', 'name' then
                v_operands := v_operands + 1;
                v_wanted := false;
                if v_kind = 'number' then
                    v_token := (ducto.read_literal(v_token)).value;
                end if;
            when 'infix' then
                v_wanted := true;
                if v_token in ('if', 'else') then
                    v_waiting[v_depth + 1] := v_token = 'if';
                    v_kind := v_token;
                elsif v_not then
                    v_token := 'not in';
                    v_not := false;
                end if;
            when 'not' then
                v_not := true;
                continue;
            when 'open' then
                if not v_wanted then
                    kinds[v_count] := 'call';
                end if;
                v_depth := v_depth + 1;
                v_opened[v_depth] := v_token;
                v_opened_at[v_depth] := v_at;
                v_waiting[v_depth + 1] := false;
                v_wanted := true;
            when 'close' then
                v_depth := v_depth - 1;
                v_wanted := false;
            when 'comma' then
                v_wanted := true;
            else
                null;
        end case;
        v_count := v_count + 1;
        tokens[v_count] := v_token;
        kinds[v_count] := v_kind;
        starts[v_count] := v_at;
        ends[v_count] := v_after;
    end loop;
    if v_wanted then
        error := ducto.expression_error(
            case when v_previous = '' then 'the expression is empty'
                else 'the expression ends where a value is expected' end,
            nullif(length(p_text), 0)
        );
    elsif v_waiting[v_depth + 1] then
        error := ducto.expression_error('''if'' without ''else''', length(p_text));
    elsif v_depth > 0 then
        error := ducto.expression_error(
            format('''%s'' is never closed', v_opened[v_depth]), v_opened_at[v_depth]
        );
    end if;
end
$$;
comment on function ducto.scan_expression(text) is
    'The tokens of an expression, or what is wrong with it.';
