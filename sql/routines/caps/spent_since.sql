-- What left an account's balance by charges since an instant, less what was refunded of them.
create or replace function ducto.spent_since(
    p_account_id text,
    p_model text,
    p_since timestamptz,
    p_actor_id text default null
)
returns numeric
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return (
        with charge as materialized (
            select t.id, -t.amount as amount, t.model, t.pricing_version, t.plan_key
            from ducto.credit_transactions t
            where t.account_id = p_account_id and t.type = 'usage' and t.created_at >= p_since
                and (p_actor_id is null or t.actor_id = p_actor_id)
        ), covered as materialized (
            -- Priced as the model: by its own name, or by the rate that its name begins with.
            select k.model, k.pricing_version, k.plan_key
            from (select distinct model, pricing_version, plan_key from charge) k
            where p_model = ''
                or p_model = any (ducto.cap_models(k.pricing_version, k.plan_key, k.model))
        )
        select coalesce(sum(c.amount - coalesce((
            select sum(r.amount)
            from ducto.credit_references f
            join ducto.credit_transactions r
                on r.account_id = f.account_id and r.id = f.transaction_id
            where f.account_id = p_account_id and f.reference_id = c.id and r.type = 'refund'
        ), 0)), 0)
        from charge c
        join covered v on v.model is not distinct from c.model
            and v.pricing_version is not distinct from c.pricing_version
            and v.plan_key is not distinct from c.plan_key
    );
end
$$;
comment on function ducto.spent_since(text, text, timestamptz, text) is
    'p_model: only charges priced as this model; empty: all. p_actor_id: only those of this user. '
    'Reads the ledger: never on a charge''s path.';
