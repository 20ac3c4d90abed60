"""What travels with a call when it is handed over, and how it stands in SIP headers."""
