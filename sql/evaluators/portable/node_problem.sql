-- What is wrong with a node of an expression when its turn comes (the orders are those of
-- ducto.emit_program): limits, names, calls, and where lists and exponents may stand.
create or replace function ducto.node_problem(
    p_order integer,
    p_parts integer,
    p_depth integer,
    p_kind text,
    p_word text,
    p_arity integer,
    p_start integer,
    p_end integer,
    p_metric_names text[]
)
returns jsonb
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_functions constant text[] :=
        '{ceil,floor,round,min,max,if,tier,clamp,percentile,graduated}'::text[];
    v_message text := case
        when p_order = -5 then '''in'' must come last in a chain of comparisons'
        when p_order = -4 and (p_kind <> 'list' or p_arity = 0)
            then '''in'' needs a list of values: x in (1, 2)'
        when p_order = -3 and (p_kind <> 'number' or p_word !~ '^(1[0-6]|[0-9])$')
            then 'the exponent of ** must be a whole number from 0 to 16'
        when p_parts > 200 then 'the expression has more than 200 parts'
        when p_depth > 32 then 'the expression is nested more than 32 deep'
        when p_kind = 'list' and p_order = 0 then 'a list of values is not allowed here' end;
begin
    if v_message is not null then
        return ducto.expression_error(v_message, p_start, p_end - p_start);
    elsif p_kind = 'name' and p_word = any (v_functions) then
        return ducto.expression_error(
            format('''%s'' is a function: write %s(...)', p_word, p_word),
            p_start, p_end - p_start, p_word
        );
    elsif p_kind = 'name' and p_word <> all (p_metric_names) then
        return ducto.expression_error(
            format('unknown name ''%s''', ducto.shorten(p_word, 40)),
            p_start, p_end - p_start, p_word, 'names'
        );
    elsif p_kind <> 'call' then
        return null;
    elsif p_word = any (p_metric_names) then
        return ducto.expression_error(
            format('''%s'' is a metric, not a function', p_word), p_start, length(p_word), p_word
        );
    elsif p_word <> all (v_functions) then
        return ducto.expression_error(
            format('unknown function ''%s''', ducto.shorten(p_word, 40)),
            p_start, length(p_word), p_word, 'functions'
        );
    end if;
    v_message := ducto.arity_problem(p_word, p_arity);
    return case when v_message is not null then
        ducto.expression_error(v_message, p_start, p_end - p_start, p_word) end;
end
$$;
comment on function ducto.node_problem(
    integer, integer, integer, text, text, integer, integer, integer, text[]
) is
    'What is wrong with a node of an expression; null: nothing.';
