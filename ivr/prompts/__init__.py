"""The words and sounds of the flows: recordings and speech, as audio ready to play."""
