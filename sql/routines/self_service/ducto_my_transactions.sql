-- Shows what happened to the user's credits, and nothing that the server noted for itself: no
-- metadata, no idempotency key, no metrics.
create or replace function public.ducto_my_transactions(
    p_limit integer default 50,
    p_before bigint default null
)
returns table (
    transaction_id bigint,
    type text,
    amount numeric,
    allowance_consumed numeric,
    balance_after numeric,
    model text,
    operation text,
    reference_id bigint,
    created_at timestamptz,
    occurred_at timestamptz
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    select
        t.transaction_id, t.type, t.amount, t.allowance_consumed, t.balance_after, t.model,
        t.operation, t.reference_id, t.created_at, t.occurred_at
    from public.ducto_list_transactions(ducto.signed_in_user(), p_limit, p_before) t;
end
$$;
comment on function public.ducto_my_transactions(integer, bigint) is
    'The ledger of the signed-in user, newest first, without what the server noted for itself. '
    'p_limit: 1 to 1000 rows; p_before: only entries older than this transaction_id, for paging. '
    'What a team paid is not in it. The user is taken from the verified token. '
    'Errors: DU017, DU023. Callers: authenticated.';
