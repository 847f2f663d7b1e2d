-- The role that only reads, for the exporter and for scaling workers. For psql; safe to run again, and
-- to be run after each migration, because new tables need the grant too.
\set password `cat /run/secrets/postgres_reader_password`
-- A statement that fails is logged with its text; the password is in one of them.
SET log_min_error_statement = panic;

SELECT 'CREATE ROLE featuredrift_reader'
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'featuredrift_reader') \gexec

ALTER ROLE featuredrift_reader
    WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE CONNECTION LIMIT 20 PASSWORD :'password';
ALTER ROLE featuredrift_reader SET default_transaction_read_only = on;
ALTER ROLE featuredrift_reader SET statement_timeout = '30s';

GRANT USAGE ON SCHEMA public TO featuredrift_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO featuredrift_reader;

-- These hold what a reader could pose as us with.
SELECT format('REVOKE SELECT ON %I FROM featuredrift_reader', name)
FROM unnest(ARRAY['webhooks']) AS name
WHERE to_regclass(name) IS NOT NULL \gexec
