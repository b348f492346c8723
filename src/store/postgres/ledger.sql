-- Version 2: what the ledger goes by. How many letters a message had; what was written before does not say.
ALTER TABLE message ADD COLUMN letters BIGINT;
-- They hold all that the ledger looks at, so that it reads no bodies.
CREATE INDEX message_ledger ON message (id) INCLUDE (outcome, letters, first_id);
CREATE INDEX outbox_message ON outbox (message_id, state);
