-- Stages a config that is not published under a negative version, for the length of one call: the
-- caller deletes it again (ducto.drop_scratch), and until it commits nobody else can see it.
create or replace function ducto.scratch_pricing(p_config jsonb)
returns integer
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_checked jsonb := ducto.check_pricing(p_config);
    v_version integer;
begin
    perform ducto.require_valid(v_checked);
    if current_setting('transaction_read_only') = 'on' then
        perform ducto.raise_error('DU017', jsonb_build_object(
            'argument', 'p_config',
            'message', 'A config that is not published is staged while it is tried: '
            'use a transaction that may write, or publish it and name its version.'
        ));
    end if;
    v_version := nextval('ducto.scratch_versions')::integer;
    perform ducto.stage_pricing(v_version, p_config, v_checked -> 'programs', null, false);
    return v_version;
end
$$;
comment on function ducto.scratch_pricing(jsonb) is
    'Validates a config and stages it under a negative version, which it returns.';
