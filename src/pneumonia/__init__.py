"""Chest images to a tested classifier. What stands here comes before TensorFlow is imported."""

import logging
import os

# TensorFlow leaves oneDNN off where the processor has no AVX-512, and training takes far longer
# there (`bench_training.py`). A model's bytes depend on it: the environment has no say.
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # no notes about processor and graphics card
logging.getLogger("tensorflow").setLevel(logging.ERROR)  # nor that a graph is traced again
