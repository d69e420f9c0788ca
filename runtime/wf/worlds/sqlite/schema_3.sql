-- Schema version 3: a feed of changes for who keeps a copy, and runs that came from elsewhere.

-- Changes: which runs changed, in the order of the transactions. Who remembers a position asks what came
-- after it. The oldest rows are dropped in time: who finds its place gone compares all runs instead.
-- No AUTOINCREMENT: the newest row is never deleted, so a position is never used again.
-- Since version 4 the run of the newest row may have gone on without another one.
CREATE TABLE changes (
  position INTEGER PRIMARY KEY,
  run      INTEGER NOT NULL                       -- runs.id; also of a run that is gone
) STRICT;

CREATE TRIGGER runs_added AFTER INSERT ON runs BEGIN
  INSERT INTO changes (run) VALUES (new.id);
END;
CREATE TRIGGER runs_changed AFTER UPDATE OF status, seq, deployment_id, attributes, continued_as, attention ON runs BEGIN
  INSERT INTO changes (run) VALUES (new.id);
END;
CREATE TRIGGER runs_deleted AFTER DELETE ON runs BEGIN
  INSERT INTO changes (run) VALUES (old.id);
END;

-- Where a run came from that did not run here: it can be read, and nothing can be done to it. NULL: it is ours.
ALTER TABLE runs ADD COLUMN origin TEXT;
