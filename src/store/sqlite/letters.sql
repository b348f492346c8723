-- Version 5: what referrers are to be told is a letter of the outbox, written with the change that it tells of. What
-- was noted before was never sent, and does not hold what a message is made of.
DROP TABLE telling;
