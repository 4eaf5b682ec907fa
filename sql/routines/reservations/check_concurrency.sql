-- How many holds may be open at once, of the plan and of an operation: null, else the denial. It
-- counts no further than the limit.
create or replace function ducto.check_concurrency(
    p_account_id text,
    p_operation text,
    p_terms ducto.terms,
    p_now timestamptz
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_active bigint;
    v_limit bigint := p_terms.max_concurrent::bigint;
begin
    if v_limit is not null then
        select count(*) into v_active from (
            select from ducto.credit_reservations r
            where r.account_id = p_account_id and r.status = 'active' and r.expires_at > p_now
            limit v_limit
        ) o;
    end if;
    if v_limit is null or v_active < v_limit then
        v_limit := p_terms.max_concurrent_operation::bigint;
        if v_limit is null then
            return null;
        end if;
        select count(*) into v_active from (
            select from ducto.credit_reservations r
            where r.account_id = p_account_id and r.status = 'active' and r.expires_at > p_now
                and r.operation = p_operation
            limit v_limit
        ) o;
        if v_active < v_limit then
            return null;
        end if;
    end if;
    return ducto.failure('denied', 'DU012', jsonb_build_object(
        'user_id', p_account_id,
        'active', v_active,
        'max_concurrent', v_limit,
        'operation', p_operation
    ));
end
$$;
