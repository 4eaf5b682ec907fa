-- How an evaluator refuses a metric: always the same code and keys.
create or replace function ducto.metric_error(p_metric text, p_problem text)
returns jsonb
language sql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
return jsonb_build_object(
    'code', 'DU017',
    'detail', jsonb_build_object(
        'argument', 'metrics',
        'metric', p_metric,
        'message', p_problem || case when p_problem like '%?' then '' else '.' end
    )
);
comment on function ducto.metric_error(text, text) is
    'The error of a metric that is refused.';
