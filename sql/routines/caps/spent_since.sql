-- What left an account's balance by charges since an instant, less what was refunded of them.
create or replace function ducto.spent_since(
    p_account_id text,
    p_model text,
    p_since timestamptz
)
returns numeric
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return (
        select coalesce(-sum(t.amount), 0) - coalesce(sum((
            select sum(r.amount) from ducto.credit_transactions r
            where r.account_id = p_account_id and r.reference_id = t.id and r.type = 'refund'
        )), 0)
        from ducto.credit_transactions t
        where t.account_id = p_account_id
            and t.type = 'usage'
            and t.created_at >= p_since
            and (p_model = '' or t.model = p_model)
    );
end
$$;
comment on function ducto.spent_since(text, text, timestamptz) is
    'p_model: only charges of this model; empty: all. Reads the ledger: never on a charge''s path.';
