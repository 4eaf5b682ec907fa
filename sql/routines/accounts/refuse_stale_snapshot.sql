-- Under REPEATABLE READ a lock shows no newer rows than the transaction's first statement saw, so a
-- charge would be decided on lots and holds that others have changed since.
create or replace function ducto.refuse_stale_snapshot()
returns void
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if current_setting('transaction_isolation') = 'repeatable read' then
        perform ducto.raise_error('DU017', jsonb_build_object(
            'argument', 'transaction_isolation',
            'message', 'Under REPEATABLE READ a charge cannot see what other sessions charged.',
            'hint', 'Use READ COMMITTED, or SERIALIZABLE with retries.'
        ));
    end if;
end
$$;
