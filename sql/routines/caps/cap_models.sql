-- The models of the caps that cover a usage: every charge's, the model's own, and that of the rate
-- which prices it, so that a cap on gpt-4 covers a gpt-4-0613 that is priced as gpt-4.
create or replace function ducto.cap_models(
    p_version integer,
    p_plan_key text,
    p_model text
)
returns text[]
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_model is null then
        return '{""}'::text[];
    end if;
    return array['', p_model, coalesce((ducto.find_model(
        p_version, array_remove(array[p_plan_key, ''], null), p_model
    )).key, '')];
end
$$;
