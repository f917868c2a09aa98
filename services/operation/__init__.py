"""What an operator does to an installation: upgrade, backup, restore, verify, purge, void."""
