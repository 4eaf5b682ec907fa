-- The arguments about a member: null when they are valid, else the error. Roles and caps that are
-- null are not asked for.
create or replace function ducto.check_member(
    p_user_id text,
    p_role text,
    p_spend_cap numeric,
    p_cap_type text
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if (length(p_user_id) between 1 and 200) is not true then
        return ducto.invalid('p_user_id', 'The user id must have 1 to 200 characters.');
    elsif p_role not in ('owner', 'admin', 'member') then
        return ducto.invalid('p_role', 'The role of a member is owner, admin or member.');
    elsif p_cap_type not in ('daily', 'weekly', 'monthly') then
        return ducto.invalid('p_cap_type', 'A cap is daily, weekly or monthly.');
    elsif p_spend_cap is not null then
        return ducto.check_amount('p_spend_cap', p_spend_cap);
    end if;
    return null;
end
$$;
