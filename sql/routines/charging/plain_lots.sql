-- Of the users of a batch, those that have no plan, caps, holds or debt and a single lot to spend,
-- with this lot.
create or replace function ducto.plain_lots(p_charges jsonb, p_now timestamptz)
returns table (account_id text, lot_id bigint, remaining numeric)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    select a.account_id, min(l.lot_id), min(l.remaining)
    from (select distinct c ->> 'user_id' as user_id from jsonb_array_elements(p_charges) c) u
    join ducto.credit_accounts a on a.account_id = u.user_id
    join ducto.credit_lots l on l.account_id = a.account_id and l.live
    where a.kind = 'user' and a.status = 'active' and a.plan_key is null and a.debt = 0
        and not a.has_caps and a.open_holds = 0
    group by a.account_id
    having count(*) = 1
        and bool_and(l.kind <> 'allowance' and l.effective_at <= p_now)
        and coalesce(min(l.expires_at) > p_now, true);
end
$$;
