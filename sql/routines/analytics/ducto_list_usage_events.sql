create or replace function public.ducto_list_usage_events(
    p_start timestamptz,
    p_end timestamptz,
    p_user_id text default null,
    p_limit integer default 100,
    p_before bigint default null
)
returns table (
    transaction_id bigint,
    user_id text,
    team_id text,
    model text,
    operation text,
    cost numeric,
    allowance_consumed numeric,
    amount numeric,
    metrics jsonb,
    metadata jsonb,
    occurred_at timestamptz,
    created_at timestamptz
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_failure jsonb := ducto.check_window(p_start, p_end);
    v_before ducto.usage_entry;
    v_ids bigint[];
begin
    if coalesce(p_limit, 0) not between 1 and 1000 then
        v_failure := ducto.invalid('p_limit', 'The limit is 1 to 1000.');
    end if;
    if length(p_user_id) not between 1 and 200 then
        v_failure := ducto.invalid('p_user_id', 'The user id must have 1 to 200 characters.');
    end if;
    if p_before is not null then
        select e.* into v_before from ducto.credit_usage_entries e where e.id = p_before;
        if not found then
            v_failure := ducto.invalid('p_before', 'The list goes on after one of its entries.');
        end if;
    end if;
    if v_failure is not null then
        perform ducto.raise_error('DU017', v_failure);
    end if;
    if p_user_id is null then
        v_ids := array(select ducto.recent_usage(p_start, p_end, p_limit, v_before));
    else
        v_ids := array(select ducto.user_usage(p_user_id, p_start, p_end, p_limit, v_before));
    end if;
    return query
    select
        t.id, t.actor_id, case when a.kind = 'team' then a.account_id end, t.model, t.operation,
        trim_scale(t.allowance_consumed - t.amount), trim_scale(t.allowance_consumed),
        trim_scale(-t.amount), coalesce(t.metrics, '{}'), coalesce(t.metadata, '{}'),
        coalesce(t.occurred_at, t.created_at) as happened_at, t.created_at
    from ducto.credit_transactions t
    left join ducto.credit_accounts a on a.account_id = t.account_id
    where t.id = any (v_ids)
    order by happened_at desc, t.id desc
    limit p_limit;
end
$$;
comment on function public.ducto_list_usage_events(
    timestamptz, timestamptz, text, integer, bigint
) is
    'The charges from p_start to before p_end, of one user (p_user_id; teams'' included) or '
    'of all, last first, by when the usage happened. p_limit: 1 to 1000 rows; p_before: only those '
    'after this transaction_id in the list, for paging. Errors: DU017. '
    'Callers: service, admin, reader.';
