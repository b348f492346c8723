-- Version 8: two referrals with two booking references may be live for one patient and service, and so may those of two
-- records that turn out to be one person's. About both a person is asked; nothing is refused or cancelled for it.
DROP INDEX referral_live_once;
