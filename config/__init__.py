"""What an operator writes: settings, trunks, targets, bots and flows, as strict models."""
