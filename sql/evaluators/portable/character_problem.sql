-- Why a character cannot be in an expression.
create or replace function ducto.character_problem(p_character text)
returns text
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_code text := upper(to_hex(ascii(p_character)));
begin
    return case
        when p_character in ('"', '''') then 'strings are not allowed'
        when p_character = '=' then '''='' is not allowed; compare with ''=='''
        when p_character in (':', '@') then format('''%s'' is not allowed', p_character)
        when p_character = '.' then 'attributes are not allowed'
        when p_character in ('{', '}') then 'braces are not allowed'
        when p_character = '#' then 'comments are not allowed'
        when ascii(p_character) between 33 and 126
            then format('the character ''%s'' is not allowed', p_character)
        else format(
            'the character U+%s is not allowed; only ASCII is',
            lpad(v_code, greatest(4, length(v_code)), '0')
        ) end;
end
$$;
comment on function ducto.character_problem(text) is
    'Why a character cannot be in an expression.';
