"""The SQL of ducto-pg, shipped as package data; ``ducto_pg.migrate`` reads it from here."""
