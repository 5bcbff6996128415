-- This index is for counting the jobs ahead of one. A claim asks for the oldest job of one caller, and the planner, which
-- does not know how many callers wait, also found it here: it then read all jobs that are older, whoever sent them. Only a
-- question that says `steps >= 0`, which holds for all jobs, may use it now.
DROP INDEX jobs_waiting;
CREATE INDEX jobs_waiting ON jobs (priority, id, steps) WHERE state = 'queued' AND steps >= 0;
