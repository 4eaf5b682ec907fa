-- How an evaluator reports that an expression has no value: always the same code, keys, sentence.
create or replace function ducto.evaluation_error(p_section text, p_key text, p_reason text)
returns jsonb
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return jsonb_build_object(
        'code', 'DU022',
        'detail', jsonb_build_object(
            'reason', p_reason,
            'section', p_section,
            'key', p_key,
            'message', format(
                'Pricing this usage failed in %s.%s: %s.', p_section, p_key,
                ducto.reason_sentence(p_reason)
            )
        )
    );
end
$$;
comment on function ducto.evaluation_error(text, text, text) is
    'The error of an expression that cannot be evaluated for these metrics.';
