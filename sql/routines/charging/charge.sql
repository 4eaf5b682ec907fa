-- The charge: lock, assess, decide, write. One pipeline behind every front door. It returns
-- denials and errors instead of raising them, so that one item of a batch cannot spoil the rest.
-- What every charge does is written out here, what few charges need is called: a nested call costs
-- two percent.
create or replace function ducto.charge(
    p_account_id text,
    p_actor_id text,
    p_metrics jsonb,
    p_amount numeric,
    p_idempotency_key text,
    p_metadata jsonb,
    p_hold ducto.credit_reservations default null
)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account ducto.credit_accounts;
    v_entry ducto.credit_transactions;
    v_operation text := coalesce(p_hold.operation, p_metrics ->> 'operation');
    v_now timestamptz;
    v_take numeric;
    v ducto.assessment;
begin
    if (
        length(p_account_id) between 1 and 200
        and jsonb_typeof(p_metrics) = 'object'
        and pg_column_size(p_metrics) <= 65536
        and length(coalesce(p_idempotency_key, '-')) between 1 and 255
        and (jsonb_typeof(p_metadata) = 'object' and pg_column_size(p_metadata) <= 65536)
            is not false
    ) is not true then
        v.failure := ducto.check_charge(
            p_account_id, p_metrics, p_amount, p_idempotency_key, p_metadata
        );
        if v.failure is not null then
            return v.failure;
        end if;
    end if;
    -- The lock, as ducto.lock_account takes it when nobody is in the way.
    select a.* into v_account from ducto.credit_accounts a
    where a.account_id = p_account_id
    for no key update skip locked;
    if not found or current_setting('transaction_isolation') <> 'read committed' then
        v_account := ducto.lock_account(p_account_id);
    end if;
    v_now := ducto.now();
    v := ducto.assess(v_account, p_metrics, p_amount, v_operation, v_now, p_hold);
    if v.stale then
        v_account := ducto.bring_up_to_date(v_account, v_now);
        v := ducto.assess(v_account, p_metrics, p_amount, v_operation, v_now, p_hold);
    end if;
    if v.contested and v.failure is null then
        v := ducto.decide(v, v_account, p_hold, v_now);
    end if;
    if v.failure is null then
        -- The row first: it claims the key, and where the key is used nothing else is written.
        insert into ducto.credit_transactions (
            account_id, actor_id, type, amount, balance_after, available_after,
            allowance_consumed, allocations, metrics, model, operation, breakdown,
            pricing_version, plan_key, warnings, idempotency_key, reservation_id, metadata,
            created_at
        ) values (
            p_account_id, p_actor_id, 'usage', -v.amount, v.balance - v.amount,
            v.balance + v.allowance - v.held - v.cost, v.free, v.allocations, p_metrics,
            v.price ->> 'model', v_operation, v.price -> 'breakdown', v.version, v.plan_key,
            v.warnings, p_idempotency_key, p_hold.reservation_id, nullif(p_metadata, '{}'),
            v_now
        )
        on conflict (account_id, idempotency_key) where idempotency_key is not null do nothing
        returning * into v_entry;
    end if;
    if v_entry.id is null then
        -- A used key replays its first result, even if the charge would now be denied.
        return coalesce(
            ducto.find_replay(
                v_account, p_actor_id, p_metrics, p_amount, p_hold.reservation_id,
                p_idempotency_key
            ),
            v.failure
        );
    end if;
    for v_index in 0 .. coalesce(jsonb_array_length(v.allocations), 0) - 1 loop
        v_take := (v.allocations -> v_index -> 'amount')::numeric;
        update ducto.credit_lots l set
            remaining = l.remaining + v_take, live = l.remaining + v_take > 0
        where l.account_id = p_account_id
            and l.lot_id = (v.allocations -> v_index -> 'lot')::bigint;
    end loop;
    if v.contested or v.thresholds <> '{}' then
        perform ducto.follow_up(v_entry, v, v_account);
    end if;
    return ducto.charge_result(v_entry, v_account.kind, false);
end
$$;
comment on function ducto.charge(
    text, text, jsonb, numeric, text, jsonb, ducto.credit_reservations
) is
    'Charges p_metrics, or p_amount where they are null, of p_actor_id to p_account_id; with '
    'p_hold, settles it: at its pinned price, and without denial.';
