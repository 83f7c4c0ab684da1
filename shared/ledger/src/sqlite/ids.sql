-- Which number a case has, by its id, and whether it is over: the newest in a
-- table of their own until they are merged into the large one (`ids.rs`).
CREATE TABLE ids (
  tenant INTEGER NOT NULL,
  id     BLOB NOT NULL,
  ended  INTEGER NOT NULL,
  number INTEGER NOT NULL,
  PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE new_ids (
  tenant INTEGER NOT NULL,
  id     BLOB NOT NULL,
  ended  INTEGER NOT NULL,
  number INTEGER NOT NULL,
  PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
INSERT INTO ids SELECT tenant, id, ended, number FROM cases ORDER BY tenant, id;
DROP INDEX cases_id;
