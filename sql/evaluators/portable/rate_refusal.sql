-- What is refused about an expression of a config, and where it stands; null: nothing is.
create or replace function ducto.rate_refusal(
    p_plan_key text,
    p_section text,
    p_key text,
    p_expression text,
    p_outcomes jsonb
)
returns jsonb
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return p_outcomes -> p_expression -> 'refusal' || jsonb_strip_nulls(jsonb_build_object(
        'expression', left(p_expression, 2000),
        'section', p_section,
        'key', p_key,
        'plan_key', nullif(p_plan_key, '')
    ));
end
$$;
comment on function ducto.rate_refusal(text, text, text, text, jsonb) is
    'The refusal of an expression of a pricing config; null: it is none.';
