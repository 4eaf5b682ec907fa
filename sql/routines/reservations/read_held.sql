-- What an account's holds set aside: a hold stops counting at its deadline, swept or not.
create or replace function ducto.read_held(p_account_id text, p_now timestamptz)
returns numeric
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
    return coalesce((
        select sum(r.held) from ducto.credit_reservations r
        where r.account_id = p_account_id and r.status = 'active' and r.expires_at > p_now
    ), 0);
end
$$;
