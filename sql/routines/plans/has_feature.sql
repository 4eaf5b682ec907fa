-- A feature counts as present when its value is neither null nor false.
create or replace function ducto.has_feature(p_features jsonb, p_feature text)
returns boolean
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce(p_features -> p_feature, 'null') not in ('null'::jsonb, 'false'::jsonb);
end
$$;
