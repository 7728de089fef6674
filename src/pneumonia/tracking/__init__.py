"""MLflow: where runs live, what is logged, how a run is found again, and how runs compare."""
