-- The tables of a mirror, as of its version (see mirror.VERSION). `{schema}` is where they are made: in the
-- mirror's file, or in memory for what changed since the file was written.
--
-- `run` is runs.id of the world. Instants are microseconds since 1970 UTC. No payload is here, sealed or not:
-- only its size. `events`, `chunks`, `logs` are copies; the others are made from `events` by derive.sql.

CREATE TABLE {schema}.runs (
  run BIGINT NOT NULL, run_id VARCHAR NOT NULL, workflow VARCHAR NOT NULL, status VARCHAR NOT NULL,
  deployment_id VARCHAR NOT NULL, created_at BIGINT NOT NULL, started_at BIGINT, ended_at BIGINT, seq INTEGER NOT NULL,
  attributes VARCHAR, parent_run_id VARCHAR, continued_from VARCHAR, continued_as VARCHAR, forked_from VARCHAR,
  error_code VARCHAR, result_seq INTEGER, payload_bytes BIGINT NOT NULL, attention VARCHAR, origin VARCHAR,
  error_type VARCHAR, steps INTEGER, retries INTEGER
);
CREATE TABLE {schema}.events (
  run BIGINT NOT NULL, seq INTEGER NOT NULL, type VARCHAR NOT NULL, correlation_id INTEGER, name VARCHAR,
  attempt INTEGER, at_us BIGINT NOT NULL, meta VARCHAR, payload_bytes INTEGER NOT NULL
);
CREATE TABLE {schema}.steps (
  run BIGINT NOT NULL, correlation_id INTEGER NOT NULL, name VARCHAR NOT NULL, status VARCHAR NOT NULL,
  created_at BIGINT NOT NULL, started_at BIGINT, ended_at BIGINT, duration_us BIGINT, queued_us BIGINT,
  attempts INTEGER NOT NULL, error_type VARCHAR, created_seq INTEGER NOT NULL, ended_seq INTEGER
);
CREATE TABLE {schema}.attempts (
  run BIGINT NOT NULL, correlation_id INTEGER NOT NULL, number INTEGER NOT NULL, name VARCHAR NOT NULL,
  status VARCHAR NOT NULL, started_at BIGINT NOT NULL, ended_at BIGINT, duration_us BIGINT, queued_us BIGINT,
  error_type VARCHAR, ended_seq INTEGER
);
CREATE TABLE {schema}.hooks (
  run BIGINT NOT NULL, correlation_id INTEGER NOT NULL, name VARCHAR NOT NULL, status VARCHAR NOT NULL,
  created_at BIGINT NOT NULL, received_at BIGINT, ended_at BIGINT, payloads INTEGER NOT NULL,
  waited_us BIGINT, created_seq INTEGER NOT NULL, received_seq INTEGER
);
CREATE TABLE {schema}.waits (
  run BIGINT NOT NULL, correlation_id INTEGER NOT NULL, kind VARCHAR NOT NULL, status VARCHAR NOT NULL,
  created_at BIGINT NOT NULL, due_at BIGINT, ended_at BIGINT
);
CREATE TABLE {schema}.chunks (
  run BIGINT NOT NULL, name VARCHAR NOT NULL, place INTEGER NOT NULL, at_us BIGINT NOT NULL, payload_bytes INTEGER
);
CREATE TABLE {schema}.logs (
  run BIGINT NOT NULL, correlation_id INTEGER NOT NULL, attempt INTEGER NOT NULL, place INTEGER NOT NULL,
  at_us BIGINT NOT NULL, payload_bytes INTEGER NOT NULL
);
