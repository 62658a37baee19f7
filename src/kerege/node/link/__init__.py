"""The Kerege link: many messages in flight over one connection between two Kerege nodes."""
