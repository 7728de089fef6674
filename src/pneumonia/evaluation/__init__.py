"""How good the model is on patients that it never saw, with intervals, at a threshold fixed before."""
