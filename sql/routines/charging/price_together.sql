-- The charges of a batch by account, those that are simply usage whose price is a sum of products
-- with that price; whatever else is sent, the evaluator prices or refuses. ducto_deduct has the
-- same conditions, and explains them.
create or replace function ducto.price_together(p_charges jsonb)
returns ducto.booking[]
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
begin
    return array(
        select row(
            c.place, r.version, c.account_id, c.key, e.cost, r.exact,
            sum(-e.cost) over (partition by c.account_id order by c.place),
            c.metrics, c.metadata, c.occurred_at
        )::ducto.booking
        from (
            select u.place, u.item,
                coalesce(u.item ->> 'team_id', u.item ->> 'user_id') collate "C" as account_id,
                u.item -> 'metrics' as metrics, u.item ->> 'idempotency_key' as key,
                nullif(nullif(u.item -> 'metadata', 'null'), '{}') as metadata,
                case when u.item ->> 'occurred_at' is not null
                    then ducto.read_instant(u.item ->> 'occurred_at') end as occurred_at
            from jsonb_array_elements(p_charges) with ordinality u (item, place)
            offset 0
        ) c
        left join lateral (
            select l.version, l.scale, l.constant
                + coalesce((c.metrics -> l.metric_1)::numeric * l.factor_1, 0)
                + coalesce((c.metrics -> l.metric_2)::numeric * l.factor_2, 0)
                + coalesce((c.metrics -> l.metric_3)::numeric * l.factor_3, 0)
                + coalesce((c.metrics -> l.metric_4)::numeric * l.factor_4, 0) as exact
            from ducto.credit_linear_rates l
            where l.model = c.metrics -> 'model'
                and case when c.item @> '{"metrics": {}}'
                    then c.item - '{
                            user_id,metrics,idempotency_key,metadata,occurred_at
                        }'::text[] = '{}'
                        and jsonb_typeof(c.item -> 'user_id') = 'string'
                        and (c.key is null
                            or jsonb_typeof(c.item -> 'idempotency_key') = 'string'
                            and length(c.key) between 1 and 255)
                        and (c.metadata is null or jsonb_typeof(c.metadata) = 'object'
                            and octet_length(c.metadata::text) <= 65536)
                        and (c.item ->> 'occurred_at' is null or c.occurred_at <= ducto.now())
                        and c.metrics - l.metrics = '{}'
                        and not c.metrics ? 'operation'
                        and not c.metrics - 'model' @? 'strict $.* ? (
                            @.type() != "number" || @ < 0 || @ > 100000000000)'
                        and (c.metrics - 'model')::text not like '%.%' end
            limit 1
        ) r on true
        cross join lateral (
            select trim_scale(coalesce(round(r.exact, r.scale), r.exact)) as cost offset 0
        ) e
        where c.account_id is not null
        -- As the sum has them, so that nothing is sorted again.
        order by c.account_id, c.place
    );
end
$$;
comment on function ducto.price_together(jsonb) is
    'p_charges: of a batch, null where one is done; a price that is null: see each by itself.';
