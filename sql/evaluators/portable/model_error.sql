-- How an evaluator refuses a usage whose model has no price.
create or replace function ducto.model_error(p_version integer, p_model text)
returns jsonb
language sql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
return jsonb_build_object(
    'code', 'DU004',
    'detail', jsonb_build_object('model', p_model, 'version', p_version)
        || case when p_model is null then
            '{"message": "The usage names no model, and the pricing has no _default."}'
            else '{}'::jsonb end
);
comment on function ducto.model_error(integer, text) is
    'The error of a model without a price; null: of a usage that names none.';
