"""Prints the peak memory of a certification above TensorFlow's own, in MB.

python benchmarks/peak_memory.py MODEL DATASET LIMIT
"""

import pathlib
import re
import sys

import numpy as np
import tensorflow as tf

from tfcurv import nn
from tfcurv import runs


def peak() -> float:
    """Returns the most memory that this process has held, in MB."""
    # Linux only. What getrusage says includes the parent before the start.
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024.0


if __name__ == "__main__":
    tf.constant(np.zeros(1)).numpy()
    before = peak()
    path, dataset, limit = sys.argv[1:]
    runs.certify(nn.read_model(path), dataset, limit=int(limit), verbose=0)
    print(peak() - before)
