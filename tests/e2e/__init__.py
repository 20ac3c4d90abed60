"""The whole gateway as its own process, between real SIP peers and a scripted bot."""
