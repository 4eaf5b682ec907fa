-- The one clock. A session may move it only where the owner has written test_clock = on.
create or replace function ducto.now()
returns timestamptz
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Not now(): a charge that waited for a lock must be dated after the one it waited for.
    if (current_setting('ducto.clock', true) <> '') is not true then
        return clock_timestamp();
    end if;
    if exists (select from ducto.settings s where s.key = 'test_clock' and s.value = 'on') then
        return current_setting('ducto.clock')::timestamptz;
    end if;
    return clock_timestamp();
end
$$;
