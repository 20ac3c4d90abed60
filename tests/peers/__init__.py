"""SIP peers of our own: SIPp scenarios in the words of the people they play, and what runs them."""
