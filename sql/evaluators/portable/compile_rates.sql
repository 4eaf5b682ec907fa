-- Compiles and proves every expression of a config, each text once: an object that says of each
-- text either its `program` and its `price` for typical usage, or its `refusal`.
create or replace function ducto.compile_rates(p_config jsonb, p_metric_names text[])
returns jsonb
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return (
        select coalesce(jsonb_object_agg(t.expression, case
            when p.proof ? 'price' is not true
                then jsonb_build_object('refusal', coalesce(c.error, p.proof))
            else p.proof || jsonb_build_object('program', jsonb_build_object(
                'code', c.code, 'constants', c.constants, 'names', c.names
            )) end), '{}')
        from (
            select distinct r.expression from ducto.config_rates(p_config) r
            where r.expression is not null
        ) t
        cross join lateral ducto.compile_expression(t.expression, p_metric_names) c
        cross join lateral (
            select case when c.error is null then
                ducto.prove_program(c.code, c.constants::numeric[], c.names) end
        ) p(proof)
    );
end
$$;
comment on function ducto.compile_rates(jsonb, text[]) is
    'What compiling each expression of a pricing config gives.';
