\set key random(1, 9000000000000000000)
select public.ducto_deduct('{prefix}' || nextval('bench.next_account'), :metrics, :key);
