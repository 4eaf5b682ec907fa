-- What an account's holds set aside: a hold stops counting at its deadline, swept or not.
create or replace function ducto.read_held(
    p_account_id text,
    p_now timestamptz,
    p_settled ducto.credit_reservations default null,
    p_cost numeric default null
)
returns numeric
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce((
        select sum(r.held) from ducto.credit_reservations r
        where r.account_id = p_account_id and r.status = 'active' and r.expires_at > p_now
    ), 0) - case p_settled.status
        when 'settled' then p_settled.held
        when 'active' then least(p_settled.held, p_cost)
        else 0
    end;
end
$$;
comment on function ducto.read_held(
    text, timestamptz, ducto.credit_reservations, numeric
) is
    'Without what settling p_settled at p_cost frees: all of it, or (status active) a part.';
