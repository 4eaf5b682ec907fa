-- Whether any of the types is told by entries of the ledger; null: all types are wanted.
create or replace function ducto.tells_entries(p_types text[])
returns boolean
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return p_types is null or p_types && array[
        'credits.added', 'credits.adjusted', 'credits.deducted', 'credits.refunded',
        'credits.revoked', 'credits.expired'
    ];
end
$$;
