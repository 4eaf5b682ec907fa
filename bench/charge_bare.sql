\set n random(1, :accounts)
\set key random(1, 9000000000000000000)
select floor.bare('user_' || cast(:n as text), :metrics, :key);
