"""What pages read beyond what the domains' own repositories list."""
