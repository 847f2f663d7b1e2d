-- The account of Grafana's Postgres data source: it reads what the dashboards read, and nothing else.
-- For psql; safe to run again, and to be run after each migration:
--   psql --set=ON_ERROR_STOP=1 --set=password=… --file=grafana_reader.sql
-- Without the variable `password` it is read from /run/secrets/postgres_grafana_password.
\if :{?password}
\else
\set password `cat /run/secrets/postgres_grafana_password`
\endif
-- A statement that fails is logged with its text; the password is in one of them.
SET log_min_error_statement = panic;

SELECT 'CREATE ROLE featuredrift_grafana'
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'featuredrift_grafana') \gexec

ALTER ROLE featuredrift_grafana
    WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE CONNECTION LIMIT 10 PASSWORD :'password';
ALTER ROLE featuredrift_grafana SET default_transaction_read_only = on;
ALTER ROLE featuredrift_grafana SET statement_timeout = '10s';
ALTER ROLE featuredrift_grafana SET idle_in_transaction_session_timeout = '30s';

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM featuredrift_grafana;
GRANT USAGE ON SCHEMA public TO featuredrift_grafana;
GRANT SELECT ON
    models, checkpoints, monitors, evaluations, shards,
    verdicts, controls, dictionary_health, repairs, alerts
    TO featuredrift_grafana;
