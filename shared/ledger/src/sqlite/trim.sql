-- Archived cases: their records up to version `trimmed` have left the log, and
-- `trimmed_head` is the hash of the last of these; 0 and none while all are
-- here. `last` is 0, and `before` of the next record too, when nothing is left.
ALTER TABLE cases ADD COLUMN trimmed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE cases ADD COLUMN trimmed_head BLOB;
