-- An open headroom promises no more than there is: what is drawn is in the lot it is drawn from,
-- what may still be charged is in it too, above the floor and within every cap; and it is closed
-- where each charge has to be looked at.
create or replace function ducto.check_headroom()
returns table (check_name text, user_id text, detail jsonb)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    select 'headroom', a.account_id, jsonb_build_object(
        'drawn', a.drawn, 'headroom', a.headroom, 'headroom_until', a.headroom_until,
        'draw_lot', a.draw_lot, 'lot_remaining', l.remaining, 'available', n.available,
        'cap_room', c.room
    )
    from ducto.credit_accounts a
    left join ducto.credit_lots l on l.account_id = a.account_id and l.lot_id = a.draw_lot
    cross join lateral (
        select a.balance + a.allowance - a.held - a.drawn as available,
            coalesce(p.min_balance, 0) as floor
        from (select true) one
        left join ducto.credit_pricing_config p on p.version = a.headroom_version
    ) n
    left join lateral (
        select min(s.amount_limit - s.spent - s.held) as room, min(s.window_end) as window_end
        from ducto.credit_spend_caps s
        where s.account_id = a.account_id
            and (s.action <> 'notify' or s.spent + s.held <= s.amount_limit)
            and s.model = any (coalesce(a.headroom_models, '{""}'))
    ) c on not a.draw_free
    where case when a.headroom_until = '-infinity' then a.drawn <> 0 or a.headroom <> 0
        else a.drawn < 0
            or a.headroom < 0
            or l.lot_id is null
            or l.free <> a.draw_free
            or a.drawn + a.headroom > l.remaining
            or a.debt > 0
            or a.status <> 'active'
            or a.headroom_until >= nullif(least(a.stale_at, l.expires_at), 'infinity')
            or a.headroom_models is null and exists (
                select from ducto.credit_spend_caps m
                where m.account_id = a.account_id and m.model <> ''
            )
            or a.headroom_until >= c.window_end
            or c.room < a.drawn + a.headroom
            or a.headroom_plan is null and a.plan_key is null
                and a.headroom > greatest(n.available - n.floor, a.allowance - a.held)
        end;
end
$$;
