-- What a charge within the headroom checks only where it carries more than metrics and a key.
create or replace function ducto.may_draw(
    p_account_id text,
    p_metrics jsonb,
    p_metadata jsonb,
    p_occurred_at timestamptz
)
returns boolean
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return ducto.check_charge(p_account_id, p_metrics, null, null, p_metadata, p_occurred_at)
            is null
        and (jsonb_typeof(p_metrics -> 'operation') = 'string'
            and length(p_metrics ->> 'operation') between 1 and 200) is not false;
end
$$;
