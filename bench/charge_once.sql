-- Each account once, in an order that is as scattered as the floor's random accounts: neighbours
-- would meet on the same pages.
\set key random(1, 9000000000000000000)
select public.ducto_deduct(
    '{prefix}' || nextval('bench.next_account') * 1000003 % :accounts + 1, :metrics, :key
);
