-- One row a tenant: its name once, its number everywhere else.
CREATE TABLE tenants (
  number INTEGER PRIMARY KEY,
  name   TEXT NOT NULL UNIQUE
) STRICT;

-- The log. `before` is the `seq` of the case's previous record, 0 for none.
-- Rows are only ever added, and leave when their case is trimmed.
CREATE TABLE records (
  seq     INTEGER PRIMARY KEY,
  before  INTEGER NOT NULL,
  "case"  INTEGER NOT NULL,
  version INTEGER NOT NULL,
  hash    BLOB NOT NULL,
  body    BLOB NOT NULL
) STRICT;

-- The index: what the last append said. Rows stand in the order in which the
-- cases were opened, because those opened together are worked on together:
-- one commit then changes few pages. `last` is the `seq` of the case's last
-- record. `salt` is gone for good once `forgotten` is 1.
CREATE TABLE cases (
  number       INTEGER PRIMARY KEY,
  tenant       INTEGER NOT NULL,
  id           BLOB NOT NULL,
  version      INTEGER NOT NULL,
  head         BLOB NOT NULL,
  last         INTEGER NOT NULL,
  wake_at      INTEGER,
  wake_why     TEXT,
  state        TEXT NOT NULL,
  ended        INTEGER NOT NULL,
  needs_person INTEGER NOT NULL,
  urgent       INTEGER NOT NULL,
  opened_at    INTEGER NOT NULL,
  updated_at   INTEGER NOT NULL,
  settled      INTEGER NOT NULL,
  tasks        INTEGER NOT NULL,
  salt         BLOB,
  forgotten    INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX cases_id ON cases (tenant, id);
CREATE INDEX cases_due ON cases (wake_at, id) WHERE wake_at IS NOT NULL;
CREATE INDEX cases_open ON cases (tenant, id) WHERE ended = 0;
CREATE INDEX cases_opened ON cases (tenant, opened_at);

-- Which open case holds which subject.
CREATE TABLE claims (
  tenant  INTEGER NOT NULL,
  subject TEXT NOT NULL,
  "case"  INTEGER NOT NULL,
  PRIMARY KEY (tenant, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX claims_of_case ON claims ("case");

-- Until when a tenant's gate is shut.
CREATE TABLE gates (
  tenant INTEGER NOT NULL,
  name   TEXT NOT NULL,
  until  INTEGER NOT NULL,
  PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;

-- Who owns which shard, and until when.
CREATE TABLE owners (
  shards INTEGER NOT NULL,
  shard  INTEGER NOT NULL,
  owner  TEXT NOT NULL,
  until  INTEGER NOT NULL,
  PRIMARY KEY (shards, shard)
) STRICT, WITHOUT ROWID;
