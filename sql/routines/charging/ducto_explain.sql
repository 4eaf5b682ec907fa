create or replace function public.ducto_explain(p_transaction_id bigint)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_entry ducto.entry := ducto.find_transaction(p_transaction_id);
    v_allocations jsonb := ducto.entry_allocations(v_entry);
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
        'occurred_at', coalesce(v_entry.occurred_at, v_entry.created_at),
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
        'breakdown', ducto.entry_breakdown(v_entry),
        'recomputed', v_price,
        'recomputes', ducto.recomputes(v_entry, v_price),
        'allocations', v_allocations,
        'lots', ducto.allocated_lots(v_entry.account_id, v_allocations),
        'idempotency_key', v_entry.idempotency_key,
        'reference_id', v_entry.reference_id,
        'reservation_id', v_entry.reservation_id,
        'refunds', coalesce((
            select jsonb_agg(t.id order by t.id)
            from ducto.credit_references f
            join ducto.credit_transactions t
                on t.account_id = f.account_id and t.id = f.transaction_id
            where f.account_id = v_entry.account_id
                and f.reference_id = v_entry.id and t.type = 'refund'
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
