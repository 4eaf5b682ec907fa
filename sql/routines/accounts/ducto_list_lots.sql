create or replace function public.ducto_list_lots(p_user_id text)
returns table (
    lot_id bigint,
    kind text,
    category text,
    amount numeric,
    remaining numeric,
    priority integer,
    effective_at timestamptz,
    expires_at timestamptz,
    status text,
    transaction_id bigint,
    created_at timestamptz
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account ducto.account := ducto.find_account(p_user_id);
    v_now timestamptz := ducto.now();
begin
    return query
    select
        l.lot_id, l.kind::text, l.category::text, trim_scale(l.amount), trim_scale(l.remaining),
        l.priority,
        l.effective_at, l.expires_at,
        case
            when l.revoked_at is not null then 'revoked'
            when l.expires_at <= v_now then 'expired'
            when l.effective_at > v_now then 'scheduled'
            when l.live then 'live'
            else 'used'
        end,
        l.transaction_id, l.created_at
    from ducto.lots_now l
    where l.account_id = v_account.account_id
    order by l.live desc, l.kind <> 'allowance', l.priority, l.expires_at nulls last, l.lot_id;
end
$$;
comment on function public.ducto_list_lots(text) is
    'The grants of an account: the live ones first. status: live, used, expired, revoked or '
    'scheduled. Errors: DU017. Callers: service, admin, reader.';
