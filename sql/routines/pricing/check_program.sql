-- Verifies and proves the program that a client compiled for an expression. Returns {price} for
-- typical usage, or {message, …}.
create or replace function ducto.check_program(
    p_expression text,
    p_program jsonb,
    p_metric_names text[]
)
returns jsonb
language plpgsql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_problem text;
begin
    if p_program is null then
        return jsonb_build_object('message', 'its program is missing from _compiled');
    end if;
    v_problem := ducto.verify_program(p_expression, p_program, p_metric_names);
    if v_problem is not null then
        return jsonb_build_object('message', 'its program was refused: ' || v_problem);
    end if;
    return ducto.prove_program(
        array(select c.value::integer from jsonb_array_elements(p_program -> 'code') c),
        array(select c.value::numeric from jsonb_array_elements_text(p_program -> 'constants') c),
        array(select n.value from jsonb_array_elements_text(p_program -> 'names') n)
    );
end
$$;
comment on function ducto.check_program(text, jsonb, text[]) is
    'The price of typical usage by a compiled expression, or what is wrong with its program.';
