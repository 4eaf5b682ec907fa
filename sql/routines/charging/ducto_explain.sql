create or replace function public.ducto_explain(p_transaction_id bigint)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_entry ducto.credit_transactions := ducto.find_transaction(p_transaction_id);
    v_price jsonb;
    v_rates jsonb := '[]'::jsonb;
begin
    if v_entry.type = 'usage' and v_entry.metrics is not null then
        v_price := ducto.price_usage(
            v_entry.pricing_version, v_entry.plan_key, v_entry.metrics
        );
        v_rates := ducto.usage_rates(
            v_entry.pricing_version, v_entry.plan_key, v_entry.metrics
        );
    end if;
    return jsonb_build_object(
        'transaction_id', v_entry.id,
        'user_id', v_entry.actor_id,
        'account_id', v_entry.account_id,
        'type', v_entry.type,
        'created_at', v_entry.created_at,
        'amount', trim_scale(v_entry.amount),
        'cost', case when v_entry.type = 'usage'
            then trim_scale(v_entry.allowance_consumed - v_entry.amount) end,
        'allowance_consumed', trim_scale(v_entry.allowance_consumed),
        'balance_after', trim_scale(v_entry.balance_after),
        'model', v_entry.model,
        'operation', v_entry.operation,
        'pricing_version', v_entry.pricing_version,
        'plan_key', v_entry.plan_key,
        'variables', coalesce(v_entry.metrics, '{}'),
        'expressions', v_rates,
        'breakdown', v_entry.breakdown,
        'recomputed', v_price,
        'recomputes', ducto.recomputes(v_entry, v_price),
        'allocations', coalesce(v_entry.allocations, '[]'),
        'lots', ducto.allocated_lots(v_entry),
        'idempotency_key', v_entry.idempotency_key,
        'reference_id', v_entry.reference_id,
        'reservation_id', v_entry.reservation_id,
        'refunds', coalesce((
            select jsonb_agg(r.id order by r.id) from ducto.credit_transactions r
            where r.account_id = v_entry.account_id
                and r.reference_id = v_entry.id and r.type = 'refund'
        ), '[]'),
        'metadata', coalesce(v_entry.metadata, '{}')
    );
end
$$;
comment on function public.ducto_explain(bigint) is
    'Why an entry is what it is: the metrics (variables), the expressions of its pricing version '
    'that priced them, the breakdown, the lots it drew on, its refunds; and whether pricing it '
    'again and adding up its allocations gives the stored amount (recomputes). Errors: DU008. '
    'Callers: service, admin, reader.';
