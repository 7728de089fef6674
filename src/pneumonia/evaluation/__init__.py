"""How good the model is on patients that it never saw, at a threshold fixed before."""
