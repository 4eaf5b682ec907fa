create or replace function public.ducto_list_transactions(
    p_user_id text,
    p_limit integer default 50,
    p_before bigint default null,
    p_type text default null
)
returns table (
    transaction_id bigint,
    user_id text,
    team_id text,
    type text,
    amount numeric,
    allowance_consumed numeric,
    balance_after numeric,
    model text,
    operation text,
    breakdown jsonb,
    pricing_version integer,
    metrics jsonb,
    allocations jsonb,
    idempotency_key text,
    reference_id bigint,
    reservation_id uuid,
    metadata jsonb,
    created_at timestamptz,
    occurred_at timestamptz
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account ducto.account := ducto.find_account(p_user_id);
    v_types constant text[] := enum_range(null::ducto.entry_type)::text[];
begin
    if coalesce(p_limit, 0) not between 1 and 1000 then
        perform ducto.raise_error('DU017', ducto.invalid('p_limit', 'The limit is 1 to 1000.'));
    end if;
    if p_type <> all (v_types) then
        perform ducto.raise_error('DU017', ducto.invalid(
            'p_type', format('The type is one of %s.', array_to_string(v_types, ', '))
        ));
    end if;
    return query
    select
        t.id, t.actor_id, case when v_account.kind = 'team' then t.account_id end, t.type::text,
        trim_scale(t.amount), trim_scale(t.allowance_consumed), trim_scale(t.balance_after),
        t.model, t.operation, ducto.entry_breakdown(row(t.*)::ducto.entry), t.pricing_version,
        t.metrics, ducto.entry_allocations(row(t.*)::ducto.entry),
        t.idempotency_key, t.reference_id, t.reservation_id, coalesce(t.metadata, '{}'),
        t.created_at, coalesce(t.occurred_at, t.created_at)
    from ducto.credit_transactions t
    where t.account_id = v_account.account_id
        and (p_before is null or t.id < p_before)
        and (p_type is null or t.type = p_type::ducto.entry_type)
    order by t.id desc
    limit p_limit;
end
$$;
comment on function public.ducto_list_transactions(text, integer, bigint, text) is
    'The ledger of an account (a team''s by its team id), newest first. p_limit: 1 to 1000 rows; '
    'p_before: only entries older than this transaction_id, for paging; p_type: only this type. '
    'Errors: DU017. Callers: service, admin, reader.';
