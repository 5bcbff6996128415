-- where in a trace the job was submitted, as JSON; null if there was none
ALTER TABLE jobs ADD COLUMN trace_context TEXT;
