-- One service's database and its two roles; may be run again (passwords are then set anew).
--
-- The owner changes tables; only `fairpatch upgrade` connects as it, and no service has its password.
-- The service's own role reads and writes rows; `fairpatch upgrade` grants it exactly what it needs.
--
-- As the administrator, with the service's name and the files that hold the passwords:
--   FAIRPATCH_SERVICE=survey FAIRPATCH_PASSWORD_FILE=... FAIRPATCH_OWNER_PASSWORD_FILE=... \
--     psql --no-psqlrc --set ON_ERROR_STOP=1 --file roles.sql
\set ON_ERROR_STOP on
\set QUIET on
\getenv service FAIRPATCH_SERVICE
\getenv password_file FAIRPATCH_PASSWORD_FILE
\getenv owner_password_file FAIRPATCH_OWNER_PASSWORD_FILE
\set password `cat :'password_file'`
\set owner_password `cat :'owner_password_file'`
\set app fairpatch_ :service
\set owner fairpatch_ :service _owner

-- No password, no role: an empty one would look like a working installation.
SELECT length(:'password') >= 16 AND length(:'owner_password') >= 16
       AND :'password' <> :'owner_password' AS strong,
       :'service' IN ('survey', 'aggregate', 'report') AS known,
       :'service' = 'survey' AS mixes
\gset
\if :known
\else
    DO $$ BEGIN RAISE EXCEPTION 'FAIRPATCH_SERVICE is survey, aggregate or report'; END $$;
\endif
\if :strong
\else
    DO $$ BEGIN RAISE EXCEPTION 'the password files need two different passwords of 16 letters or more'; END $$;
\endif

-- Roles with no right to make roles or databases, to read the log of changes, or to pass row rules.
SELECT format('CREATE ROLE %I', role)
  FROM unnest(ARRAY[:'app', :'owner']) AS role
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role)
\gexec
ALTER ROLE :"app" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS INHERIT
    PASSWORD :'password';
ALTER ROLE :"owner" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS INHERIT
    PASSWORD :'owner_password';

SELECT format('CREATE DATABASE %I OWNER %I', :'service', :'owner')
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'service')
\gexec
REVOKE ALL ON DATABASE :"service" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"service" TO :"app", :"owner";
-- Nobody but the administrator has a use for the others.
REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC;

\connect :service

-- Tables belong to the owner and nobody else makes any.
ALTER SCHEMA public OWNER TO :"owner";
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO :"app";

\if :mixes
    -- Mixing keeps its copy in a temporary table, ends the running log file and writes a checkpoint.
    GRANT TEMPORARY ON DATABASE :"service" TO :"app";
    GRANT pg_checkpoint TO :"app";
    GRANT EXECUTE ON FUNCTION pg_switch_wal() TO :"app";
\endif
